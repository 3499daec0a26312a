"""Write golden.json: what PyTorch computes for layers, losses and SGD.

Run it where PyTorch is installed; the tests read the numbers and need none:

    python tests/golden/make_golden.py

Weights lie as (n_in, n_out), the transpose of PyTorch's.  Every number is written with all its
digits (a float32 as the float64 that equals it).
"""

import json
from pathlib import Path

import torch
from torch.nn import functional

STEPS = 10


def leaf(*shape, dtype, generator):
    """Numbers that both dtypes hold exactly, so that one set of inputs serves both."""
    return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()


def affine(dtype, draw):
    x, W, b, dout = draw(4, 3), draw(3, 5), draw(5), draw(4, 5)
    out = functional.linear(x, W.T, b)
    out.backward(dout.detach())
    return {"x": x, "W": W, "b": b, "dout": dout, "out": out, "dx": x.grad, "dW": W.grad, "db": b.grad}


def activation(function):
    def case(dtype, draw):
        x, dout = draw(5, 7), draw(5, 7)
        with torch.no_grad():
            x *= 3
            x[0, :3] = torch.tensor([0.0, -30.0, 30.0])
        out = function(x)
        out.backward(dout.detach())
        return {"x": x, "dout": dout, "out": out, "dx": x.grad}

    return case


def loss(function, target, shape=(6, 4)):
    def case(dtype, draw):
        x, t = draw(*shape), target(dtype, draw, shape)
        with torch.no_grad():
            x *= 4
        value = function(x, t)
        value.backward()
        return {"x": x, "t": t, "loss": value, "dx": x.grad}

    return case


def indices(dtype, draw, shape):
    return torch.tensor([r % shape[1] for r in range(shape[0])])


def soft_rows(dtype, draw, shape):
    return torch.softmax(draw(*shape), dim=1).detach()


def one_hot(dtype, draw, shape):
    return functional.one_hot(indices(dtype, draw, shape), shape[1]).to(dtype)


def bits(dtype, draw, shape):
    return (draw(*shape) > 0).to(dtype)


def numbers(dtype, draw, shape):
    return draw(*shape).detach()


def sgd(**options):
    def case(dtype, draw):
        param, grads = draw(3, 4), draw(STEPS, 3, 4).detach()
        start = param.detach().clone()
        rule = torch.optim.SGD([param], **options)
        after = []
        for grad in grads:
            param.grad = grad.clone()
            rule.step()
            after.append(param.detach().clone())
        return {"param": start, "grads": grads, "after_1": after[0], "after_10": after[-1]}

    return case


CASES = {
    "Affine": affine,
    "Relu": activation(torch.relu),
    "Sigmoid": activation(torch.sigmoid),
    "Tanh": activation(torch.tanh),
    "SoftmaxWithLoss indices": loss(functional.cross_entropy, indices),
    "SoftmaxWithLoss one-hot": loss(functional.cross_entropy, one_hot),
    "SoftmaxWithLoss soft": loss(functional.cross_entropy, soft_rows),
    "SigmoidWithLoss": loss(functional.binary_cross_entropy_with_logits, bits, (5, 3)),
    "MeanSquaredError": loss(functional.mse_loss, numbers, (5, 3)),
    "SGD plain": sgd(lr=0.1),
    "SGD weight_decay": sgd(lr=0.1, weight_decay=0.03),
    "SGD momentum": sgd(lr=0.1, momentum=0.9),
    "SGD momentum weight_decay": sgd(lr=0.1, momentum=0.9, weight_decay=0.03),
    "SGD nesterov": sgd(lr=0.1, momentum=0.9, nesterov=True),
    "SGD nesterov weight_decay": sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.03),
}


def main():
    golden = {"torch": torch.__version__.split("+")[0], "cases": {}}
    for number, (name, case) in enumerate(CASES.items()):
        for dtype in (torch.float32, torch.float64):
            generator = torch.Generator().manual_seed(number)

            def draw(*shape, dtype=dtype, generator=generator):
                return leaf(*shape, dtype=dtype, generator=generator)

            arrays = case(dtype, draw)
            golden["cases"][f"{name} {str(dtype).removeprefix('torch.')}"] = {
                key: value.detach().tolist() for key, value in arrays.items()
            }
    path = Path(__file__).with_name("golden.json")
    cases = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden["cases"].items())
    path.write_text(f'{{"torch": "{golden["torch"]}", "cases": {{\n{cases}\n}}}}\n')


if __name__ == "__main__":
    main()
