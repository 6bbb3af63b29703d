#!/usr/bin/env python3
"""The workloads of gradus_bench in PyTorch, each in the fastest form PyTorch has.

A builder takes `wrap` (nothing, or torch.compile) and yields the forms of a workload as pairs (note, step), where one
call of `step` is one step: forward, loss, backward and update, gradients cleared. Every form is tried for a moment and
the fastest is then timed. One JSON line per workload goes to standard output, as gradus_bench prints it.
"""
import argparse
import ctypes
import gc
import json
import statistics
import sys
import time
from functools import partial

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit("peer_torch: this Python has no PyTorch (Debian, Ubuntu: apt-get install python3-torch)")


# Updates: each yields (note, update), and update(loss) runs backward and changes the parameters.


def descent(parameters, rate=0.1):
    """Plain gradient descent in the fewest calls."""
    values = [p.data for p in parameters]

    def update(loss):
        torch._foreach_add_(values, torch.autograd.grad(loss, parameters), alpha=-rate)

    yield "plain", update


def optimizer(kind, parameters, **settings):
    for form in ("foreach", "fused", None):
        try:
            chosen = kind(parameters, **settings, **({form: True} if form else {"foreach": False}))
        except (TypeError, RuntimeError):
            continue  # this PyTorch does not have the form for the CPU

        def update(loss, chosen=chosen):
            chosen.zero_grad(set_to_none=True)
            loss.backward()
            chosen.step()

        yield form or "one by one", update


sgd = partial(optimizer, torch.optim.SGD, lr=0.01, momentum=0.9)
adam = partial(optimizer, torch.optim.Adam, lr=0.001)


def train(loss, updates):
    for note, update in updates:
        yield note, lambda update=update: update(loss())


# Losses that PyTorch has no function for.


def sigmoid_mse(x, y):
    return F.mse_loss(torch.sigmoid(x), y)


def hinge(x, y, one=torch.ones(())):
    return torch.addcmul(one, x, y, value=-1).relu_().mean()


def softplus_bce(x, y):
    return (F.softplus(x) - x * y).mean()


def kl(p, y):
    return (y * (y.log() - p.log())).sum() / len(p)


# Losses of masks. y is 0 or 1, so that the probability of what is true is 1 - |p - y| and one logarithm is enough.


def minus_log(p, y):
    return -torch.log(1 - (p - y).abs())


def minus_log_sigmoid(x, y):
    return F.softplus((1 - 2 * y) * x)


def bce_formula(p, y):
    return minus_log(p, y).mean()


def weights(y, positive, negative):
    return negative + (positive - negative) * y


def twice(y):
    return weights(y, 2.0, 1.0)


def balanced(y):
    share = y.mean(-1, keepdim=True)
    return weights(y, 1 - share, share)


def focal(p, y, alpha=0.25):
    return (weights(y, alpha, 1 - alpha) * minus_log(p, y) * (p - y).square()).mean()


def focal_logits(x, y, alpha=0.25):
    return (weights(y, alpha, 1 - alpha) * minus_log_sigmoid(x, y) * (torch.sigmoid(x) - y).square()).mean()


def focal_builtin(x, y, alpha=0.25):
    bce = F.binary_cross_entropy_with_logits(x, y, weight=weights(y, alpha, 1 - alpha), reduction="none")
    return (bce * (torch.sigmoid(x) - y).square()).mean()


# Losses of regions: formulas of the soft numbers of true positives, false positives, false negatives and all pixels.


def sensitivity_specificity(tp, fp, fn, n):
    tn = n - tp - fp - fn
    return 1 - (tp / (tp + fn) + tn / (tn + fp)) / 2


def dice(tp, fp, fn, n):
    return 1 - (2 * tp + 1) / (2 * tp + fp + fn + 1)


def tversky(tp, fp, fn, n):
    return 1 - (tp + 1) / (tp + (fp + fn) / 2 + 1)


def focal_tversky(*counts):
    return tversky(*counts) ** 0.75


def jaccard(tp, fp, fn, n):
    return 1 - (tp + 1) / (tp + fp + fn + 1)


def region(formula, logits=False):
    """The mean of the formula over planes, each of which lies along the last axis."""

    def loss(p, y):
        p = torch.sigmoid(p) if logits else p
        tp = (p * y).sum(-1)
        return formula(tp, p.sum(-1) - tp, y.sum(-1) - tp, y.shape[-1]).mean()

    return loss


# Data.


def mask(*shape):
    return torch.bernoulli(torch.full(shape, 0.3))


def sign(*shape):
    return 2 * mask(*shape) - 1


def chance(*shape):
    return torch.rand(*shape).clamp_(0.001, 0.999)


def distribution(*shape):
    return torch.randn(*shape).softmax(-1)


def label(n, classes):
    return torch.randint(classes, (n,))


# Builders.


def neuron(wrap, loss):
    x, y = torch.tensor(1.0), torch.tensor(0.0)
    w, b = (torch.tensor(2.0, requires_grad=True) for _ in "wb")
    return train(wrap(lambda: loss(torch.addcmul(b, w, x), y)), descent([w, b]))


def perceptron(wrap, sizes, batch, target, loss, update):
    layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    x, y = torch.randn(batch, sizes[0]), target(batch, sizes[-1])
    return train(wrap(lambda: loss(model(x), y)), update(list(model.parameters())))


LAYOUTS = {"channels-first": torch.contiguous_format, "channels-last": torch.channels_last}


def segmenter(wrap, batch, side, loss):
    image, truth = torch.randn(batch, 1, side, side), mask(batch, side * side)
    for layout, memory in LAYOUTS.items():
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(16, 1, 1), nn.Flatten(),
        ).to(memory_format=memory)
        x = image.to(memory_format=memory)
        for note, step in train(wrap(lambda: loss(model(x), truth)), adam(list(model.parameters()))):
            yield f"{layout}, {note}", step


def alone(wrap, shape, prediction, target, **forms):
    x, y = prediction(*shape).requires_grad_(), target(*shape)
    for note, form in forms.items():

        def step(loss=wrap(form)):
            x.grad = None
            loss(x, y).backward()

        yield note, step


def convolution(wrap, batch, inputs, outputs, side, part):
    for layout, memory in LAYOUTS.items():
        x = torch.randn(batch, inputs, side, side).to(memory_format=memory)
        w = torch.randn(outputs, inputs, 3, 3).to(memory_format=memory)
        g = torch.randn(batch, outputs, side, side).to(memory_format=memory)
        # stride, padding, dilation; transposed or not, and its padding; groups
        geometry = [1, 1], [1, 1], [1, 1], False, [0, 0], 1
        if part == "forward":
            step = partial(F.conv2d, x, w, padding=1)
        elif part == "step":
            leaves = [t.requires_grad_() for t in ([x, w] if inputs > 1 else [w])]  # a first layer's input is data

            def step(x=x, w=w, g=g, leaves=leaves):
                return torch.autograd.grad(F.conv2d(x, w, padding=1), leaves, g)

        else:
            wanted = [part == "both", True, False]  # the gradient of the input, of the weights, of a bias
            step = partial(torch.ops.aten.convolution_backward, g, x, w, None, *geometry, wanted)
        yield layout, wrap(lambda step=step: step())


def weighted(name, weight):
    """The two workloads of BCE with a weight for each element."""
    chances = {
        "builtin": lambda p, y: F.binary_cross_entropy(p, y, weight=weight(y)),
        "formula": lambda p, y: (weight(y) * minus_log(p, y)).mean(),
    }
    logits = {
        "builtin": lambda x, y: F.binary_cross_entropy_with_logits(x, y, weight=weight(y)),
        "formula": lambda x, y: (weight(y) * minus_log_sigmoid(x, y)).mean(),
    }
    return {
        f"W4-{name}": partial(planes, prediction=chance, **chances),
        f"W4-{name}-logits": partial(planes, prediction=torch.randn, **logits),
    }


def regions(name, formula):
    """The two workloads of a loss of regions."""
    return {
        f"W4-{name}": partial(planes, prediction=chance, formula=region(formula)),
        f"W4-{name}-logits": partial(planes, prediction=torch.randn, formula=region(formula, logits=True)),
    }


def check(wrap, fast):
    shapes = ((1, 2, 8, 8), (3, 2, 3, 3), (3,))
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    y = mask(1, 3, 8, 8).double()
    f = wrap(lambda x, w, b: F.binary_cross_entropy(torch.sigmoid(F.conv2d(x, w, b, padding=1)), y))
    yield "gradcheck", lambda: torch.autograd.gradcheck(f, inputs, fast_mode=fast, check_undefined_grad=False)


flat, rows = partial(alone, shape=(1 << 24,)), partial(alone, shape=(1 << 18, 64))
planes = partial(alone, shape=(16, 1 << 20), target=mask)
bce_logits, cross_entropy = F.binary_cross_entropy_with_logits, F.cross_entropy
deep = partial(perceptron, sizes=(784, 256, 128, 10), batch=64, target=label, loss=cross_entropy)

WORKLOADS = {
    "W0-neuron-mse": partial(neuron, loss=sigmoid_mse),
    "W0-neuron-bce": partial(neuron, loss=bce_logits),
    "W1-softmax": partial(perceptron, sizes=(784, 10), batch=64, target=label, loss=cross_entropy, update=descent),
    "W1-logistic": partial(perceptron, sizes=(30, 1), batch=256, target=mask, loss=bce_logits, update=descent),
    "W2-sgd": partial(deep, update=sgd),
    "W2-adam": partial(deep, update=adam),
    "W3-64-bce": partial(segmenter, batch=16, side=64, loss=bce_logits),
    "W3-64-dice": partial(segmenter, batch=16, side=64, loss=region(dice, logits=True)),
    "W3-128-bce": partial(segmenter, batch=4, side=128, loss=bce_logits),
    "W3-128-dice": partial(segmenter, batch=4, side=128, loss=region(dice, logits=True)),
    "W3-256-bce": partial(segmenter, batch=4, side=256, loss=bce_logits),
    "W3-256-dice": partial(segmenter, batch=4, side=256, loss=region(dice, logits=True)),
    "W4-mse": partial(flat, prediction=torch.randn, target=torch.randn, builtin=F.mse_loss),
    "W4-l1": partial(flat, prediction=torch.randn, target=torch.randn, builtin=F.l1_loss),
    "W4-bce": partial(flat, prediction=chance, target=mask, builtin=F.binary_cross_entropy, formula=bce_formula),
    "W4-bce-logits": partial(flat, prediction=torch.randn, target=mask, builtin=bce_logits, formula=softplus_bce),
    "W4-hinge": partial(flat, prediction=torch.randn, target=sign, formula=hinge),
    "W4-ce": partial(rows, prediction=torch.randn, target=label, builtin=cross_entropy),
    "W4-kl": partial(rows, prediction=distribution, target=distribution, formula=kl),
    "W4-focal": partial(planes, prediction=chance, formula=focal),
    "W4-focal-logits": partial(planes, prediction=torch.randn, builtin=focal_builtin, formula=focal_logits),
    **weighted("weighted-bce", twice),
    **weighted("balanced-bce", balanced),
    **regions("sens-spec", sensitivity_specificity),
    **regions("dice", dice),
    **regions("tversky", tversky),
    **regions("focal-tversky", focal_tversky),
    **regions("jaccard", jaccard),
    "W5-16x32-64-forward": partial(convolution, batch=16, inputs=32, outputs=64, side=64, part="forward"),
    "W5-16x32-64-weights": partial(convolution, batch=16, inputs=32, outputs=64, side=64, part="weights"),
    "W5-16x32-64-both": partial(convolution, batch=16, inputs=32, outputs=64, side=64, part="both"),
    "W5-16x32-64-step": partial(convolution, batch=16, inputs=32, outputs=64, side=64, part="step"),
    "W5-8x64-64-forward": partial(convolution, batch=8, inputs=64, outputs=64, side=56, part="forward"),
    "W5-8x64-64-weights": partial(convolution, batch=8, inputs=64, outputs=64, side=56, part="weights"),
    "W5-8x64-64-both": partial(convolution, batch=8, inputs=64, outputs=64, side=56, part="both"),
    "W5-8x64-64-step": partial(convolution, batch=8, inputs=64, outputs=64, side=56, part="step"),
    "W5-16x1-8-forward": partial(convolution, batch=16, inputs=1, outputs=8, side=64, part="forward"),
    "W5-16x1-8-weights": partial(convolution, batch=16, inputs=1, outputs=8, side=64, part="weights"),
    "W5-16x1-8-step": partial(convolution, batch=16, inputs=1, outputs=8, side=64, part="step"),
    "W6-full": partial(check, fast=False),
    "W6-fast": partial(check, fast=True),
}


# Timing.


def timings(step, reps, seconds):
    """Microseconds of one step, at most `reps` times and for about `seconds`. A rep is a batch of steps of at least a
    millisecond, so that reading the clock costs nothing."""
    step()  # the first call may compile
    steps, start = 0, time.perf_counter()
    while steps < 3 or time.perf_counter() - start < 0.05:
        step()
        steps += 1
    batch = max(1, round(0.001 * steps / (time.perf_counter() - start)))
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or (len(times) < reps and time.perf_counter() < end):
        start = time.perf_counter()
        for _ in range(batch):
            step()
        times.append(1e6 * (time.perf_counter() - start) / batch)
    return sorted(times)


def compiled(function):
    import torch._dynamo

    torch._dynamo.reset()  # else a function met in many forms is no longer compiled
    return torch.compile(function)


def fastest(build, reps, seconds):
    """The timings of the fastest form, and its name."""
    wraps = {"eager": lambda function: function}
    if hasattr(torch, "compile"):
        wraps["compiled"] = compiled
    tried = []
    for how, wrap in wraps.items():
        try:
            for note, step in build(wrap):
                tried.append((statistics.median(timings(step, 5, seconds / 10)), f"{how}, {note}", step))
        except Exception as problem:  # a machine without a C++ compiler, say
            if how == "eager":
                raise
            print(f"peer_torch: torch.compile: {problem}", file=sys.stderr)
    _, note, step = min(tried, key=lambda trial: trial[0])
    return timings(step, reps, seconds), note


def blas():
    """The kernels that the BLAS chose for this CPU."""
    if torch.backends.mkl.is_available():
        return "MKL"
    try:
        corename = ctypes.CDLL("libblas.so.3").openblas_get_corename
    except (OSError, AttributeError):
        return "not OpenBLAS"
    corename.restype = ctypes.c_char_p
    return corename().decode()


def selects(name, prefix):
    """A whole name stands for itself alone: W4-bce is not W4-bce-logits."""
    return name == prefix if prefix in WORKLOADS else name.startswith(prefix)


def main():
    parser = argparse.ArgumentParser(description="Times the workloads of gradus_bench in PyTorch.")
    parser.add_argument("--workload", default="", metavar="PREFIX[,PREFIX...]", help="only those whose name begins so")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--reps", type=int, default=51, metavar="N", help="timed repetitions at most (51)")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="time for one workload, about (5)")
    parser.add_argument("--list", action="store_true", help="print the names of the workloads")
    options = parser.parse_args()

    chosen = [name for name in WORKLOADS if any(map(partial(selects, name), options.workload.split(",")))]
    if not chosen:
        parser.error(f"no workload begins with {options.workload}")
    if options.list:
        print("\n".join(chosen))
        return

    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    gc.disable()
    for name in chosen:
        gc.collect()
        torch.manual_seed(1)
        times, note = fastest(WORKLOADS[name], options.reps, options.seconds)
        record = {
            "program": "torch", "workload": name, "threads": options.threads,
            "dtype": "f64" if name.startswith("W6") else "f32", "reps": len(times), "unit": "us",
            "min": times[0], "median": statistics.median(times), "p90": times[int(0.9 * (len(times) - 1))],
            "blas": blas(), "note": f"PyTorch {torch.__version__}, {note}",
        }
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}), flush=True)


if __name__ == "__main__":
    main()
