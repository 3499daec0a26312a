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
    "analogy",
    "clip_grads",
    "convert_one_hot",
    "cos_similarity",
    "create_co_matrix",
    "create_contexts_target",
    "cross_entropy_error",
    "most_similar",
    "ppmi",
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
    current_epoch: int

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
    n = checks.integer("convert_one_hot", "vocab_size", vocab_size, 1)
    corpus = _words("convert_one_hot", corpus, n)
    return (corpus[..., np.newaxis] == np.arange(n)).astype(np.int32)


def create_co_matrix(corpus, vocab_size, window_size=1):
    """How often words stand near each other.

    Parameters
    ----------
    corpus : array_like of int
        (n_words,), numbers from 0 to vocab_size - 1.
    vocab_size : int
    window_size : int
        Places to the left and to the right that are near.

    Returns
    -------
    numpy.ndarray of int
        (vocab_size, vocab_size), symmetric, int32 as in the book.

    Raises
    ------
    ValueError, TypeError
        For numbers that are no words.

    Examples
    --------
    >>> create_co_matrix([0, 1, 2, 1], 3)
    array([[0, 1, 0],
           [1, 0, 2],
           [0, 2, 0]], dtype=int32)
    """
    who = "create_co_matrix"
    n = checks.integer(who, "vocab_size", vocab_size, 1)
    window_size = checks.integer(who, "window_size", window_size, 1)
    corpus = _words(who, corpus, n)
    if corpus.ndim != 1:
        raise ValueError(f"{who} expects corpus of shape (n_words,); got shape {corpus.shape}.")
    checks.fits_memory(who, "rows and columns", (n, n))
    counts = np.zeros((n, n), np.int32)
    for distance in range(1, min(window_size, len(corpus) - 1) + 1):
        np.add.at(counts, (corpus[:-distance], corpus[distance:]), 1)
    return counts + counts.T


def cos_similarity(x, y, eps=1e-8):
    """The cosine of the angle between two vectors, ``sum(x y) / ((|x| + eps) (|y| + eps))``.

    Parameters
    ----------
    x, y : array_like
        (n,)
    eps : float
        Keeps vectors of zeros from a division by 0.

    Returns
    -------
    float
        Between -1 and 1.

    Raises
    ------
    ValueError, TypeError
        For what are no two vectors of one length.

    Examples
    --------
    >>> round(float(cos_similarity([1, 0], [1, 1])), 4)
    0.7071
    """
    who = "cos_similarity"
    x, y = (_floats(who, name, value) for name, value in (("x", x), ("y", y)))
    eps = checks.number(who, "eps", eps, 0)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{who} expects x and y as vectors of one length; got shapes {x.shape} and {y.shape}.")
    return np.dot(x / (np.sqrt(np.sum(x**2)) + eps), y / (np.sqrt(np.sum(y**2)) + eps))


def most_similar(query, word_to_id, id_to_word, word_matrix, top=5):
    """Print the words whose vectors have the largest cosines with a word's.

    Parameters
    ----------
    query : str
    word_to_id, id_to_word : dict
    word_matrix : array_like
        (n_words, n), a row for each word.
    top : int
        How many are printed, at most.

    Raises
    ------
    ValueError, TypeError
        For a matrix that has not a row for each word.  A word that is not there is told as the book does it.

    Examples
    --------
    >>> corpus, word_to_id, id_to_word = preprocess("You say goodbye and I say hello.")
    >>> C = create_co_matrix(corpus, len(word_to_id))
    >>> most_similar("you", word_to_id, id_to_word, C, top=2)  # doctest: +ELLIPSIS
    <BLANKLINE>
    [query] you
     goodbye: 0.7071067691...
     i: 0.7071067691...
    """
    word_matrix = _rows_of_words("most_similar", word_matrix, word_to_id)
    top = checks.integer("most_similar", "top", top, 1)
    if query not in word_to_id:
        print(f"{query} is not found")
        return
    print(f"\n[query] {query}")
    unit = word_matrix / (np.linalg.norm(word_matrix, axis=1, keepdims=True) + 1e-8)
    _print_nearest(unit @ unit[word_to_id[query]], {query}, id_to_word, top)


def analogy(a, b, c, word_to_id, id_to_word, word_matrix, top=5, answer=None):
    """Print the words whose vectors are nearest to ``b - a + c``: a is to b as c is to them.

    Parameters
    ----------
    a, b, c : str
    word_to_id, id_to_word : dict
    word_matrix : array_like
        (n_words, n), a row for each word.
    top : int
        How many are printed, at most.
    answer : str or None
        The right word, whose cosine is printed first.

    Raises
    ------
    ValueError, TypeError
        For a matrix that has not a row for each word.  A word that is not there is told as the book does it.

    Examples
    --------
    >>> word_to_id = {"man": 0, "woman": 1, "king": 2, "queen": 3, "apple": 4}
    >>> id_to_word = dict(enumerate(word_to_id))
    >>> vectors = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0]]
    >>> analogy("man", "woman", "king", word_to_id, id_to_word, vectors, top=1)  # doctest: +ELLIPSIS
    <BLANKLINE>
    [analogy] man:woman = king:?
     queen: 0.99999998...
    """
    word_matrix = _rows_of_words("analogy", word_matrix, word_to_id)
    top = checks.integer("analogy", "top", top, 1)
    for word in (a, b, c):
        if word not in word_to_id:
            print(f"{word} is not found")
            return
    print(f"\n[analogy] {a}:{b} = {c}:?")
    unit = word_matrix / (np.linalg.norm(word_matrix, axis=1, keepdims=True) + 1e-8)
    vec_a, vec_b, vec_c = (word_matrix[word_to_id[word]] for word in (a, b, c))
    wanted = vec_b - vec_a + vec_c
    cosines = unit @ (wanted / (np.linalg.norm(wanted) + 1e-8))
    if answer is not None:
        print(f"==>{answer}:{cosines[word_to_id[answer]]}")
    _print_nearest(cosines, {a, b, c}, id_to_word, top)


def ppmi(C, verbose=False, eps=1e-8):
    """Positive pointwise mutual information of counts, ``max(0, log2(C_ij N / (S_i S_j) + eps))``.

    N is the sum of all counts and S that of each column.

    Parameters
    ----------
    C : array_like
        (n_words, n_words), as `create_co_matrix` counts.
    verbose : bool
        Print when it is done; the book's prints each percent of its loops.
    eps : float
        Keeps counts of 0 from a logarithm of 0.

    Returns
    -------
    numpy.ndarray of float32
        (n_words, n_words), 0 where a word never stands near another.

    Raises
    ------
    ValueError, TypeError
        For what is no square matrix of counts.

    Examples
    --------
    >>> ppmi([[0, 1], [1, 2]]).round(2)
    array([[0.  , 0.42],
           [0.42, 0.  ]], dtype=float32)
    """
    C = checks.numbers("ppmi", "C", C)
    verbose, eps = checks.flag("ppmi", "verbose", verbose), checks.number("ppmi", "eps", eps, 0)
    if C.ndim != 2 or C.shape[0] != C.shape[1]:
        raise ValueError(f"ppmi expects C of shape (n_words, n_words); got shape {C.shape}.")
    if C.size and not C.min() >= 0:
        raise ValueError(f"ppmi expects C as counts, of at least 0; got {C.min()}.")
    N, S = C.sum(dtype=np.float64), C.sum(axis=0, dtype=np.float64)
    share = np.divide(C * N, np.outer(S, S), out=np.zeros(C.shape), where=C > 0)  # 0 where S is
    information = np.log2(share + eps, out=np.zeros(C.shape), where=share + eps > 0)
    if verbose:
        print("100.0% done")
    return np.maximum(information, 0).astype(np.float32)


def _words(who, corpus, n):
    """The corpus as an array of numbers of n words."""
    corpus = checks.numbers(who, "corpus", corpus)
    if not corpus.size:  # of any dtype, for an empty list arrives as float64
        return corpus.astype(int)
    if corpus.dtype.kind not in "iu":
        raise TypeError(f"{who} expects corpus of integers; got dtype {corpus.dtype}.")
    if not (corpus.min() >= 0 and corpus.max() < n):
        wrong = corpus[(corpus < 0) | (corpus >= n)].flat[0]
        raise ValueError(f"{who} expects corpus from 0 to {n - 1}, as vocab_size is {n}; got {wrong}.")
    return corpus


def _rows_of_words(who, word_matrix, word_to_id):
    """A matrix with a row for each word, as float."""
    word_matrix = _floats(who, "word_matrix", word_matrix)
    checks.mapping(who, "word_to_id", word_to_id)
    if word_matrix.ndim != 2 or len(word_matrix) != len(word_to_id):
        raise ValueError(
            f"{who} expects word_matrix with a row for each of {len(word_to_id)} words; got shape {word_matrix.shape}."
        )
    return word_matrix


def _floats(who, name, value):
    """An array of float; the squares of counts may be beyond their dtype."""
    value = checks.numbers(who, name, value)
    return value if value.dtype.kind == "f" else value.astype(np.float64)


def _print_nearest(cosines, left_out, id_to_word, top):
    """Words by their cosines, largest first, as the book prints them."""
    words = (place for place in np.argsort(-cosines, kind="stable") if id_to_word[place] not in left_out)
    for _, place in zip(range(top), words, strict=False):
        print(f" {id_to_word[place]}: {cosines[place]}")
