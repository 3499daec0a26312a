"""Columns of categories as rows of trained tables: `Embeddings`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks, init
from fastbp._kernels import engine, prediction
from fastbp._kernels.changes import note
from fastbp.backend import kernels
from fastbp.layers.base import Layer


class Embeddings(Layer):
    """Columns of categories as rows of tables that are trained, numeric columns as they are.

    The first layer of a network for tables: the first columns of x are categories, whole numbers
    from 0 on, each with a table of its own; `numeric` columns behind them go through.

    Parameters
    ----------
    sizes : sequence of int
        The number of categories of each column.
    widths : int or sequence of int
        The numbers in a row of each table, or one for all.
    numeric : int
        Columns behind the categories.
    init : float
        The standard deviation of the tables' numbers at first, which are normally distributed
        around 0: 1, as PyTorch's ``nn.Embedding`` has it.
    dtype : {"float32", "float64"}
    seed : int, numpy.random.Generator or None

    Attributes
    ----------
    E : numpy.ndarray
        All tables in one vector, row by row and one behind another; ``E1`` among a network's
        `params`, and ``weight`` in its file.
    dE : numpy.ndarray or None
        The gradient of the last backward.
    tables : list of numpy.ndarray
        Of each column, (size, width): parts of E, not copies.

    Raises
    ------
    ValueError, TypeError
        For no columns, sizes or widths below 1; from forward, for x of another width, and for a
        category that is no whole number or that the table does not have, naming row and column.

    Notes
    -----
    x is (n_samples, len(sizes) + numeric), of any dtype of numbers, and the output (n_samples,
    sum(widths) + numeric): float32 has all whole numbers up to 16,777,216.  The gradient by a
    category is 0.  An update is that of dense gradients: rows that a batch does not have get
    gradients of 0, so that plain SGD leaves them, and momentum, Adam and decay move them on.

    References
    ----------
    Guo & Berkhahn, Entity embeddings of categorical variables (2016).

    Examples
    --------
    >>> import numpy as np
    >>> layer = Embeddings([3, 2], widths=[2, 1], numeric=1, seed=0)
    >>> layer.tables[0][...] = [[0, 1], [2, 3], [4, 5]]
    >>> layer.tables[1][...] = [[-1], [-2]]
    >>> layer.forward(np.array([[2, 0, 0.5], [1, 1, 7.0]]))
    array([[ 4. ,  5. , -1. ,  0.5],
           [ 2. ,  3. , -2. ,  7. ]], dtype=float32)
    """

    param_names: tuple[str, ...] = ("E",)
    tensor_names: tuple[str, ...] = ("weight",)
    kind: str | None = "embedding"
    node_name = "EmbeddingBackward0"

    def __init__(
        self, sizes: Any, widths: Any, numeric: Any = 0, init: Any = 1.0, dtype: Any = "float32", seed: Any = None
    ) -> None:
        super().__init__()
        who = type(self).__name__
        sizes = _lengths(who, "sizes", sizes)
        if np.iterable(widths):
            widths = _lengths(who, "widths", widths)
            if len(widths) != len(sizes):
                raise ValueError(
                    f"{who} expects widths for each of {checks.plural(len(sizes), 'column')}; got {len(widths)}."
                )
        else:
            widths = [checks.integer(who, "widths", widths, least=1)] * len(sizes)
        products = []
        for pair in zip(sizes, widths, strict=True):
            checks.fits_memory(who, "sizes and widths", pair)
            products.append(pair[0] * pair[1])
        checks.fits_memory(who, "numbers in all tables", (sum(products),))
        numeric = checks.integer(who, "numeric", numeric, least=0)
        deviation = checks.number(who, "init", init, least=0)
        self._sizes, self._widths = np.array(sizes, np.int64), np.array(widths, np.int64)
        self._starts = np.array([0, *np.cumsum(products)[:-1]], np.int64)
        self._numeric = numeric
        self._E = _drawn(who, sum(products), deviation, dtype, seed)
        vars(self)["dE"] = None

    @property
    def sizes(self) -> Any:
        """The number of categories of each column."""
        return self._sizes.tolist()

    @property
    def widths(self) -> Any:
        """The numbers in a row of each table."""
        return self._widths.tolist()

    @property
    def numeric(self) -> Any:
        """Columns behind the categories."""
        return self._numeric

    @property
    def n_in(self) -> Any:
        """Columns of x."""
        return len(self._sizes) + self._numeric

    @property
    def n_out(self) -> Any:
        """Columns of the output."""
        return int(self._widths.sum()) + self._numeric

    @property
    def E(self) -> Any:
        """All tables in one vector; the very array."""
        self.sync()
        return self._E

    @E.setter
    def E(self, value: Any) -> None:
        self.sync()
        if value is self._E:  # as E -= lr * dE puts it back
            return
        value = checks.parameter(type(self).__name__, "E", value, ndim=1)
        self._E = checks.same_shape(type(self).__name__, "E", value, self._E.shape, "before")
        note()
        self.renew_tensors()

    @property
    def weight(self) -> Any:
        """E, as PyTorch names it."""
        return self.E

    @property
    def tables(self) -> list[Any]:
        """The table of each column, (size, width): parts of E."""
        ends = self._starts + self._sizes * self._widths
        shapes = zip(self._starts, ends, self.sizes, self.widths, strict=True)
        return [self.E[start:end].reshape(size, width) for start, end, size, width in shapes]

    def run(self, x: Any, training: Any) -> tuple[Any, tuple[Any, Any, Any]]:
        who = type(self).__name__
        self.sync()
        x = checks.numbers(who, "x", x)
        shape, n, m = x.shape, len(self._sizes), self._numeric
        rows = x.reshape(1, -1) if x.ndim < 2 else x
        if rows.ndim != 2 or rows.shape[1] != n + m:
            raise checks.other_width(who, shape, n + m)
        places = np.ascontiguousarray(self._starts + checks.categories(who, rows, self._sizes) * self._widths)
        E = checks.floats(who, "E", self._E)
        out = np.empty((len(rows), self.n_out), E.dtype)
        kernels().embedding_forward(E, places, self._widths, out)
        if m:
            out[:, -m:] = checks.floats(who, "x", rows[:, n:], E.dtype)
        return (out[0] if len(shape) < 2 else out), (places, shape, E.dtype)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[Any]]:
        places, shape, dtype = saved
        m, n_out = self._numeric, self.n_out
        dout = checks.gradient_of(type(self).__name__, dout, (*shape[:-1], n_out), dtype).reshape(-1, n_out)
        dE = np.empty(self._E.shape, dtype)
        kernels().embedding_backward(dout, places, self._widths, dE)
        dx = None
        if need_dx:
            dx = np.zeros((len(dout), self.n_in), dtype)
            dx[:, self.n_in - m :] = dout[:, n_out - m :]
            dx = dx.reshape(shape)
        return dx, (dE,)

    def numeric_part(self, x: Any) -> Any:
        """The columns of x that are no categories, as a view."""
        return x[..., len(self._sizes) :]

    def tensor_views(self) -> dict[str, Any]:
        return {"weight": self._E}

    def adopt(self, arrays: Any) -> None:
        self._E = arrays["weight"]
        note()
        self.renew_tensors()

    def link(self) -> Any:
        # Without a trainer and tensors, whose coming is noted, as another E is.
        still = self._trainer is None and not self._views
        arrays = self.evaluation_arrays
        return prediction.EMBED, float(self._numeric), 0.0, arrays() if still else arrays

    def evaluation_arrays(self) -> tuple[Any, Any, Any, Any]:
        """All tables, and where each begins, its rows and their width."""
        self.sync()
        return self._E, self._starts, self._sizes, self._widths

    def plan_arrays(self) -> dict[Any, Any]:
        return {engine.PARAMETERS: (self._E,)}

    def plan_entry(self, width: Any) -> Any:
        columns = zip(self._starts.tolist(), self.sizes, self.widths, strict=True)
        return (self.kind, self.n_in, self.n_out, 0.0, 0.0, tuple((*column, -1) for column in columns))

    def config(self) -> dict[Any, Any]:
        return {"sizes": self.sizes, "widths": self.widths, **({"numeric": self._numeric} if self._numeric else {})}

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        layer = cls(**config, init=0.0, dtype=state["weight"].dtype)
        checks.same_shape(cls.__name__, "weight", state["weight"], layer._E.shape, "described")
        layer._E[...] = state["weight"]
        return layer


def _lengths(who, name, lengths):
    """At least one whole number of at least 1."""
    lengths = checks.sequence(who, name, lengths, "whole numbers, one for each column")
    if not lengths:
        raise ValueError(f"{who} expects {name} of at least one column; got none.")
    return [checks.integer(who, f"{name}[{place}]", length, least=1) for place, length in enumerate(lengths)]


def _drawn(who, n, deviation, dtype, seed):
    """n numbers, normally distributed around 0."""
    dtype = checks.float_dtype(who, dtype)
    if deviation == 0:
        return np.zeros(n, dtype)
    if not isinstance(seed, np.random.Generator):
        seed = init.seed_of(who, seed)
    return (deviation * np.random.default_rng(seed).standard_normal(n)).astype(dtype)
