"""The weights that a training starts from: drawn, or the user's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, init
from fastbp.estimators import parameters

if TYPE_CHECKING:
    from fastbp._typing import Array


def drawn(
    model: Any, units: Sequence[int], dtype: np.dtype[Any], random_state: np.random.RandomState
) -> list[tuple[Array, Array]]:
    """W and b of each layer, by scikit-learn's rule and draws, or by `init`."""
    for shape in pairwise(units):
        checks.fits_memory(type(model).__name__, "layers of sizes", tuple(map(int, shape)))
    pairs = []
    for k, (n_in, n_out) in enumerate(pairwise(units)):
        if model.init is not None:
            seed = random_state.randint(2**31)
            W = init.weights(n_in, n_out, model.init, dtype, seed)
            pairs.append((W, np.zeros(n_out, dtype)))
            continue
        names = parameters.activations(model)
        own = names[min(k, len(names) - 1)] if names else model.activation
        bound = np.sqrt((2.0 if own == "logistic" else 6.0) / (n_in + n_out))
        W = random_state.uniform(-bound, bound, (n_in, n_out))
        b = random_state.uniform(-bound, bound, n_out)
        pairs.append((W.astype(dtype, copy=False), b.astype(dtype, copy=False)))
    return pairs


def given(model: Any, units: Sequence[int], dtype: np.dtype[Any]) -> list[tuple[Array, Array]]:
    """Copies of the W and b in `coefs_init`."""
    who = type(model).__name__
    shapes = [((n_in, n_out), (n_out,)) for n_in, n_out in pairwise(units)]
    try:
        coefs, intercepts = model.coefs_init
        pairs = list(zip(coefs, intercepts, strict=True))
        got = [(np.shape(W), np.shape(b)) for W, b in pairs]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{who} expects coefs_init as (coefs, intercepts), two lists of arrays of the shapes "
            f"{shapes}; got {type(model.coefs_init).__name__} ({str(error).rstrip('.')})."
        ) from None
    if got != shapes:
        raise ValueError(f"{who} expects coefs_init as (coefs, intercepts) of the shapes {shapes}; got {got}.")
    floats = functools.partial(checks.floats, who, "coefs_init", dtype=dtype)
    copies = [(np.array(floats(W)), np.array(floats(b))) for W, b in pairs]
    if not all(np.isfinite(array).all() for pair in copies for array in pair):
        raise ValueError(f"{who} expects coefs_init of finite numbers; got NaN or inf.")
    return copies
