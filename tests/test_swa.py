"""`optim.swa_utils`: averages of weights, their batch statistics and their learning rate."""

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp.optim import swa_utils


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))


def drawn(model, rng):
    """The model with other parameters, and what they are."""
    with fastbp.no_grad():
        for p in model.parameters():
            p.copy_(fastbp.tensor(rng.standard_normal(tuple(p.shape)), dtype=p.dtype))
    return [p.detach().numpy().copy() for p in model.parameters()]


@pytest.mark.parametrize("form", ["mean", "mean by one", "ema", "ema by one"])
def test_the_average_is_that_of_the_weights(form, rng):
    model = net()
    functions = {
        "mean": {},
        "mean by one": {"avg_fn": swa_utils.get_swa_avg_fn()},
        "ema": {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)},
        "ema by one": {"avg_fn": swa_utils.get_ema_avg_fn(0.75)},
    }
    averaged = swa_utils.AveragedModel(model, **functions[form])
    seen = []
    for _ in range(5):
        seen.append(drawn(model, rng))
        averaged.update_parameters(model)
    expected = seen[0]
    for number, new in enumerate(seen[1:], 1):
        share = 0.25 if "ema" in form else 1 / (number + 1)
        expected = [slow + share * (x - slow) for slow, x in zip(expected, new, strict=True)]
    assert averaged.n_averaged.item() == 5
    for p, wanted in zip(averaged.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    for p, kept in zip(model.parameters(), seen[-1], strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), kept)


def test_buffers_are_the_models_or_averaged():
    model = net()
    apart, together = swa_utils.AveragedModel(model), swa_utils.AveragedModel(model, use_buffers=True)
    for value in (1.0, 3.0):
        model[1].running_mean.fill_(value)
        apart.update_parameters(model)
        together.update_parameters(model)
    assert apart.module[1].running_mean.tolist() == [3.0] * 4
    assert together.module[1].running_mean.tolist() == [2.0] * 4
    assert list(apart.state_dict())[:2] == ["n_averaged", "module.0.weight"]


@pytest.mark.parametrize("packed", [False, True])
def test_statistics_are_the_means_over_the_batches(packed, rng):
    model = net()
    model[1].momentum = 0.3
    batches = [fastbp.tensor(rng.standard_normal((6, 3))).float() for _ in range(4)]
    model.eval()
    swa_utils.update_bn([(x, 0) for x in batches] if packed else batches, model)
    hidden = [model[0](x).detach().numpy() for x in batches]
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(model[1].running_mean.numpy(), np.mean([h.mean(0) for h in hidden], 0), **close)
    np.testing.assert_allclose(model[1].running_var.numpy(), np.mean([h.var(0, ddof=1) for h in hidden], 0), **close)
    assert model[1].momentum == 0.3 and not model.training
    swa_utils.update_bn(batches, nn.Linear(3, 1))  # nothing to set


def test_a_batch_that_fails_leaves_the_mode_and_the_momentum():
    model = net().eval()
    with pytest.raises((RuntimeError, ValueError)):
        swa_utils.update_bn([fastbp.ones(6, 3), fastbp.ones(6, 2)], model)
    assert model[1].momentum == 0.1 and not model.training


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"anneal_epochs": 4, "anneal_strategy": "linear"}, [0.85, 0.7, 0.55, 0.4, 0.4]),
        ({"anneal_epochs": 2}, [0.7, 0.4, 0.4]),
        ({"anneal_epochs": 0}, [0.4, 0.4]),
    ],
)
def test_the_rate_goes_to_the_one_that_is_given(options, rates):
    optimizer = fastbp.optim.SGD(lr=1.0)
    scheduler = swa_utils.SWALR(optimizer, 0.4, **options)
    for rate in rates:
        scheduler.step()
        assert optimizer.lr == pytest.approx(rate)


def test_the_rate_goes_on_from_a_state():
    def made():
        optimizer = fastbp.optim.SGD(lr=1.0)
        return optimizer, swa_utils.SWALR(optimizer, 0.4, anneal_epochs=5)

    (first, a), (second, b) = made(), made()
    for _ in range(2):
        a.step()
    b.load_state_dict(a.state_dict())
    second.lr = first.lr
    for _ in range(4):
        a.step()
        b.step()
        assert first.lr == second.lr


def test_what_does_not_fit_is_refused():
    model = net()
    average = swa_utils.get_swa_avg_fn()
    with pytest.raises(ValueError, match="avg_fn or multi_avg_fn; got both"):
        swa_utils.AveragedModel(model, avg_fn=average, multi_avg_fn=average)
    averaged = swa_utils.AveragedModel(nn.Linear(3, 1))
    with pytest.raises(ValueError, match="same shapes"):
        averaged.update_parameters(nn.Linear(2, 1))
    with pytest.raises(ValueError, match="model of 2 tensors; got 1"):
        averaged.update_parameters(nn.Linear(3, 1, bias=False))
    assert averaged.n_averaged == 0
