#!/usr/bin/env python3
"""Writes tests/golden/functions.inc: f, f' and f'' of the unary functions, from their definitions. --check compares."""
from mpmath import mp, mpf

from table import braces, exact, main, quotients, settled

FUNCTIONS = {
    "exp": mp.exp,
    "log": mp.log,
    "log1p": lambda x: mp.log(1 + x),
    "expm1": lambda x: mp.exp(x) - 1,
    "sqrt": mp.sqrt,
    "square": lambda x: x * x,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": lambda x: (mp.exp(x) - mp.exp(-x)) / (mp.exp(x) + mp.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "log_sigmoid": lambda x: mp.log(1 / (1 + mp.exp(-x))),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "elu": lambda x: x if x > 0 else mp.exp(x) - 1,
    "gelu": lambda x: x * (1 + mp.erf(x / mp.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "relu": lambda x: x if x > 0 else mpf(0),
    "abs": abs,
    "leaky_relu": lambda x: x if x > 0 else mpf(0.01) * x,
}

ORDINARY = [0.1, 0.36787944117144233, 0.8, 1.0, 1.618033988749895, 2.718281828459045, 3.0]
TINY = [1e-300, 1e-20, 1e-8]
LARGE = [20.0, 40.0, 100.0, 700.0, 1000.0]


def both(xs):
    return [s * x for x in xs for s in (-1.0, 1.0)]


KINKED = both(TINY + ORDINARY + LARGE)  # not at 0
LINE = [0.0] + KINKED
POSITIVE = TINY + ORDINARY + LARGE

POINTS = {
    "exp": [x for x in LINE if x < 1000] + [-708.0, 709.0],
    "log": POSITIVE + [1 - 1e-8, 1 + 1e-8, 1 - 2.0**-53, 1 + 2.0**-52, 0.5, 2.0, 1e-150, 1e-100, 1e100, 1e300],
    "log1p": TINY + ORDINARY + LARGE + [-x for x in TINY] + [0.0, -0.1, -0.36787944117144233, -0.5, -0.9, -0.999,
                                                            -1 + 1e-8, -1 + 2.0**-53, 1e100, 1e300],
    "expm1": [x for x in LINE if x < 1000] + [1e-16, -1e-16],
    "sqrt": POSITIVE + [0.25, 2.0, 4.0, 1e-200, 1e-100, 1e100, 1e300, 2.0**-1022, 1 - 1e-8, 1 + 1e-8],
    "square": LINE + [1e-150, -1e150, 1e150],
    "sin": LINE + [1.5707963267948966, 3.141592653589793, -6.283185307179586, 1e6],
    "cos": LINE + [1.5707963267948966, 3.141592653589793, -6.283185307179586, 1e6],
    "gelu": LINE + [-8.0, 8.0, -12.5, -37.0],
    "elu": KINKED, "relu": KINKED, "abs": KINKED, "leaky_relu": KINKED,
}

HEADER = """\
/* Values and derivatives of the unary functions, to 25 digits. Written by scripts/golden/functions.py; do not edit.
 * { name, x, f(x), f'(x), f''(x) }: const char *, double x 4. NAN: overflows a double, nothing to compare. elu has
 * alpha 1, leaky_relu the slope 0.01 (the double), gelu is x Phi(x); no point lies on a kink or a pole. */
"""


def representable(v):
    """v, or None where it overflows a double."""
    return v if abs(v) < mpf(2) ** 1024 - mpf(2) ** 970 else None


def functions():
    rows = []
    for name, f in FUNCTIONS.items():
        for x in sorted(set(POINTS.get(name, LINE))):
            values = settled(lambda: [representable(v) for v in quotients(f, x)])
            rows.append(braces(['"%s"' % name, exact(x)] + values) + ",\n")
    return HEADER + "".join(rows)


if __name__ == "__main__":
    main({"functions.inc": functions})
