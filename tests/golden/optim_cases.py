"""Programs over optimisers and schedulers, which run with PyTorch and with fastbp alike.

`t` is the one or the other; every program gives a dict of lists of numbers.
"""

import math

SHAPES = ((3, 4), (4,), (1,))
STEPS = 10


def number(*at):
    """A number between -1 and 1 by its place: no random stream is shared with PyTorch."""
    return math.sin(1.0 + sum((7.3, 3.1, 1.7, 0.9)[k] * n for k, n in enumerate(at)))


def numbers(shape, *at):
    if not shape:
        return number(*at)
    return [numbers(shape[1:], *at, i) for i in range(shape[0])]


def parameters(t, dtype):
    return [
        t.tensor(numbers(shape, 5 * k), dtype=getattr(t, dtype), requires_grad=True) for k, shape in enumerate(SHAPES)
    ]


def give_gradients(t, params, step, skipped=()):
    for k, p in enumerate(params):
        p.grad = None if k in skipped else t.tensor(numbers(SHAPES[k], step, k), dtype=p.dtype)


OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD default": ("SGD", {}),
    "SGD decay": ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "SGD momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "SGD dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "SGD nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "SGD maximize": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    "Adam": ("Adam", {}),
    "Adam decay": ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    "Adam maximize": ("Adam", {"lr": 0.05, "maximize": True, "weight_decay": 0.1}),
    "Adam decoupled": ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "AdamW": ("AdamW", {}),
    "AdamW decay": ("AdamW", {"lr": 0.05, "weight_decay": 0.5}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop momentum": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "momentum": 0.9, "weight_decay": 0.05}),
    "Adagrad": ("Adagrad", {}),
    "Adagrad decay": ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3}),
    "Adam amsgrad": ("Adam", {"lr": 0.05, "betas": (0.8, 0.6), "amsgrad": True}),
    "AdamW amsgrad": ("AdamW", {"lr": 0.05, "weight_decay": 0.5, "amsgrad": True}),
    "Adadelta": ("Adadelta", {}),
    "Adadelta decay": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    "Adamax": ("Adamax", {}),
    "Adamax decay": ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "NAdam": ("NAdam", {}),
    "NAdam decay": ("NAdam", {"lr": 0.05, "momentum_decay": 0.1, "weight_decay": 0.1}),
    "NAdam decoupled": ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RAdam": ("RAdam", {}),
    "RAdam decay": ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "RAdam decoupled": ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
}


def optimized(t, name, dtype):
    """The parameters after 1 and 10 steps, and the state; one parameter misses two gradients."""
    kind, options = OPTIMIZERS[name]
    params = parameters(t, dtype)
    optimizer = getattr(t.optim, kind)(params, **options)
    out = {}
    for step in range(1, STEPS + 1):
        give_gradients(t, params, step, skipped=(1,) if step in (1, 5) else ())
        optimizer.step()
        if step in (1, STEPS):
            out[f"after {step}"] = [p.detach().tolist() for p in params]
    out["state"] = [
        {
            name: value.tolist() for name, value in sorted(optimizer.state[p].items()) if name != "mu_product"
        }  # it follows from the steps
        for p in params
    ]
    return out


def grouped(t, dtype):
    """Groups with options of their own, one added later, options changed on the way."""
    params = parameters(t, dtype)
    optimizer = t.optim.SGD([{"params": params[0]}, {"params": [params[1]], "lr": 0.5, "momentum": 0.8}], lr=0.1)
    out = {}
    for step in range(1, 7):
        if step == 3:
            optimizer.add_param_group({"params": iter(params[2:]), "weight_decay": 0.5})
        if step == 5:
            optimizer.param_groups[0]["lr"] = 0.01
            optimizer.param_groups[0]["momentum"] = 0.5
        give_gradients(t, params, step)
        optimizer.step()
    out["after"] = [p.detach().tolist() for p in params]
    out["lrs"] = [group["lr"] for group in optimizer.param_groups]
    out["places"] = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    return out


def clipped(t, dtype, norm_type):
    params = parameters(t, dtype)
    give_gradients(t, params, 1, skipped=(2,))
    clipping = t.nn.utils if t.__name__ == "torch" else t.optim.clipping
    norm = clipping.clip_grad_norm_(params, 0.7, norm_type)
    first = [p.grad.tolist() for p in params[:2]]
    clipping.clip_grad_value_(params, 0.2)
    return {"norm": norm.item(), "by norm": first, "by value": [p.grad.tolist() for p in params[:2]]}


EPOCHS = 30
SCHEDULERS = {
    "StepLR": lambda s, o: s.StepLR(o, step_size=4, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, milestones=[12, 3, 3, 20], gamma=0.3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, gamma=0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, T_max=8, eta_min=0.01),
    "CosineAnnealingLR to the end": lambda s, o: s.CosineAnnealingLR(o, 30),
    "CosineAnnealingLR of 1": lambda s, o: s.CosineAnnealingLR(o, 1),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "LambdaLR by group": lambda s, o: s.LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: e % 3]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 1 - 0.01 * epoch),
    "LinearLR": lambda s, o: s.LinearLR(o, start_factor=0.1, total_iters=12),
    "LinearLR default": lambda s, o: s.LinearLR(o),
    "LinearLR down": lambda s, o: s.LinearLR(o, 1.0, 0.0, 7),
    "ConstantLR": lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=6),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, total_iters=20, power=2.0),
    "PolynomialLR default": lambda s, o: s.PolynomialLR(o),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, max_lr=1.0, total_steps=31),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(
        o,
        [1.0, 0.3],
        epochs=8,
        steps_per_epoch=4,
        anneal_strategy="linear",
        pct_start=0.4,
        div_factor=10,
        final_div_factor=100,
        base_momentum=0.8,
    ),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, 1.0, total_steps=40, three_phase=True, cycle_momentum=False
    ),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2, eta_min=0.02),
    "CosineAnnealingWarmRestarts evenly": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.StepLR(o, 3, 0.5), s.CosineAnnealingLR(o, 6)], milestones=[5, 14]
    ),
    "SequentialLR of restarts": lambda s, o: s.SequentialLR(
        o,
        [s.ConstantLR(o, 0.1, 4), s.CosineAnnealingWarmRestarts(o, 5), s.LambdaLR(o, lambda epoch: 0.9**epoch)],
        milestones=[4, 20],
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
    "two of one optimiser": lambda s, o: [s.ExponentialLR(o, 0.9), s.MultiStepLR(o, [9, 15])],
}


def scheduled(t, name):
    """The groups' learning rates (and momenta) at each epoch."""
    params = parameters(t, "float64")
    optimizer = t.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.2, momentum=0.5)
    schedulers = SCHEDULERS[name](t.optim.lr_scheduler, optimizer)
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    out = {"lr": [], "last": [], "momentum": []}
    for _ in range(EPOCHS):
        out["lr"].append([group["lr"] for group in optimizer.param_groups])
        out["momentum"].append([group["momentum"] for group in optimizer.param_groups])
        out["last"].append(list(schedulers[-1].get_last_lr()))
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return out


PLATEAUS = {
    "default": {"patience": 2},
    "max": {"mode": "max", "patience": 1, "factor": 0.5},
    "abs": {"threshold_mode": "abs", "threshold": 0.05, "patience": 1, "cooldown": 2},
    "max abs": {"mode": "max", "threshold_mode": "abs", "threshold": 0.05, "patience": 0},
    "least": {"patience": 0, "min_lr": [0.05, 0.2], "factor": 0.3},
}


def reduced(t, name):
    """Learning rates under ReduceLROnPlateau, which sees a loss that falls, shakes and rests."""
    params = parameters(t, "float64")
    optimizer = t.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.2)
    scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **PLATEAUS[name])
    out = {"lr": []}
    for epoch in range(EPOCHS):
        loss = max(1 - 0.1 * epoch, 0.3) + 0.02 * number(epoch)
        scheduler.step(t.tensor(loss) if epoch % 2 else loss)
        out["lr"].append([group["lr"] for group in optimizer.param_groups])
    return out


DTYPES = ("float32", "float64")
#: Name of a case: the program.
CASES = {
    **{f"{name} {dtype}": (lambda t, n=name, d=dtype: optimized(t, n, d)) for name in OPTIMIZERS for dtype in DTYPES},
    **{f"groups {dtype}": (lambda t, d=dtype: grouped(t, d)) for dtype in DTYPES},
    **{
        f"clipped by {order} {dtype}": (lambda t, d=dtype, o=order: clipped(t, d, float(o)))
        for order in ("1", "2", "3.5", "inf")
        for dtype in DTYPES
    },
    **{name: (lambda t, n=name: scheduled(t, n)) for name in SCHEDULERS},
    **{f"plateau, {name}": (lambda t, n=name: reduced(t, n)) for name in PLATEAUS},
}
