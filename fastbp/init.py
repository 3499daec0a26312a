"""Initial values of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array, FloatDType

#: Standard deviation of the normal distribution, from the numbers of inputs and outputs.
_STANDARD_DEVIATIONS = {
    "he": lambda n_in, n_out: np.sqrt(2 / n_in),
    "xavier": lambda n_in, n_out: np.sqrt(2 / (n_in + n_out)),
    "lecun": lambda n_in, n_out: np.sqrt(1 / n_in),
    "zeros": lambda n_in, n_out: 0.0,
}
#: What `weights` takes by name.
NAMES = tuple(_STANDARD_DEVIATIONS)


def seed_of(who: str, seed: int | None) -> int:
    """A seed of 64 bits: the integer itself, or a drawn one for None."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return checks.integer(who, "seed", seed, least=0, most=checks.MOST_SEED)


def weights(
    n_in: int,
    n_out: int,
    init: Literal["he", "xavier", "lecun", "zeros"] | float = "he",
    dtype: FloatDType = "float32",
    seed: int | np.random.Generator | None = None,
) -> Array:
    """A matrix of initial weights, normally distributed around 0.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and outputs.
    init : {"he", "xavier", "lecun", "zeros"} or float
        The standard deviation: sqrt(2 / n_in) [1]_, sqrt(2 / (n_in + n_out)) [2]_,
        sqrt(1 / n_in) [3]_, 0, or the number itself (the book's ``weight_init_std``).
    dtype : {"float32", "float64"}
    seed : int, numpy.random.Generator or None
        None draws from the operating system.

    Returns
    -------
    numpy.ndarray
        Shape (n_in, n_out).

    Raises
    ------
    ValueError
        For an unknown name, a negative number or another dtype.

    References
    ----------
    .. [1] He et al., Delving deep into rectifiers (2015).
    .. [2] Glorot & Bengio, Understanding the difficulty of training deep feedforward neural
       networks (2010).
    .. [3] LeCun et al., Efficient BackProp (1998).

    Examples
    --------
    >>> weights(2, 3, init=0.01, seed=0).shape
    (2, 3)
    """
    n_in = checks.integer("Linear", "in_features", n_in, least=1)
    n_out = checks.integer("Linear", "out_features", n_out, least=1)
    if isinstance(init, str):
        checks.choice("Linear", "init", init, NAMES)
        deviation = _STANDARD_DEVIATIONS[init](n_in, n_out)
    else:
        deviation = checks.number("Linear", "init", init, least=0)
    dtype = checks.float_dtype("Linear", dtype)
    checks.fits_memory("Linear", "in_features and out_features", (n_in, n_out))
    if not isinstance(seed, np.random.Generator):
        seed = seed_of("Linear", seed)
    draws = np.random.default_rng(seed).standard_normal((n_in, n_out))
    return (deviation * draws).astype(dtype)
