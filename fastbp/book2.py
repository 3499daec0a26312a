"""The names of *Deep Learning from Scratch 2*, chapters 1 to 4: layers with lists `params` and `grads`.

A script of the book runs with ``common.layers``, ``common.functions``, ``common.optimizer``,
``common.trainer``, ``common.util`` and ``two_layer_net`` replaced by ``fastbp.book2`` in its imports.
A layer's backward writes into the arrays of its `grads`, so that lists that a network has gathered
stay the layers' own.  The recurrent layers of chapters 5 to 8 are not there.
"""

from __future__ import annotations

# ruff: noqa: NPY002  (the book draws from NumPy's global generator)
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, layers, losses
from fastbp.backend import kernels
from fastbp.book import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop, cross_entropy_error, relu, sigmoid, softmax

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Affine",
    "Dropout",
    "Embedding",
    "MatMul",
    "Momentum",
    "Nesterov",
    "RMSprop",
    "Relu",
    "Sigmoid",
    "SigmoidWithLoss",
    "Softmax",
    "SoftmaxWithLoss",
    "Trainer",
    "TwoLayerNet",
    "clip_grads",
    "convert_one_hot",
    "create_contexts_target",
    "cross_entropy_error",
    "preprocess",
    "relu",
    "sigmoid",
    "softmax",
]


# --- layers -------------------------------------------------------------------------------------


class _Bare:
    """A layer without parameters."""

    params: Any = property(lambda self: [], doc="No arrays.")
    grads: Any = property(lambda self: [], doc="No arrays.")


class Relu(_Bare, layers.Relu):
    """`fastbp.Relu` with empty lists `params` and `grads`.

    Examples
    --------
    >>> Relu().forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    """


class Sigmoid(_Bare, layers.Sigmoid):
    """`fastbp.Sigmoid` with empty lists `params` and `grads`.

    Examples
    --------
    >>> Sigmoid().forward(np.array([0.0]))
    array([0.5])
    """


class Dropout(_Bare, layers.Dropout):
    """`fastbp.Dropout` with empty lists `params` and `grads`.

    Examples
    --------
    >>> Dropout(0.5, seed=0).forward(np.ones(6))
    array([2., 0., 0., 2., 2., 0.])
    """


class SoftmaxWithLoss(_Bare, losses.SoftmaxWithLoss):
    """`fastbp.SoftmaxWithLoss` with empty lists `params` and `grads`.

    Examples
    --------
    >>> round(SoftmaxWithLoss().forward(np.array([[0.0, 0.0]]), np.array([1])), 4)
    0.6931
    """


class SigmoidWithLoss(_Bare, losses.SigmoidWithLoss):
    """`fastbp.SigmoidWithLoss` with empty lists `params` and `grads`.

    Examples
    --------
    >>> round(SigmoidWithLoss().forward(np.array([0.0]), np.array([1])), 4)
    0.6931
    """


class Softmax(_Bare):
    """`softmax` of each row.

    Attributes
    ----------
    out : numpy.ndarray or None
        The last forward's output.

    Examples
    --------
    >>> layer = Softmax()
    >>> layer.forward(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> layer.backward(np.array([[1.0, 0.0]]))
    array([[ 0.25, -0.25]])
    """

    def __init__(self) -> None:
        self.out: Any = None

    def forward(self, x: Any) -> Any:
        """The probabilities of x (n_samples, n_classes)."""
        self.out = softmax(x)
        return self.out

    def backward(self, dout: Any) -> Any:
        """The gradient by x."""
        checks.forward_was_called("Softmax", self.out)
        dx = self.out * checks.gradient_of("Softmax", dout, self.out.shape, self.out.dtype)
        return dx - self.out * dx.sum(axis=-1, keepdims=True)


class Affine(layers.Affine):
    """`fastbp.Affine` with lists: ``params = [W, b]``, and `grads`, into which backward writes.

    Parameters
    ----------
    W : numpy.ndarray
        (n_in, n_out), float32 or float64; the very array.
    b : numpy.ndarray
        (n_out,), likewise.

    Attributes
    ----------
    params, grads : list of numpy.ndarray
        The arrays stay the same ones.

    Raises
    ------
    ValueError, TypeError
        What `fastbp.Affine` refuses.

    Examples
    --------
    >>> layer = Affine(np.array([[1.0], [2.0]]), np.zeros(1))
    >>> dW, db = layer.grads
    >>> layer.forward(np.array([[1.0, 1.0]]))
    array([[3.]])
    >>> dx = layer.backward(np.array([[10.0]]))
    >>> dW
    array([[10.],
           [10.]])
    """

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__(W, b)
        self.grads: Any = [np.zeros_like(each) for each in self.params]

    @property
    def params(self) -> Any:
        """The very arrays that are trained."""
        return [self.W, self.b][: len(self.trained_names)]

    def backward(self, dout: Any) -> Any:
        """The gradient by x; those by the parameters are written into `grads`."""
        dx = super().backward(dout)
        for grad, new in zip(self.grads, (self.dW, self.db), strict=False):
            grad[...] = new
        return dx


class MatMul(Affine):
    """``x W``: an affine map without a bias.

    Parameters
    ----------
    W : numpy.ndarray
        (n_in, n_out), float32 or float64; the very array.

    Attributes
    ----------
    params, grads : list of numpy.ndarray
        ``[W]`` and its gradient; the arrays stay the same ones.

    Raises
    ------
    ValueError, TypeError
        What `fastbp.Affine` refuses.

    Examples
    --------
    >>> layer = MatMul(np.array([[1.0], [2.0]]))
    >>> layer.forward(np.array([[0.0, 1.0]]))
    array([[2.]])
    >>> len(layer.params), len(layer.grads)
    (1, 1)
    """

    has_bias = False

    def __init__(self, W: Array) -> None:
        W = checks.parameter("MatMul", "W", W, ndim=2)
        super().__init__(W, np.zeros(W.shape[1], W.dtype))


class Embedding:
    """Rows of W: the product of one-hot rows with it, without their zeros.

    Parameters
    ----------
    W : numpy.ndarray
        (n_words, width), float32 or float64; the very array.

    Attributes
    ----------
    params, grads : list of numpy.ndarray
        ``[W]`` and its gradient; the arrays stay the same ones.

    Raises
    ------
    ValueError, TypeError
        For a W that cannot be trained; from forward, for places that W has not.

    Examples
    --------
    >>> layer = Embedding(np.arange(6.0).reshape(3, 2))
    >>> layer.forward(np.array([2, 0, 2]))
    array([[4., 5.],
           [0., 1.],
           [4., 5.]])
    >>> layer.backward(np.ones((3, 2)))
    >>> layer.grads[0]
    array([[1., 1.],
           [0., 0.],
           [2., 2.]])
    """

    def __init__(self, W: Array) -> None:
        self._W = checks.parameter("Embedding", "W", W, ndim=2)
        self.params: Any = [self._W]
        self.grads: Any = [np.zeros(self._W.shape, self._W.dtype.type)]  # by rows, as the kernel writes it
        self.idx: Any = None

    def forward(self, idx: Any) -> Any:
        """The rows of W at the places idx, integers of any shape: ``(*idx.shape, width)``."""
        who, (n_words, width) = "Embedding", self._W.shape
        idx = checks.numbers(who, "idx", idx)
        if idx.dtype.kind not in "iu":
            raise TypeError(f"{who} expects idx of integers; got dtype {idx.dtype}.")
        if idx.size and not (idx.min() >= 0 and idx.max() < n_words):
            wrong = idx[(idx < 0) | (idx >= n_words)].flat[0]
            raise ValueError(f"{who} expects idx from 0 to {n_words - 1}, as W has {n_words} rows; got {wrong}.")
        self.idx = idx
        W = checks.floats(who, "W", self._W)
        out = np.empty((idx.size, width), W.dtype)
        if idx.size:
            kernels().embedding_forward(W.reshape(-1), *self._places(), out)
        return out.reshape(*idx.shape, width)

    def _places(self):
        """Where the rows begin, and how long they are."""
        width = self._W.shape[1]
        return self.idx.astype(np.int64).reshape(-1, 1) * width, np.array([width])

    def backward(self, dout: Any) -> None:
        """Write the sums of dout's rows by their places into `grads`; idx has no gradient."""
        checks.forward_was_called("Embedding", self.idx)
        W = self._W
        dout = checks.gradient_of("Embedding", dout, (*self.idx.shape, W.shape[1]), np.dtype(W.dtype.type))
        dW = self.grads[0].reshape(-1)
        if self.idx.size:
            kernels().embedding_backward(dout.reshape(-1, W.shape[1]), *self._places(), dW)
        else:
            dW[...] = 0


# --- networks and training ----------------------------------------------------------------------


class TwoLayerNet:
    """The first chapter's network: affine, sigmoid, affine, softmax.

    Parameters
    ----------
    input_size, hidden_size, output_size : int

    Attributes
    ----------
    params, grads : list of numpy.ndarray
        Of all layers, float64.

    Raises
    ------
    ValueError, TypeError
        For sizes that are none.

    Examples
    --------
    >>> model = TwoLayerNet(2, 5, 3)
    >>> loss = model.forward(np.ones((4, 2)), np.array([0, 1, 2, 0]))
    >>> model.backward().shape
    (4, 2)
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        who = "TwoLayerNet"
        n_in = checks.integer(who, "input_size", input_size, 1)
        n_hidden = checks.integer(who, "hidden_size", hidden_size, 1)
        n_out = checks.integer(who, "output_size", output_size, 1)
        W1, W2 = 0.01 * np.random.randn(n_in, n_hidden), 0.01 * np.random.randn(n_hidden, n_out)
        self.layers: Any = [Affine(W1, np.zeros(n_hidden)), Sigmoid(), Affine(W2, np.zeros(n_out))]
        self.loss_layer: Any = SoftmaxWithLoss()
        self.params: Any = [each for layer in self.layers for each in layer.params]
        self.grads: Any = [each for layer in self.layers for each in layer.grads]

    def predict(self, x: Any) -> Any:
        """The logits of x (n_samples, n_in)."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def forward(self, x: Any, t: Any) -> Any:
        """The mean loss."""
        return self.loss_layer.forward(self.predict(x), t)

    def backward(self, dout: Any = 1) -> Any:
        """The gradient by x; those by the parameters are in `grads`."""
        dout = self.loss_layer.backward(dout)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout


def clip_grads(grads: list[Array], max_norm: float) -> None:
    """Scale the gradients, in place, so that the norm of all of them is at most `max_norm`.

    Parameters
    ----------
    grads : list of numpy.ndarray
    max_norm : float

    Raises
    ------
    ValueError, TypeError
        For a bound that is not above 0, or no list.

    Examples
    --------
    >>> grads = [np.array([3.0]), np.array([4.0])]
    >>> clip_grads(grads, 1.0)
    >>> np.concatenate(grads).round(4)
    array([0.6, 0.8])
    """
    grads = checks.sequence("clip_grads", "grads", grads, "arrays")
    for place, grad in enumerate(grads):
        checks.writable_parameter("clip_grads", f"grads[{place}]", grad)
    rate = checks.positive("clip_grads", "max_norm", max_norm) / (np.sqrt(sum(np.sum(g**2) for g in grads)) + 1e-6)
    if rate < 1:
        for grad in grads:
            grad *= rate


def _shared(params, grads):
    """Each parameter once, with the sum of its gradients where several layers have it."""
    sums: dict[int, list] = {}
    for param, grad in zip(params, grads, strict=True):
        kept = sums.setdefault(id(param), [param, grad])
        if kept[1] is not grad:
            kept[1] = kept[1] + grad
    return [param for param, _ in sums.values()], [grad for _, grad in sums.values()]


class Trainer:
    """The second volume's loop: rows in a new order in each epoch, and mean losses.

    Parameters
    ----------
    model : object
        With ``params`` and ``grads``, lists of arrays, ``forward(x, t)``, which gives the loss, and
        ``backward()``.  An array that `params` has several times gets the sum of its gradients.
    optimizer : object
        With ``update(params, grads)`` of lists.

    Attributes
    ----------
    loss_list : list of float
        A mean over each `eval_interval` batches.

    Raises
    ------
    TypeError
        For a model or an optimiser without these.

    Examples
    --------
    >>> np.random.seed(0)
    >>> x, t = np.random.rand(40, 2), np.arange(40) % 3
    >>> trainer = Trainer(TwoLayerNet(2, 5, 3), SGD(lr=1.0))
    >>> trainer.fit(x, t, max_epoch=2, batch_size=10, eval_interval=None)
    >>> trainer.loss_list
    []
    """

    model: Any
    optimizer: Any

    def __init__(self, model: Any, optimizer: Any) -> None:
        if not all(hasattr(model, name) for name in ("params", "grads", "forward", "backward")):
            raise TypeError(
                f"Trainer expects model with params, grads, forward(x, t) and backward(); got "
                f"{checks.described(model)}."
            )
        if not hasattr(optimizer, "update"):
            raise TypeError(f"Trainer expects optimizer with update(params, grads); got {checks.described(optimizer)}.")
        self.model, self.optimizer = model, optimizer
        self.loss_list: list[float] = []
        self.eval_interval = None
        self.current_epoch = 0

    def fit(
        self, x: Any, t: Any, max_epoch: Any = 10, batch_size: Any = 32, max_grad: Any = None, eval_interval: Any = 20
    ) -> None:
        """Train.

        Parameters
        ----------
        x, t : numpy.ndarray
            With as many rows.
        max_epoch, batch_size : int
            Rows that do not fill a batch are left out of an epoch.
        max_grad : float or None
            The bound of the gradients' norm.
        eval_interval : int or None
            Print and keep the mean loss after each so many batches.

        Raises
        ------
        ValueError, TypeError
            For unlike numbers of rows, fewer than a batch, and numbers that are none.
        """
        who = "Trainer.fit"
        x, t = checks.numbers(who, "x", x), checks.numbers(who, "t", t)
        max_epoch = checks.integer(who, "max_epoch", max_epoch, 0)
        batch_size = checks.integer(who, "batch_size", batch_size, 1)
        if max_grad is not None:
            checks.positive(who, "max_grad", max_grad)
        if eval_interval is not None:
            checks.integer(who, "eval_interval", eval_interval, 1)
        if 0 in (x.ndim, t.ndim) or len(x) != len(t) or len(x) < batch_size:
            raise ValueError(
                f"{who} expects x and t with as many rows, at least batch_size, {batch_size}; got {x.shape} "
                f"and {t.shape}."
            )
        self.eval_interval = eval_interval
        n_batches, start, total, count = len(x) // batch_size, time.time(), 0.0, 0
        for _ in range(max_epoch):
            order = np.random.permutation(len(x))
            for k in range(n_batches):
                rows = order[k * batch_size : (k + 1) * batch_size]
                total, count = total + self._step(x[rows], t[rows], max_grad), count + 1
                if eval_interval is not None and k % eval_interval == 0:
                    mean = total / count
                    taken = time.time() - start
                    print(
                        f"| epoch {self.current_epoch + 1} |  iter {k + 1} / {n_batches} "
                        f"| time {taken:.0f}[s] | loss {mean:.2f}"
                    )
                    self.loss_list.append(float(mean))
                    total, count = 0.0, 0
            self.current_epoch += 1

    def _step(self, x, t, max_grad):
        """One batch; its loss."""
        loss = self.model.forward(x, t)
        self.model.backward()
        params, grads = _shared(self.model.params, self.model.grads)
        if max_grad is not None:
            clip_grads(grads, max_grad)
        self.optimizer.update(params, grads)
        return loss

    def plot(self, ylim: Any = None) -> None:
        """Draw `loss_list` by matplotlib.

        Parameters
        ----------
        ylim : (float, float) or None
            The ends of the axis of losses.

        Raises
        ------
        ImportError
            Where matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise checks.missing_extra("matplotlib", "Trainer.plot") from None
        if ylim is not None:
            plt.ylim(*ylim)
        plt.plot(np.arange(len(self.loss_list)), self.loss_list, label="train")
        plt.xlabel(f"iterations (x{self.eval_interval})")
        plt.ylabel("loss")
        plt.show()


# --- words --------------------------------------------------------------------------------------


def preprocess(text: str) -> tuple[Any, Any, dict[Any, Any]]:
    """The words of a text by their numbers.

    Parameters
    ----------
    text : str

    Returns
    -------
    corpus : numpy.ndarray of int
        (n_words,)
    word_to_id, id_to_word : dict

    Raises
    ------
    TypeError
        For what is no text.

    Examples
    --------
    >>> corpus, word_to_id, id_to_word = preprocess("You say goodbye and I say hello.")
    >>> corpus
    array([0, 1, 2, 3, 4, 1, 5, 6])
    >>> id_to_word[6]
    '.'
    """
    checks.instance("preprocess", "text", text, str, "a text")
    words = text.lower().replace(".", " .").split(" ")
    word_to_id: dict[str, int] = {}
    corpus = np.array([word_to_id.setdefault(word, len(word_to_id)) for word in words])
    return corpus, word_to_id, {place: word for word, place in word_to_id.items()}


def create_contexts_target(corpus: Any, window_size: int = 1) -> tuple[Any, Any]:
    """The words around each word, and that word.

    Parameters
    ----------
    corpus : array_like of int
        (n_words,)
    window_size : int
        So many words on each side.

    Returns
    -------
    contexts : numpy.ndarray of int
        (n, 2 window_size)
    target : numpy.ndarray of int
        (n,), n = n_words - 2 window_size.

    Raises
    ------
    ValueError, TypeError
        For a corpus without such a word.

    Examples
    --------
    >>> contexts, target = create_contexts_target([0, 1, 2, 3])
    >>> contexts
    array([[0, 2],
           [1, 3]])
    >>> target
    array([1, 2])
    """
    who = "create_contexts_target"
    corpus = checks.indices(who, "corpus", corpus)
    side = checks.integer(who, "window_size", window_size, 1)
    if len(corpus) <= 2 * side:
        raise ValueError(f"{who} expects corpus of more than {2 * side} words; got {len(corpus)}.")
    windows = np.lib.stride_tricks.sliding_window_view(corpus, 2 * side + 1)
    return np.delete(windows, side, axis=1), windows[:, side].copy()


def convert_one_hot(corpus: Any, vocab_size: int) -> Array:
    """Numbers of words as one-hot rows.

    Parameters
    ----------
    corpus : array_like of int
        Of any shape, as (n,) or (n, n_contexts).
    vocab_size : int

    Returns
    -------
    numpy.ndarray of int
        ``(*corpus.shape, vocab_size)``, int32 as in the book.

    Raises
    ------
    ValueError, TypeError
        For numbers that are no words.

    Examples
    --------
    >>> convert_one_hot([1, 0], 3)
    array([[0, 1, 0],
           [1, 0, 0]], dtype=int32)
    """
    who = "convert_one_hot"
    corpus = checks.numbers(who, "corpus", corpus)
    n = checks.integer(who, "vocab_size", vocab_size, 1)
    if corpus.dtype.kind not in "iu":
        raise TypeError(f"{who} expects corpus of integers; got dtype {corpus.dtype}.")
    if corpus.size and not (corpus.min() >= 0 and corpus.max() < n):
        wrong = corpus[(corpus < 0) | (corpus >= n)].flat[0]
        raise ValueError(f"{who} expects corpus from 0 to {n - 1}, as vocab_size is {n}; got {wrong}.")
    return (corpus[..., np.newaxis] == np.arange(n)).astype(np.int32)
