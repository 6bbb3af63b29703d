"""What the golden-table scripts share: exact literals, correct rounding, difference quotients, writing and checking.

Nothing here knows a derivative. A slope is the difference quotient of the definition itself, with a step of 1e-200 of
the input and thousands of digits; every number is computed twice, with two steps and two precisions, and the script
stops if the two do not print the same.
"""
import difflib
import os
import sys

from mpmath import mp, mpf

GOLDEN = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden"))
DIGITS = 25
SETTLED_BITS = 600  # far less than a difference quotient is good for, far more than a double or 25 digits need
PASSES = ((1800, 200), (2200, 250))  # (decimal digits, -log10 of the relative step)
DBL_MIN = mpf(2) ** -1022

_step = None


def to_double(v):
    """The double nearest to v, ties to even, denormals included: int / int is correctly rounded in Python."""
    sign, man, exp, _ = mpf(v)._mpf_
    man, exp = int(man), int(exp)
    r = float(man << exp) if exp >= 0 else man / (1 << -exp)
    return -r if sign else r


def exact(x):
    """A double as a C literal that is exactly that double: small integers plainly, the rest in hexadecimal."""
    if x == int(x) and abs(x) < 10000:
        return "%d.0" % int(x)
    digits, exp = float(x).hex().split("p")
    return digits.rstrip("0").rstrip(".") + "p" + exp


def decimal(v):
    """A result as a C literal of 25 digits, or NAN where nothing is to be compared; what rounds to zero is 0.0. The
    few results that lie so near the middle of two doubles that 25 digits would round wrongly get more."""
    if v is None:
        return "NAN"
    with mp.workprec(SETTLED_BITS):
        v = +mpf(v)  # so that a result which is exactly the middle of two doubles is so again, and rounds to even
    nearest = to_double(v)
    if nearest == 0.0:
        return "0.0"
    for digits in range(DIGITS, 20 * DIGITS):
        with mp.workdps(digits + 10):
            text = mp.nstr(v, digits, min_fixed=-4, max_fixed=17).replace("e+", "e")
        if float(text) == nearest:
            return text
    raise SystemExit("%s cannot be told from the middle of two doubles" % text)


def braces(items):
    return "{ " + ", ".join(items) + " }"


def settled(compute):
    """compute() returns a list of numbers; it runs in each of the passes and must print the same every time."""
    global _step
    texts = []
    for digits, step in PASSES:
        with mp.workdps(digits):
            _step = mpf(10) ** -step
            texts.append([decimal(v) for v in compute()])
    if texts[0] != texts[1]:
        raise SystemExit("the two precisions disagree: %s" % texts)
    return texts[0]


def quotients(f, x):
    """f(x), f'(x), f''(x) for a double x, by central differences of f. Only inside settled()."""
    x = mpf(x)
    h = _step * (abs(x) if x else 1)
    low, here, high = f(x - h), f(x), f(x + h)
    return here, (high - low) / (2 * h), (high - 2 * here + low) / (h * h)


def slopes(f, xs):
    """The partial derivatives of f(list) at the doubles xs, by central differences. Only inside settled()."""
    xs = [mpf(x) for x in xs]
    out = []
    for i, x in enumerate(xs):
        h = _step * (abs(x) if x else 1)
        out.append((f(xs[:i] + [x + h] + xs[i + 1:]) - f(xs[:i] + [x - h] + xs[i + 1:])) / (2 * h))
    return out


def main(tables):
    """tables: file name -> function returning its text. Writes them, or with --check compares them with the disk."""
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit("usage: %s [--check]" % sys.argv[0])
    differ = False
    for name, text_of in tables.items():
        path, fresh = os.path.join(GOLDEN, name), text_of()
        if not sys.argv[1:]:
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w", encoding="ascii", newline="\n") as f:
                f.write(fresh)
            continue
        try:
            with open(path, encoding="ascii", newline="") as f:
                disk = f.read()
        except OSError as e:
            disk = ""
            print(e, file=sys.stderr)
        if disk != fresh:
            differ = True
            sys.stderr.writelines(difflib.unified_diff(disk.splitlines(True), fresh.splitlines(True),
                                                       "disk/" + name, "fresh/" + name, n=0))
    sys.exit(1 if differ else 0)
