"""Write golden_optimizers.json: what PyTorch computes for the optimisers and the newer layers.

Run it where PyTorch is installed; the tests read the numbers and need none:

    python tests/golden/make_golden_optimizers.py

Every number is written with all its digits (a float32 as the float64 that equals it).
"""

import json
from pathlib import Path

import torch
from torch.nn import functional

STEPS = 10


def leaf(*shape, dtype, generator):
    """Numbers that both dtypes hold exactly, so that one set of inputs serves both."""
    return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()


def optimizer(kind, clip_norm=None, clip_value=None, **options):
    def case(dtype, draw):
        W, b = draw(3, 4), draw(4)
        start_W, start_b = W.detach().clone(), b.detach().clone()
        grads_W, grads_b = draw(STEPS, 3, 4).detach(), draw(STEPS, 4).detach()
        rule = kind([W, b], **options)
        after = []
        for grad_W, grad_b in zip(grads_W, grads_b, strict=True):
            W.grad, b.grad = grad_W.clone(), grad_b.clone()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_([W, b], clip_norm)
            if clip_value is not None:
                torch.nn.utils.clip_grad_value_([W, b], clip_value)
            rule.step()
            after.append((W.detach().clone(), b.detach().clone()))
        return {
            "W": start_W,
            "b": start_b,
            "grads_W": grads_W,
            "grads_b": grads_b,
            "W_after_1": after[0][0],
            "b_after_1": after[0][1],
            "W_after_10": after[-1][0],
            "b_after_10": after[-1][1],
        }

    return case


def activation(function):
    def case(dtype, draw):
        x, dout = draw(5, 7), draw(5, 7)
        with torch.no_grad():
            x *= 3
            x[0, :2] = torch.tensor([-30.0, 30.0])
        out = function(x)
        out.backward(dout.detach())
        return {"x": x, "dout": dout, "out": out, "dx": x.grad}

    return case


def loss(function):
    def case(dtype, draw):
        x, t = draw(5, 3), draw(5, 3).detach()
        with torch.no_grad():
            x *= 3
            x[0, 0] = t[0, 0]
        value = function(x, t)
        value.backward()
        return {"x": x, "t": t, "loss": value, "dx": x.grad}

    return case


def batch_norm(**options):
    """Two forwards in training, a backward, and a forward in evaluation."""

    def case(dtype, draw):
        layer = torch.nn.BatchNorm1d(4, **options).to(dtype)
        gamma, beta, first, x, dout = draw(4), draw(4), draw(5, 4), draw(7, 4), draw(7, 4)
        with torch.no_grad():
            layer.weight.copy_(gamma)
            layer.bias.copy_(beta)
        layer(2 * first + 1)
        out = layer(x)
        out.backward(dout.detach())
        mean, var = layer.running_mean.clone(), layer.running_var.clone()
        layer.eval()
        return {
            "gamma": gamma,
            "beta": beta,
            "first": 2 * first + 1,
            "x": x,
            "dout": dout,
            "out": out,
            "dx": x.grad,
            "dgamma": layer.weight.grad,
            "dbeta": layer.bias.grad,
            "running_mean": mean,
            "running_var": var,
            "evaluated": layer(x),
        }

    return case


CASES = {
    "SGD": optimizer(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.03, nesterov=True),
    "Adam": optimizer(torch.optim.Adam),
    "Adam decay": optimizer(torch.optim.Adam, lr=0.05, betas=(0.8, 0.95), weight_decay=0.1),
    "AdamW": optimizer(torch.optim.AdamW),
    "AdamW decay": optimizer(torch.optim.AdamW, lr=0.05, eps=1e-3, weight_decay=0.5),
    "RMSprop": optimizer(torch.optim.RMSprop),
    "RMSprop momentum": optimizer(torch.optim.RMSprop, lr=0.02, alpha=0.9, eps=1e-4, momentum=0.9, weight_decay=0.05),
    "AdaGrad": optimizer(torch.optim.Adagrad),
    "AdaGrad decay": optimizer(torch.optim.Adagrad, lr=0.1, eps=1e-3, weight_decay=0.05),
    "SGD clip_norm": optimizer(torch.optim.SGD, lr=0.1, clip_norm=1.0),
    "SGD clip_value": optimizer(torch.optim.SGD, lr=0.1, clip_value=0.5),
    "LeakyRelu": activation(lambda x: functional.leaky_relu(x, 0.2)),
    "Softplus": activation(lambda x: functional.softplus(x, threshold=50)),
    "Gelu": activation(functional.gelu),
    "MeanAbsoluteError": loss(functional.l1_loss),
    "HuberLoss": loss(lambda x, t: functional.huber_loss(x, t, delta=0.7)),
    "BatchNorm1d": batch_norm(),
    "BatchNorm1d options": batch_norm(eps=0.01, momentum=0.3),
}


def main():
    golden = {}
    for number, (name, case) in enumerate(CASES.items()):
        for dtype in (torch.float32, torch.float64):
            generator = torch.Generator().manual_seed(100 + number)

            def draw(*shape, dtype=dtype, generator=generator):
                return leaf(*shape, dtype=dtype, generator=generator)

            golden[f"{name} {str(dtype).removeprefix('torch.')}"] = {
                key: value.detach().tolist() for key, value in case(dtype, draw).items()
            }
    path = Path(__file__).with_name("golden_optimizers.json")
    cases = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items())
    version = torch.__version__.split("+")[0]
    path.write_text(f'{{"torch": "{version}", "cases": {{\n{cases}\n}}}}\n')


if __name__ == "__main__":
    main()
