"""Findings about the training: its losses, its rate, and whether it trains the model's own arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase
from fastbp.diagnosis.data import guess_of
from fastbp.diagnosis.report import Finding
from fastbp.modules import Module

__all__ = ["AT_GUESSING", "findings", "of_parameters"]

#: A loss above this share of the best constant answer's is that of guessing.
AT_GUESSING = 0.98
#: Losses, an epoch or a step each, and steps from which a training should have learnt something.
ENOUGH_LOSSES, ENOUGH_STEPS = 10, 200
#: A loss that has grown by half over a training.
GROWN = 1.5
#: A step as large as the weights themselves; a thousandth of them is usual (Karpathy, CS231n), and a hundredth of it
#: too little to be seen in thousands of steps.
STEP_TOO_LARGE, STEP_TOO_SMALL = 1.0, 1e-6
#: Of He's start: below it a weight counts as not begun, and steps are compared with this.
LEAST_START = 0.1
#: Rows below which a batch's variance is off by sqrt(2 / (n - 1)), a half and more (Ioffe & Szegedy, 2015; Wu & He,
#: Group normalization, 2018, whose errors grow from batches of 8 down).
FEW_ROWS = 8
#: How many times the most that one batch can give the gradients kept have to be: weights have moved by a step since.
GROWN_GRADIENT = 1.5
#: Rules whose steps do not grow with the gradient: each number moves by about the rate.
_BY_RATE = ("adam", "adamw", "nadam", "radam", "adamax", "rmsprop", "adagrad", "lion")
#: What may keep a network from learning, so that its rate is not to blame.
_OTHER_CAUSES = {
    "inputs_not_finite", "targets_not_finite", "overflow", "symmetric_units", "softmax_twice", "sigmoid_twice",
    "bounded_output", "dead_units", "saturated", "vanishing_gradients", "constant_inputs", "labels_do_not_fit",
    "softmax_of_one", "rebound_weights", "inputs_not_normalised", "targets_not_scaled",
}  # fmt: skip


def findings(subject: Any, found: Any, t: Any, optimizer: Any, batch_size: Any, others: Any) -> Any:
    """What the losses, the rate and the modes say; `others` are the findings so far."""
    result = [*_rate(subject, found, t, optimizer, {each.kind for each in others})]
    result += [*_zero_grad(found, batch_size), *_modes(subject, found), *_tiny_batches(subject, batch_size)]
    kinds = {each.kind for each in (*others, *result)}
    return result + _guessing(subject, found, t, kinds)


# --- the rate ----------------------------------------------------------------------------------


def _rate(subject, found, t, optimizer, kinds):
    losses = np.array(subject.losses, np.float64)
    guess: Any = guess_of(subject, t)
    if len(losses) and not np.isfinite(losses).all():
        place = int(np.argmax(~np.isfinite(losses)))
        return [_too_high(float("inf"), f"The loss is {losses[place]} from number {place + 1} of {len(losses)} on")]
    ratios = _steps_of(subject, found, optimizer)
    if ratios:
        part, ratio = max(ratios, key=lambda pair: pair[1])
        if ratio > STEP_TOO_LARGE:
            what = f"A step changes the weights of {part.words} by {ratio:.3g} times their size"
            return [_too_high(ratio, what, part)]
    if len(losses) >= 3:
        n = max(1, len(losses) // 10)
        first, last = float(np.median(losses[:n])), float(np.median(losses[-n:]))
        if last > GROWN * first and last > 0:
            return [_too_high(last / first, f"The loss has grown from {first:.3g} to {last:.3g} in the training")]
        if len(losses) >= 8 and guess is not None and last > guess:
            late = losses[len(losses) // 2 :]
            swing = float(np.abs(np.diff(late)).mean() / late.mean())
            if swing > 0.3 and late[-1] > 0.5 * late[0]:
                what = f"The loss jumps by {swing:.0%} from one look to the next and stays above guessing, {guess:.3g}"
                return [_too_high(swing, what)]
    if kinds & _OTHER_CAUSES:
        return []
    learnt = found.loss is None or guess is None or found.loss < 0.9 * guess
    if ratios and not learnt and max(ratio for _, ratio in ratios) < STEP_TOO_SMALL:
        part, ratio = max(ratios, key=lambda pair: pair[1])
        return [
            _too_low(
                ratio, f"A step changes the weights of {part.words}, which move most, by {ratio:.1e} of their size"
            )
        ]
    if len(losses) >= ENOUGH_LOSSES and not learnt:
        first, last = float(losses[0]), float(losses[-1])
        falls = float(np.mean(np.diff(losses) < 0))
        fallen = (first - last) / first if first > 0 else 0.0
        quarter = len(losses) // 4
        still = losses[-1 - quarter] - last > 0.3 * (first - losses[quarter])
        most = 0.02 if subject.steps < ENOUGH_STEPS else 0.1 if found.loss < AT_GUESSING * guess else 0.5
        # Steadily down, where noise falls in half of the steps; at the same pace still; and hardly.
        if falls > 0.8 and still and 0 < fallen < most:
            what = f"The loss has fallen steadily but by {fallen:.1%} only, from {first:.4g} to {last:.4g}"
            return [_too_low(fallen, what)]
    return []


def _too_high(value, what, part=None):
    sentence = f"{what}: the learning rate is too high, so begin anew with a tenth of it, or ask lr_finder(net, x, t)."
    place, title = (None, "") if part is None else (part.place, part.title)
    return Finding("rate_too_high", place, title, value, sentence)


def _too_low(value, what):
    sentence = (
        f"{what}: the learning rate is too low, so take ten times as much, or Adam, whose steps do not shrink with the "
        "gradient, or more epochs; lr_finder(net, x, t) tells a good one."
    )
    return Finding("rate_too_low", None, "", value, sentence)


def _steps_of(subject, found, optimizer):
    """(part, size of the next step by that of the weights) of each affine layer, where the rule is known.

    Plain descent moves a weight by lr dW, with momentum m in the long run by lr dW / (1 - m); rules that divide by
    the gradient's own size move each number by about lr.
    """
    if optimizer is None:
        return []
    groups = getattr(optimizer, "param_groups", None)
    rates = [group.get("lr") for group in groups] if groups else [getattr(optimizer, "lr", None)]
    known = [float(rate) for rate in rates if rate is not None]
    if not known:
        return []
    lr = max(known)
    names = {kind.__name__.lower() for kind in type(optimizer).__mro__}
    by_rate = not names.isdisjoint(_BY_RATE)
    if not by_rate and names.isdisjoint(("sgd", "momentum", "nesterov")):
        return []
    momentum = 0.0 if by_rate else float((groups[0] if groups else vars(optimizer)).get("momentum") or 0.0)
    result = []
    for each in found.seen:
        W, dW = each.part.weights, each.grads.get("W")
        if W is None or dW is None or not np.isfinite(dW).all():
            continue
        size = max(np.linalg.norm(W), LEAST_START * np.sqrt(2 / len(W)) * np.sqrt(W.size))
        step = lr * np.sqrt(W.size) if by_rate else lr * np.linalg.norm(dW) / max(1 - momentum, 0.01)
        result.append((each.part, float(step / size)))
    return result


def _guessing(subject, found, t, kinds):
    guess = guess_of(subject, t)
    enough = len(subject.losses) >= ENOUGH_LOSSES and subject.steps >= ENOUGH_STEPS
    if not enough or guess is None or found.loss is None or guess == 0 or not found.loss > AT_GUESSING * guess:
        return []
    if "rate_too_low" in kinds:
        return []
    than = "that of guessing" if found.loss < GROWN * guess else "worse than guessing"
    why = (
        "the findings above say why"
        if kinds & _OTHER_CAUSES or "rate_too_high" in kinds
        else "the inputs do not tell the targets (are x and t in the same order?), or the network and its rate do not "
        "suit them, so try to learn 20 rows by heart first, and another rate by lr_finder(net, x, t)"
    )
    n = len(subject.losses)
    sentence = (
        f"After a training of {n} losses it is {found.loss:.4g}, {than}: always the same answer gives {guess:.4g}; "
        f"{why}."
    )
    return [Finding("guessing", None, "", found.loss, sentence)]


# --- who trains what ---------------------------------------------------------------------------


def of_parameters(subject: Any, optimizer: Any, params: Any) -> Any:
    """Arrays that a loop or an optimiser changes and the model does not have, and the other way round."""
    result = _unregistered(subject)
    own = _arrays_of(subject)
    if params is not None:
        trained = _listed("diagnose", params)
        whose = "params"
    elif optimizer is not None and callable(getattr(optimizer, "members", None)) and optimizer.members():
        trained, whose = [p.array for p in optimizer.members()], "the optimiser"
    elif isinstance(getattr(subject.model, "params", None), Mapping) and not hasattr(subject.model, "loss_layer"):
        trained, whose = _listed("diagnose", subject.model.params), "the model's params"
    else:
        return result
    lost = [(part, name) for part, name, array in own if not any(np.shares_memory(array, other) for other in trained)]
    strangers = sum(not any(np.shares_memory(other, array) for *_, array in own) for other in trained)
    if not lost and not strangers:
        return result
    place, title, words = (None, "", "The model")
    name = ""
    if lost:
        part, name = lost[0]
        place, title, words = part.place, part.title, part.words
    why = (
        "as after W = W - lr * dW, layer.W = new or a new layer, which put another array in its place"
        if strangers
        else "as it was not handed over"
    )
    cure = (
        "change arrays in place, W -= lr * dW or W[...] = new"
        if whose != "the optimiser"
        else "make the optimiser anew"
    )
    n = len(lost) or strangers
    if lost:
        what = f"{words} computes with {name}, which {whose} {'do' if whose.endswith('params') else 'does'} not have"
        more = f" ({len(lost)} such arrays in all)" if len(lost) > 1 else ""
    else:
        what, more = f"{strangers} of the arrays of {whose} {'is' if strangers == 1 else 'are'} no layer's", ""
    sentence = f"{what[:1].upper()}{what[1:]}{more}, {why}: it is not trained, so {cure}."
    return [*result, Finding("rebound_weights", place, title, float(n), sentence)]


def _listed(who, params):
    values = list(params.values()) if isinstance(params, Mapping) else checks.sequence(who, "params", params, "arrays")
    arrays = [value.array if isinstance(value, TensorBase) else value for value in values]
    for array in arrays:
        checks.instance(who, "params", array, np.ndarray, "arrays or Tensors")
    return arrays


def _arrays_of(subject):
    """(part, name, array) of everything that the layers train."""
    result = []
    for part in subject.parts:
        layer = part.layer
        if isinstance(layer, Module) and not hasattr(layer, "param_names"):
            named = {n: p.array for n, p in layer.named_parameters() if p.requires_grad}
        elif hasattr(layer, "param_names"):
            tensors = vars(layer).get("_parameters") or {}
            frozen = {n for n, p in zip(layer.param_names, tensors.values(), strict=False) if not _requires_grad(p)}
            names = getattr(layer, "trained_names", layer.param_names)
            named = {name: getattr(layer, name) for name in names if name not in frozen}
        else:
            kept = vars(layer) if hasattr(layer, "__dict__") else {}
            named = {n: v for n, v in kept.items() if isinstance(v, np.ndarray) and f"d{n}" in kept}
            if not named and isinstance(kept.get("params"), list):  # the book's second volume
                named = {f"params[{k}]": v for k, v in enumerate(kept["params"]) if isinstance(v, np.ndarray)}
        result += [(part, name, array) for name, array in named.items()]
    return result


def _requires_grad(tensor):
    return tensor is None or tensor.requires_grad


def _unregistered(subject):
    """Modules in a plain list or dict of a module: `parameters()` does not know them."""
    if not (subject.on_tensors and isinstance(subject.model, Module)):
        return []
    for owner in subject.model.modules():
        for name, value in vars(owner).items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            inside = list(value.values()) if isinstance(value, dict) else value
            known = {id(module) for module in subject.model.modules()}
            lost = [each for each in inside if isinstance(each, Module) and id(each) not in known]
            if any(True for each in lost for _ in each.parameters()):
                sentence = (
                    f"{checks.plural(len(lost), 'module')} in {type(owner).__name__}.{name}, a {type(value).__name__}, "
                    f"{'is' if len(lost) == 1 else 'are'} not among the model's parts, so that no optimiser gets their "
                    "parameters: hold them in an nn.ModuleList or nn.ModuleDict."
                )
                return [Finding("rebound_weights", None, "", float(len(lost)), sentence)]
    return []


# --- gradients that were kept, modes, batches --------------------------------------------------


def _zero_grad(found, batch_size):
    """Gradients on the model's tensors above what one step can give.

    The gradient of an affine layer's weights by a mean over rows is a mean of outer products, so its norm is at most
    the mean of |x_i| |dz_i| over the batch (Goodfellow, Efficient per-example gradient computations, 2015): that of the
    rows where this is greatest, of a batch of unknown size that of one row.
    """
    for each in found.seen:
        layer = each.part.layer
        if each.part.role != "affine" or each.dout is None or not vars(layer).get("_views", True):
            continue
        weight = (vars(layer).get("_parameters") or {}).get("weight")
        grad = getattr(weight, "grad", None)
        if grad is None:
            continue
        x, dout = (np.asarray(a, np.float64).reshape(-1, a.shape[-1]) for a in (each.x, each.dout))
        rows = np.sort(np.linalg.norm(x, axis=1) * np.linalg.norm(dout, axis=1))
        most = len(x) * float(rows[-(batch_size or 1) :].mean())
        size = float(np.linalg.norm(np.asarray(grad.array, np.float64)))
        if most > 0 and size > GROWN_GRADIENT * most:
            part = each.part
            sentence = (
                f"The gradient that {part.words} holds is {size / most:.3g} times the largest that one step can "
                "give: gradients add up over the steps, so call optimizer.zero_grad() before each backward()."
            )
            return [Finding("forgotten_zero_grad", part.place, part.title, size / most, sentence)]
    return []


def _modes(subject, found):
    cure = "call model.eval() to evaluate, and hand F.dropout its training=self.training"
    if found.random_at_evaluation > 0:
        share = found.random_at_evaluation
        sentence = (
            f"Two evaluations of the same rows differ in {share:.0%} of the outputs: dropout, or other chance, is at "
            f"work in evaluation mode, so {cure}."
        )
        return [Finding("dropout_at_evaluation", None, "", share, sentence)]
    if getattr(subject.model, "training", True):
        return []
    for part in subject.parts:
        ratio = getattr(part.layer, "dropout_ratio", getattr(part.layer, "p", 0.0))
        if part.role == "dropout" and getattr(part.layer, "training", False) and ratio:
            sentence = (
                f"The model is in evaluation mode, and {part.words} in training mode, where it drops {ratio:.0%} of "
                f"its inputs: the model's answers change from call to call, so {cure}."
            )
            return [Finding("dropout_at_evaluation", part.place, part.title, float(ratio), sentence)]
    return []


def _tiny_batches(subject, batch_size):
    part = next((part for part in subject.parts if part.role == "batch_norm"), None)
    if part is None or batch_size is None or batch_size >= FEW_ROWS:
        return []
    off = np.sqrt(2 / max(batch_size - 1, 1))
    sentence = (
        f"{part.words[:1].upper()}{part.words[1:]} normalises by batches of {checks.plural(batch_size, 'row')}, "
        f"whose variance is off by {off:.0%}: training is noisy and evaluation, by the running statistics, another "
        "network, so take batches of 16 rows or more, or leave it out."
    )
    return [Finding("tiny_batches", part.place, part.title, float(batch_size), sentence)]
