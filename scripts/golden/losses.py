#!/usr/bin/env python3
"""Writes the tables of losses and of the saturated neuron in tests/golden, from the definitions. --check compares.

Each definition below is the loss of one element, one distribution or one region, as docs and paper print it. Slopes
are difference quotients of these lines (table.py), so no derivative is written down anywhere.
"""
import math

from mpmath import mp, mpf

from table import DBL_MIN, braces, decimal, exact, main, settled, slopes

IRRATIONAL = [0.5772156649015329, 1.4142135623730951, -3.141592653589793, 7.38905609893065]


def sigma(x):
    return 1 / (1 + mp.exp(-x))


def weighted_log(w, v):
    """w log v: 0 when w is 0, whatever v. The logarithm of a probability of exactly 0 is that of the smallest normal
    double, the floor of its argument; no other probability here is below that, and a logit's is never exactly 0."""
    return mpf(0) if w == 0 else w * mp.log(v if v else DBL_MIN)


def row(*fields):
    return braces(fields) + ",\n"


def quoted(name):
    return '"%s"' % name


# ---- one element ---------------------------------------------------------------------------------------------------

def l1(p, y, a, b):
    return abs(p - y)


def mse(p, y, a, b):
    return (p - y) ** 2


def hinge(p, y, a, b):
    return max(mpf(0), 1 - y * p)


def huber(p, y, delta, b):
    d = abs(p - y)
    return d * d / 2 if d <= delta else delta * (d - delta / 2)


def smooth_l1(p, y, beta, b):
    d = abs(p - y)
    return d * d / (2 * beta) if d < beta else d - beta / 2


def bce(p, y, a, b):
    return -(weighted_log(y, p) + weighted_log(1 - y, 1 - p))


def wbce(p, y, beta, b):
    return -(weighted_log(beta * y, p) + weighted_log(1 - y, 1 - p))


def bbce(p, y, beta, b):
    return -(weighted_log(beta * y, p) + weighted_log((1 - beta) * (1 - y), 1 - p))


def focal(p, y, alpha, gamma):
    return -((1 - p) ** gamma * weighted_log(alpha * y, p) + p ** gamma * weighted_log((1 - alpha) * (1 - y), 1 - p))


POINTWISE = {f.__name__: f for f in (l1, mse, hinge, huber, smooth_l1, bce, wbce, bbce, focal)}

LOGITS = [0.0, 0.3, -0.3, 2.5, -2.5, 20.0, -20.0, 40.0, -40.0, 100.0, -100.0, 700.0, -700.0, 1000.0, -1000.0]
LOGITS += IRRATIONAL
PROBABILITIES = [0.5, 0.1, 0.9, 0.3333, 0.7071067811865476, 1e-10, 1 - 1e-10, 1e-300]
TARGETS = [0.0, 1.0, 0.3, 0.75, 1e-9]
ENDS = [0.0, 1.0]


def regression_points(widths):
    """(p, y): ordinary, far apart, and apart by a little less, exactly and a little more than each of the widths."""
    points = [(0.0, 0.3), (0.3, 0.0), (-1.4142135623730951, 3.141592653589793), (2.5, 2.0), (-2.5, -2.75), (7.0, 7.0),
              (0.1 + 1e-12, 0.1), (1e-8, 0.0), (0.0, -1e-150), (1000.0, -1000.0), (1e150, 1.0), (-40.0, 100.0)]
    for w in widths:
        points += [(w, 0.0), (math.nextafter(w, 0.0), 0.0), (-math.nextafter(w, math.inf), 0.0), (1.0, 1.0 + 2 * w)]
    return points


def pointwise_cases():
    """(name, from_logits, x, y, a, b) of every row, in order."""
    for p, y in regression_points([0.5]):
        yield "l1", 0, p, y, 0.0, 0.0
    for p, y in regression_points([0.5]):
        yield "mse", 0, p, y, 0.0, 0.0
    for x in [0.0, 1.0, -1.0, 0.3, -0.3, 1 - 1e-12, 1 + 1e-12, -1 + 1e-12, -1 - 1e-12, 2.5, -2.5, 1e-300, 1000.0,
              -1000.0] + IRRATIONAL:
        for y in (-1.0, 1.0):
            yield "hinge", 0, x, y, 0.0, 0.0
    for delta in (0.1, 1.0, 2.5):
        for p, y in regression_points([delta]):
            yield "huber", 0, p, y, delta, 0.0
    for beta in (0.1, 1.0, 2.5):
        for p, y in regression_points([beta]):
            yield "smooth_l1", 0, p, y, beta, 0.0
    for y in TARGETS:
        for x in LOGITS:
            yield "bce", 1, x, y, 0.0, 0.0
        for p in PROBABILITIES + ENDS:
            yield "bce", 0, p, y, 0.0, 0.0
    for i, beta in enumerate((0.2, 1.0, 5.0, 20.0)):
        for y in TARGETS:
            for x in LOGITS if y in ENDS else LOGITS[i % 2::2]:
                yield "wbce", 1, x, y, beta, 0.0
            for p in (PROBABILITIES if y in ENDS else PROBABILITIES[i % 2::2]) + ENDS:
                yield "wbce", 0, p, y, beta, 0.0
    for i, beta in enumerate((0.0, 0.1, 0.5, 0.97, 1.0)):
        for k, y in enumerate((0.0, 1.0, 0.3)):
            for x in LOGITS[(i + k) % 3::3]:
                yield "bbce", 1, x, y, beta, 0.0
            for p in PROBABILITIES[i % 2::2] + ENDS:
                yield "bbce", 0, p, y, beta, 0.0
    for i, gamma in enumerate((0.0, 0.5, 1.0, 2.0, 5.0)):
        for j, alpha in enumerate((0.25, 0.5, 0.9)):
            for k, y in enumerate(TARGETS):
                for x in LOGITS[(i + j + k) % 3::3]:
                    yield "focal", 1, x, y, alpha, gamma
                for p in PROBABILITIES[(i + j + k) % 3::3]:
                    yield "focal", 0, p, y, alpha, gamma
                if j == i % 3:
                    for p in ENDS:
                        yield "focal", 0, p, y, alpha, gamma


POINTWISE_HEADER = """\
/* Losses of one element and their slopes, to 25 digits. Written by scripts/golden/losses.py; do not edit.
 * { name, from_logits, x, y, a, b, value, slope }: const char *, int, double x 6. x is the prediction, or its logit
 * where from_logits is 1; the slope is d value / d x, NAN where nothing is to be compared (a probability of 0 or 1).
 * a: huber's delta, smooth_l1's beta, the beta of wbce and bbce, focal's alpha; b: focal's gamma; 0 where unused. */
"""


def pointwise():
    text = POINTWISE_HEADER
    for name, from_logits, x, y, a, b in pointwise_cases():
        def loss(v):
            return POINTWISE[name](sigma(v[0]) if from_logits else v[0], mpf(y), mpf(a), mpf(b))

        def compute():
            value = loss([mpf(x)])
            if name in ("bce", "wbce", "bbce", "focal") and not from_logits and x in ENDS:
                return [value, None]
            if name == "l1" and x == y or name == "hinge" and x * y == 1:  # the kinks, where the slope is 0
                return [value, mpf(0)]
            return [value] + slopes(loss, [x])
        text += row(quoted(name), str(from_logits), exact(x), exact(y), exact(a), exact(b), *settled(compute))
    return text


# ---- one distribution ----------------------------------------------------------------------------------------------

def softmax(xs):
    total = sum(mp.exp(x) for x in xs)
    return [mp.exp(x) / total for x in xs]


def cross_entropy(p, y):
    return -sum(weighted_log(y[c], p[c]) for c in range(len(y)))


def kl(p, y):
    return sum(weighted_log(y[c], y[c]) - weighted_log(y[c], p[c]) for c in range(len(y)))


CLASS_LOGITS = {
    2: [(0.3, -0.2), (1.4142135623730951, -3.141592653589793), (0.7, 0.7), (0.0, 20.0), (40.0, 0.0), (-40.0, 40.0),
        (100.0, -100.0), (0.0, 1000.0), (1000.0, -1000.0), (-700.0, 0.0)],
    3: [(1.0, 2.0, 3.0), (0.1, -2.3, 0.5772156649015329), (20.0, -20.0, 0.0), (-40.0, 0.0, 40.0),
        (1000.0, -1000.0, 0.0), (1000.0, 1000.0, -1000.0), (1000.0, 999.5, 998.0), (-1000.0, -1000.0, -1000.0)],
    4: [(0.5, -1.5, 2.5, 0.25), (0.0, 0.0, 0.0, 0.0), (100.0, -100.0, 0.0, 99.0)],
    5: [(0.3, -1.4142135623730951, 2.718281828459045, 0.0, 1.1), (2.0, 2.0, 2.0, 2.0, 2.0),
        (-1000.0, 1000.0, 0.0, -40.0, 20.0)],
}
CLASS_PROBABILITIES = {
    2: [(0.4, 0.6), (0.9, 0.1), (1e-10, 1 - 1e-10), (1 - 1e-10, 1e-10), (1e-300, 1.0), (0.0, 1.0)],
    3: [(0.2, 0.5, 0.3), (0.3333, 0.3333, 0.3334), (1e-10, 0.25, 0.75), (1.0, 0.0, 0.0)],
    4: [(0.1, 0.4, 0.3, 0.2), (0.7, 1e-20, 0.2, 0.1)],
    5: [(0.15, 0.25, 0.2, 0.1, 0.3)],
}
CLASS_TARGETS = {
    2: [(1.0, 0.0), (0.0, 1.0), (0.3, 0.7), (0.95, 0.05), (1 - 1e-9, 1e-9)],
    3: [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.2, 0.3, 0.5), (0.6, 0.0, 0.4),
        (0.9333333333333333, 0.03333333333333333, 0.03333333333333333)],
    4: [(0.0, 1.0, 0.0, 0.0), (0.1, 0.2, 0.3, 0.4), (0.5, 0.0, 0.5, 0.0), (0.025, 0.025, 0.925, 0.025)],
    5: [(0.0, 0.0, 0.0, 1.0, 0.0), (0.1, 0.15, 0.22, 0.25, 0.28), (0.0, 0.5, 0.25, 0.25, 0.0),
        (0.02, 0.02, 0.92, 0.02, 0.02)],
}
CLASS_WEIGHTED = {  # targets that do not sum to 1: cross entropy only
    2: [(2.0, 0.5), (0.2, 0.3)],
    3: [(0.5, 1.25, 0.0), (0.1, 0.2, 0.1)],
    4: [(1.0, 1.0, 2.0, 1.0)],
    5: [(3.0, 0.0, 0.5, 0.0, 1.0)],
}

CLASS_HEADER = """\
/* Losses of one distribution over C classes and their slopes, to 25 digits. Written by scripts/golden/losses.py; do
 * not edit. { name, from_logits, C, { x }, { y }, value, { slope } }: const char *, int, int, double[5], double[5],
 * double, double[5]; each list has C entries. x is the probabilities, or the logits where from_logits is 1; slope[c] is
 * d value / d x[c], NAN where nothing is to be compared (a probability of 0 with a target that is not 0). */
"""


def classes():
    text = CLASS_HEADER
    for name, loss_of in (("cross_entropy", cross_entropy), ("kl", kl)):
        for from_logits, inputs in ((1, CLASS_LOGITS), (0, CLASS_PROBABILITIES)):
            for C in sorted(inputs):
                for x in inputs[C]:
                    for y in CLASS_TARGETS[C] + (CLASS_WEIGHTED[C] if name == "cross_entropy" else []):
                        def loss(v):
                            return loss_of(softmax(v) if from_logits else v, [mpf(t) for t in y])

                        def compute():
                            slope = slopes(loss, x)
                            if not from_logits:
                                slope = [None if x[c] == 0 and y[c] != 0 else slope[c] for c in range(C)]
                            return [loss([mpf(v) for v in x])] + slope
                        out = settled(compute)
                        text += row(quoted(name), str(from_logits), str(C), braces(map(exact, x)),
                                    braces(map(exact, y)), out[0], braces(out[1:]))
    return text


# ---- one region ----------------------------------------------------------------------------------------------------

def counts(p, y):
    """Soft TP, FP, FN, TN."""
    pairs = list(zip(p, y))
    return (sum(q * t for q, t in pairs), sum(q * (1 - t) for q, t in pairs),
            sum((1 - q) * t for q, t in pairs), sum((1 - q) * (1 - t) for q, t in pairs))


def dice(p, y, a, b, c, e):
    return 1 - (2 * counts(p, y)[0] + e) / (sum(p) + sum(y) + e)


def tversky(p, y, fp_weight, fn_weight, c, e):
    TP, FP, FN, _ = counts(p, y)
    return 1 - (TP + e) / (TP + fp_weight * FP + fn_weight * FN + e)


def focal_tversky(p, y, fp_weight, fn_weight, gamma, e):
    return tversky(p, y, fp_weight, fn_weight, 0, e) ** gamma


def sensitivity_specificity(p, y, w, b, c, e):
    TP, FP, FN, TN = counts(p, y)
    return 1 - (w * (TP + e) / (TP + FN + e) + (1 - w) * (TN + e) / (TN + FP + e))


def jaccard(p, y, a, b, c, e):
    TP, FP, FN, _ = counts(p, y)
    return 1 - (TP + e) / (TP + FP + FN + e)


def log_cosh_dice(p, y, a, b, c, e):
    return mp.log(mp.cosh(dice(p, y, a, b, c, e)))


REGION = {f.__name__: f for f in (dice, tversky, focal_tversky, sensitivity_specificity, jaccard, log_cosh_dice)}

REGION_PARAMETERS = {  # (a, b, c, eps), each loss taking the next ones in turn from case to case
    "dice": (2, [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1e-6), (0.0, 0.0, 0.0, 0.0)]),
    "tversky": (2, [(0.5, 0.5, 0.0, 0.5), (0.3, 0.7, 0.0, 1.0), (0.7, 0.3, 0.0, 1e-6), (0.2, 0.2, 0.0, 0.0)]),
    "focal_tversky": (3, [(0.3, 0.7, 0.75, 1.0), (0.7, 0.3, 4 / 3, 1e-6), (0.5, 0.5, 1.0, 1.0), (0.3, 0.7, 2.0, 1e-6),
                          (0.3, 0.7, 0.5, 0.0)]),
    "sensitivity_specificity": (2, [(0.5, 0.0, 0.0, 0.0), (0.05, 0.0, 0.0, 0.0), (0.9, 0.0, 0.0, 1.0)]),
    "jaccard": (1, [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1e-6), (0.0, 0.0, 0.0, 0.0)]),
    "log_cosh_dice": (1, [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1e-6)]),
}

HARD = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
SOFT = [0.8, 0.1, 0.55, 0.95]
REGION_CASES = [  # (from_logits, x, y)
    (0, [0.9, 0.2, 0.7, 0.4, 0.05, 0.6], HARD),
    (0, [0.3333, 0.1, 0.7071067811865476, 0.5, 0.02], [0.0] * 5),                   # an empty mask
    (0, [0.3333, 0.9, 0.7071067811865476, 0.5], [1.0] * 4),                         # a full mask
    (0, HARD, HARD),                                                                # perfect
    (0, [abs(t - 1e-12) for t in HARD], HARD),                                      # nearly perfect
    (0, [1e-300] * 5, [0.0] * 5),                                                   # nearly empty, as the mask is
    (0, [0.85, 0.15, 0.6, 0.3, 0.05, 0.45, 0.7], [0.9, 0.2, 0.75, 0.1, 0.0, 0.4, 1.0]),
    (0, SOFT, SOFT),
    (0, [SOFT[0] + 1e-12, SOFT[1] - 1e-12, SOFT[2] + 1e-12, SOFT[3] - 1e-12], SOFT),
    (0, [0.0] * 4, [0.0, 1.0, 1.0, 0.0]),                                           # all missed
    (0, [0.0] * 4, [0.0] * 4),                                                      # nothing there, nothing seen
    (0, [1e-10, 0.9, 0.3333, 1 - 1e-10, 0.5, 0.1, 0.62, 0.77, 0.01], [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
    (1, [0.3, -2.5, 1.4142135623730951, -0.3, -3.141592653589793, 0.5772156649015329], HARD),
    (1, [20.0, -20.0, 40.0, 20.0, -40.0, -20.0], HARD),                             # confident and right
    (1, [100.0, -100.0, 100.0, 100.0, -100.0, -100.0], HARD),
    (1, [1000.0, -1000.0, 1000.0, 1000.0, -1000.0, -1000.0], HARD),
    (1, [-40.0, 40.0, -20.0, 20.0, 2.5], [1.0, 0.0, 1.0, 0.0, 1.0]),                # confident and mostly wrong
    (1, [-1000.0, 1000.0, -100.0, 1000.0], [1.0, 0.0, 1.0, 1.0]),
    (1, [-20.0, -2.5, -40.0, 0.3], [0.0] * 4),
    (1, [20.0, 2.5, 40.0, -0.3], [1.0] * 4),
    (1, [2.5, -0.3, 20.0, -40.0, 0.0], [0.9, 0.2, 0.75, 0.1, 0.4]),
]

REGION_HEADER = """\
/* Losses of one region of n elements and their slopes, to 25 digits. Written by scripts/golden/losses.py; do not edit.
 * { name, from_logits, n, { x }, { y }, a, b, c, eps, value, { slope } }: const char *, int, int, double[9], double[9],
 * double x 5, double[9]; each list has n entries. x is the probabilities, or the logits where from_logits is 1;
 * slope[i] is d value / d x[i], NAN where it is infinite (focal_tversky, gamma < 1, a perfect prediction). tversky and
 * focal_tversky: a = fp_weight, b = fn_weight, c = gamma; sensitivity_specificity: a = w, and eps is added above and
 * below the line of both its ratios; 0 where unused. */
"""


def defined(name, y, eps):
    """Whether no ratio is 0/0."""
    return eps > 0 or any(y) and (name != "sensitivity_specificity" or not all(t == 1 for t in y))


def regions():
    text = REGION_HEADER
    for name, (per_case, parameters) in REGION_PARAMETERS.items():
        turn = 0
        for from_logits, x, y in REGION_CASES:
            choices = [parameters[(turn + i) % len(parameters)] for i in range(per_case)]
            turn += per_case
            for a, b, c, eps in choices:
                if not defined(name, y, eps):
                    continue

                def region_loss(v, f=REGION[name], c=c):
                    p = [sigma(u) for u in v] if from_logits else v
                    return f(p, [mpf(t) for t in y], mpf(a), mpf(b), mpf(c), mpf(eps))

                def compute():
                    value = region_loss([mpf(v) for v in x])
                    if name == "focal_tversky" and value == 0 and c != 1:  # 0^gamma: flat above 1, vertical below
                        return [value] + [mpf(0) if c > 1 else None] * len(x)
                    return [value] + slopes(region_loss, x)
                out = settled(compute)
                text += row(quoted(name), str(from_logits), str(len(x)), braces(map(exact, x)), braces(map(exact, y)),
                            exact(a), exact(b), exact(c), exact(eps), out[0], braces(out[1:]))
    return text


# ---- one image of several classes ----------------------------------------------------------------------------------

def each_class(loss, p, y, *rest):
    """The mean of a loss of one region over the classes."""
    return sum(loss(p[c], y[c], *rest) for c in range(len(p))) / len(p)


def each_pixel(loss, p, y, *rest):
    """The mean of a loss of one element."""
    pairs = [(q, t) for c in range(len(p)) for q, t in zip(p[c], y[c])]
    return sum(loss(q, t, *rest) for q, t in pairs) / len(pairs)


def dice_classes(p, y, a, b, c, e):
    return each_class(dice, p, y, 0, 0, 0, e)


def dice_bce(p, y, mix, b, c, e):
    return each_class(dice, p, y, 0, 0, 0, e) + mix * each_pixel(bce, p, y, 0, 0)


def dice_focal(p, y, mix, alpha, gamma, e):
    return each_class(dice, p, y, 0, 0, 0, e) + mix * each_pixel(focal, p, y, alpha, gamma)


def dice_ce(p, y, mix, b, c, e):
    pixels = [cross_entropy([v[i] for v in p], [v[i] for v in y]) for i in range(len(p[0]))]
    return each_class(dice, p, y, 0, 0, 0, e) + mix * sum(pixels) / len(pixels)


def generalised_dice(p, y, a, b, c, e):
    """Each class weighted by 1/size^2, a class that is not there as the rarest that is; the largest weight is 1."""
    sizes = [sum(v) for v in y]
    there = [s for s in sizes if s > 0]
    weights = [(min(there) / s) ** 2 if s > 0 else mpf(1) for s in sizes]
    TPs = [counts(p[k], y[k])[0] for k in range(len(p))]
    return 1 - (2 * sum(w * t for w, t in zip(weights, TPs)) + e) / (
        sum(w * (sum(p[k]) + sizes[k]) for k, w in enumerate(weights)) + e)


def jaccard_of_mistakes(y, wrong):
    """The Jaccard loss of the mask that is y but for the pixels in `wrong`."""
    mask = {i for i, t in enumerate(y) if t == 1}
    other = mask ^ wrong
    return 1 - mpf(len(mask & other)) / len(mask | other) if mask | other else mpf(0)


def lovasz(errors, y):
    order = sorted(range(len(y)), key=lambda i: -errors[i])
    return sum(errors[i] * (jaccard_of_mistakes(y, set(order[:k + 1])) - jaccard_of_mistakes(y, set(order[:k])))
               for k, i in enumerate(order))


def lovasz_hinge(x, y, a, b, c, e):
    losses = [lovasz([max(mpf(0), 1 - v * (2 * t - 1)) for v, t in zip(x[k], y[k])], y[k]) for k in range(len(x))]
    return sum(losses) / len(x)


def lovasz_softmax(p, y, a, b, c, e):
    there = [k for k in range(len(p)) if any(y[k])]
    return sum(lovasz([abs(q - t) for q, t in zip(p[k], y[k])], y[k]) for k in there) / len(there)


def one_hot(classes, index):
    return [[1.0 if i == c else 0.0 for i in index] for c in range(classes)]


IMAGES = {  # classes: (from_logits, x by class, y by class); from_logits is 2 for a softmax over the classes
    1: [
        (0, [[0.9, 0.2, 0.7, 0.4, 0.05, 0.6]], [[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]),
        (0, [[0.3333, 0.1, 0.7071067811865476, 0.5]], [[0.0] * 4]),
        (1, [[0.3, -2.5, 1.4142135623730951, -0.3, -3.141592653589793, 0.5772156649015329]],
         [[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]),
        (1, [[100.0, -99.0, 98.0, -97.0]], [[1.0, 0.0, 1.0, 0.0]]),
        (1, [[-100.0, 99.0, -98.0, 97.0]], [[1.0, 0.0, 1.0, 0.0]]),
        (1, [[0.3, -0.7, 1.25, 0.9]], [[1.0] * 4]),
    ],
    2: [
        (0, [[0.85, 0.1, 0.62, 0.3, 0.95], [0.15, 0.9, 0.38, 0.7, 0.05]], one_hot(2, [0, 1, 1, 1, 0])),
        (2, [[0.3, -2.5, 1.25, -0.3, 0.7], [0.1, 2.5, 0.5, 0.9, -1.4142135623730951]], one_hot(2, [0, 1, 1, 1, 0])),
        (2, [[20.0, -19.0, 21.5], [-20.0, 18.0, -17.0]], one_hot(2, [0, 1, 0])),
        (2, [[0.3, -2.5, 1.25, -0.3], [0.1, 2.5, 0.5, 0.9]], one_hot(2, [0, 0, 0, 0])),
    ],
    3: [
        (0, [[0.7, 0.2, 0.1, 0.5], [0.2, 0.5, 0.3, 0.4], [0.1, 0.3, 0.6, 0.1]], one_hot(3, [0, 1, 2, 0])),
        (2, [[1.0, 0.1, -2.3, 0.5], [0.2, 2.718281828459045, 0.25, -0.75], [-0.5, 0.3, 1.1, 2.0]],
         one_hot(3, [0, 1, 2, 1])),
        (2, [[40.0, -3.0, 0.0, 100.0], [-40.0, 20.0, -21.0, -100.0], [0.0, -19.0, 17.0, 30.0]],
         one_hot(3, [0, 1, 2, 0])),
        (2, [[-40.0, 3.0, 0.0, 30.0], [40.0, -20.0, -21.0, 31.0], [0.0, 19.0, 17.0, -30.0]], one_hot(3, [0, 1, 1, 0])),
    ],
}
IMAGE_LOSSES = [  # loss, (a, b, c, eps), whether it takes this image
    (dice_classes, [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1e-6)], lambda C, form: True),
    (generalised_dice, [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1e-6)], lambda C, form: C > 1),
    (dice_bce, [(1.0, 0.0, 0.0, 1.0), (0.25, 0.0, 0.0, 1e-6)], lambda C, form: form < 2),
    (dice_ce, [(1.0, 0.0, 0.0, 1.0), (0.25, 0.0, 0.0, 1e-6)], lambda C, form: C > 1 and form != 1),
    (dice_focal, [(1.0, 0.25, 2.0, 1.0), (0.5, 0.9, 0.5, 1e-6)], lambda C, form: form < 2),
    (lovasz_hinge, [(0.0, 0.0, 0.0, 0.0)], lambda C, form: form == 1),
    (lovasz_softmax, [(0.0, 0.0, 0.0, 0.0)], lambda C, form: C > 1 and form != 1),
]

IMAGE_HEADER = """\
/* Losses of one image of C classes and P pixels and their slopes, to 25 digits. Written by scripts/golden/losses.py; do
 * not edit. { name, from_logits, C, P, { x }, { y }, a, b, c, eps, value, { slope } }: const char *, int x 3,
 * double[12] x 2, double x 5, double[12]; each list has C rows of P. x is the probabilities; or the logits where
 * from_logits is 1, each by itself, or 2, the classes through a softmax. dice_classes is the mean of the classes' Dice
 * losses; dice_bce, dice_ce, dice_focal: that + a * (BCE, cross entropy, focal with alpha = b and gamma = c), each a
 * mean; 0 where unused. */
"""


def by_class(values, classes):
    n = len(values) // classes
    return [values[k * n:(k + 1) * n] for k in range(classes)]


def images():
    text = IMAGE_HEADER
    for loss, parameters, takes in IMAGE_LOSSES:
        for C in sorted(IMAGES):
            for form, x, y in IMAGES[C]:
                for a, b, c, eps in parameters if takes(C, form) else []:
                    flat, target = sum(x, []), [[mpf(t) for t in row_] for row_ in y]

                    def image_loss(v):
                        rows = by_class(v, C)
                        if form == 1 and loss is not lovasz_hinge:
                            rows = [[sigma(u) for u in r] for r in rows]
                        if form == 2:
                            pixels = [softmax([r[i] for r in rows]) for i in range(len(rows[0]))]
                            rows = [[p[k] for p in pixels] for k in range(C)]
                        return loss(rows, target, mpf(a), mpf(b), mpf(c), mpf(eps))
                    out = settled(lambda: [image_loss([mpf(v) for v in flat])] + slopes(image_loss, flat))
                    text += row(quoted(loss.__name__), str(form), str(C), str(len(x[0])), braces(map(exact, flat)),
                                braces(map(exact, sum(y, []))), exact(a), exact(b), exact(c), exact(eps),
                                out[0], braces(out[1:]))
    return text


# ---- the saturated neuron ------------------------------------------------------------------------------------------

NEURON_LOSSES = {  # of the output, target y
    "mse_half": lambda p, y: (p - y) ** 2 / 2,
    "mse": lambda p, y: (p - y) ** 2,
    "cross_entropy": lambda p, y: -(weighted_log(y, p) + weighted_log(1 - y, 1 - p)),
}
NEURON_STARTS = [(2.0, 2.0), (0.6, 0.9)]
NEURON_STEPS = {("mse_half", 2.0): 469, ("mse", 2.0): 234, ("cross_entropy", 2.0): 50,
                ("mse_half", 0.6): 273, ("mse", 0.6): 136, ("cross_entropy", 0.6): 41}
STEP, BELOW, FIRST = 0.15, 0.1, 10

NEURON_HEADER = """\
/* The saturated neuron, sigma(w x + b) with x = 1, y = 0, to 25 digits. Written by scripts/golden/losses.py; do not
 * edit. Three tables; define one of the macros, include, undefine. NEURON_RUNS: { loss, w, b, step, steps, { out } }:
 * const char *, double x 3, int, double[10]; steps of gradient descent until the output is below 0.1, and the output
 * before the first step and after 1 to 9. NEURON_RATIOS: { z, ratio }: double x 2; the gradient by z of cross entropy
 * over that of MSE (Eq. 2), 1/(2 sigma'(z)). NEURON_ONES: { how, z }: const char *, double; the smallest double z whose
 * sigma is 1.0: "rounded", the true value rounded once; "formula", 1/(1 + exp(-z)) rounded after each operation. */
"""


def neuron_run(loss, w, b):
    """Steps to an output below BELOW, and the first outputs; the gradients are difference quotients of the loss."""
    x, y = mpf(1), mpf(0)
    outputs = []
    while True:
        outputs.append(sigma(w * x + b))
        if outputs[-1] < BELOW:
            break
        dw, db = slopes(lambda v: loss(sigma(v[0] * x + v[1]), y), [w, b])
        w, b = w - STEP * dw, b - STEP * db
    if outputs[-2] < BELOW + 1e-6 or outputs[-1] > BELOW - 1e-6:
        raise SystemExit("the number of steps hangs on rounding")
    return [mpf(len(outputs) - 1)] + outputs[:FIRST]


def first_double(holds, low, high):
    """The smallest double in (low, high] where a condition that stays true once true is true."""
    while math.nextafter(low, high) < high:
        middle = low + (high - low) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def rounded_to(bits, v):
    with mp.workprec(bits):
        return +v


def neuron():
    text = NEURON_HEADER + "#if defined(NEURON_RUNS)\n"
    for w, b in NEURON_STARTS:
        for name, loss in NEURON_LOSSES.items():
            out = settled(lambda: neuron_run(loss, mpf(w), mpf(b)))
            steps = int(float(out[0]))
            if steps != NEURON_STEPS[name, w]:
                raise SystemExit("%s from (%g, %g): %d steps, %d known" % (name, w, b, steps, NEURON_STEPS[name, w]))
            text += row(quoted(name), exact(w), exact(b), exact(STEP), str(steps), braces(out[1:]))

    text += "#elif defined(NEURON_RATIOS)\n"
    for z in (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 100.0):
        def ratio():
            of_ce, of_mse = (slopes(lambda v: NEURON_LOSSES[n](sigma(v[0]), mpf(0)), [z])[0]
                             for n in ("cross_entropy", "mse"))
            return [of_ce / of_mse]
        text += row(exact(z), *settled(ratio))

    text += "#elif defined(NEURON_ONES)\n"
    with mp.workdps(100):
        once = first_double(lambda z: rounded_to(53, sigma(mpf(z))) == 1, 30.0, 50.0)
        each = first_double(lambda z: rounded_to(53, 1 + rounded_to(53, mp.exp(-mpf(z)))) == 1, 30.0, 50.0)
    text += row(quoted("rounded"), exact(once)) + row(quoted("formula"), exact(each))
    return text + "#endif\n"


if __name__ == "__main__":
    main({"pointwise_losses.inc": pointwise, "class_losses.inc": classes, "region_losses.inc": regions,
          "image_losses.inc": images,
          "neuron.inc": neuron})
