"""All names of *Deep Learning from Scratch*, chapters 3 to 6, in one place; `book2` has volume 2's.

A script of the book runs with ``common.layers``, ``common.optimizer`` and so on, ``dataset.mnist``
and ``two_layer_net`` replaced by ``fastbp.book`` in its imports; docs/the-book.md says where the
numbers differ.  What is random draws from NumPy's global generator, as the book does, so that
``np.random.seed`` holds.  Chapter 7's `im2col`, `Convolution` and `Pooling` are not there.
"""

from __future__ import annotations

# ruff: noqa: NPY002
from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, optim
from fastbp.datasets import load_mnist
from fastbp.gradcheck import numerical_gradient
from fastbp.layers import (
    AddLayer,
    Affine,
    BatchNormalization,
    Dropout,
    MulLayer,
    Relu,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    cross_entropy_error,
    softmax,
)
from fastbp.layers.base import takes_train_flg
from fastbp.optim import AdaGrad, Adam, Momentum, Nesterov, RMSprop

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AddLayer",
    "Affine",
    "BatchNormalization",
    "Dropout",
    "Momentum",
    "MulLayer",
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Nesterov",
    "RMSprop",
    "Relu",
    "Sigmoid",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "Trainer",
    "TwoLayerNet",
    "cross_entropy_error",
    "identity_function",
    "load_mnist",
    "mean_squared_error",
    "numerical_diff",
    "numerical_gradient",
    "numerical_gradient_2d",
    "relu",
    "relu_grad",
    "shuffle_dataset",
    "sigmoid",
    "sigmoid_grad",
    "smooth_curve",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]


# --- functions --------------------------------------------------------------------------------


def identity_function(x: Any) -> Any:
    """The argument.

    Examples
    --------
    >>> identity_function(3)
    3
    """
    return x


def step_function(x: ArrayLike) -> Array:
    """1 where x is above 0, else 0.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    numpy.ndarray of int

    Raises
    ------
    TypeError
        For what is no number.

    Examples
    --------
    >>> step_function(np.array([-1.0, 0.0, 2.0]))
    array([0, 0, 1])
    """
    return np.array(checks.numbers("step_function", "x", x) > 0, int)


def sigmoid(x: ArrayLike) -> Array:
    """Logistic function ``1 / (1 + exp(-x))``, without overflow for any x.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    numpy.ndarray
        float32 for float32, else float64.

    Raises
    ------
    TypeError
        For what is no number.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    return Sigmoid().forward(x)[()]


def sigmoid_grad(x: Any) -> Any:
    """The derivative of `sigmoid` at x.

    Examples
    --------
    >>> sigmoid_grad(np.array([0.0, 1000.0]))
    array([0.25, 0.  ])
    """
    y = sigmoid(x)
    return (1 - y) * y


def relu(x: Any) -> Any:
    """``max(x, 0)``.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(0, checks.numbers("relu", "x", x))


def relu_grad(x: Any) -> Any:
    """The derivative of `relu`: 1 where x is at least 0, as the book has it here, else 0.

    Examples
    --------
    >>> relu_grad(np.array([-1.0, 0.0, 2.0]))
    array([0., 1., 1.])
    """
    return np.array(checks.numbers("relu_grad", "x", x) >= 0, float)


def sum_squared_error(y: Any, t: Any) -> float:
    """Half the sum of squared differences: ``sum((y - t)^2) / 2``, over all elements.

    Parameters
    ----------
    y, t : array_like
        Of one shape.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For other shapes, which NumPy would broadcast, or what is no number.

    Examples
    --------
    >>> sum_squared_error(np.array([0.5, 1.0]), np.array([0.0, 0.0]))
    0.625
    """
    y = checks.floats("sum_squared_error", "y", y, checks.FLOAT64)
    t = checks.floats("sum_squared_error", "t", t, checks.FLOAT64)
    checks.same_shape("sum_squared_error", "t", t, y.shape, "y")
    return float(np.square(y - t).sum() / 2)


mean_squared_error = sum_squared_error  # the name that it has in the book's text


def softmax_loss(X: Any, t: Any) -> float:
    """Cross-entropy of `softmax`, exact where `cross_entropy_error` of it would be inf.

    Parameters
    ----------
    X : array_like
        (n_samples, n_classes) or (n_classes,).
    t : array_like
        Class indices, or rows.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For targets that do not fit.

    Examples
    --------
    >>> round(softmax_loss(np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([0, 1])), 4)
    0.41
    """
    return SoftmaxWithLoss().evaluate(X, t)


def numerical_diff(f: Any, x: Any) -> float | Array:
    """The derivative of a function of one number: ``(f(x + h) - f(x - h)) / 2h``, h = 1e-4.

    Parameters
    ----------
    f : callable
        ``f(x)`` returns a number, or an array of x's shape.
    x : float or array_like
        Of an array the derivative at each element.

    Returns
    -------
    float or numpy.ndarray of float64

    Raises
    ------
    TypeError, ValueError
        For no function, what is no number, and an x so large that h does not change it.

    Examples
    --------
    >>> round(numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5), 6)
    0.2
    """
    checks.function("numerical_diff", "f", f, "a function of x")
    if np.ndim(x):
        x = checks.floats("numerical_diff", "x", x, checks.FLOAT64)
    else:
        x = checks.number("numerical_diff", "x", x)
    low, high = x - 1e-4, x + 1e-4
    if np.any(low == high):
        raise ValueError("numerical_diff expects x that h, 1e-4, changes; got one so large that it does not.")
    return (f(high) - f(low)) / (high - low)


def numerical_gradient_2d(f: Any, X: Any) -> Any:
    """`numerical_gradient` of f, a function of one point, at each row of X; a 1-D X is one point.

    Examples
    --------
    >>> numerical_gradient_2d(lambda x: np.sum(x**2), np.array([[3.0, 4.0], [0.0, 2.0]])).round(6)
    array([[6., 8.],
           [0., 4.]])
    """
    if np.ndim(X) < 2:
        return numerical_gradient(f, X)
    grads = np.empty(np.shape(X))
    for grad, point in zip(grads, X, strict=True):
        grad[...] = numerical_gradient(f, point)
    return grads


def shuffle_dataset(x: ArrayLike, t: ArrayLike) -> tuple[Any, Any]:
    """The rows of x and t in one random order.

    Parameters
    ----------
    x, t : array_like
        With as many rows.

    Returns
    -------
    x, t : numpy.ndarray

    Raises
    ------
    ValueError
        For unlike numbers of rows.

    Examples
    --------
    >>> x, t = shuffle_dataset(np.arange(6).reshape(3, 2), np.array([0, 2, 4]))
    >>> bool((x[:, 0] == t).all())
    True
    """
    x, t = (
        array
        if isinstance(array, np.ndarray)  # a mask goes along
        else checks.rectangular("shuffle_dataset", name, array)
        for name, array in (("x", x), ("t", t))
    )
    if 0 in (x.ndim, t.ndim) or len(x) != len(t):
        raise ValueError(f"shuffle_dataset expects x and t with as many rows; got {x.shape} and {t.shape}.")
    order = np.random.permutation(len(x))
    return x[order], t[order]


def smooth_curve(x: Any) -> Array:
    """Each number as a mean over the eleven around it, by the weights of a Kaiser window.

    Parameters
    ----------
    x : array_like
        (n,), at least 6.

    Returns
    -------
    numpy.ndarray
        (n,)

    Raises
    ------
    ValueError, TypeError
        For fewer numbers, or none.

    Examples
    --------
    >>> smooth_curve([1.0] * 8).round(6)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    x = checks.numbers("smooth_curve", "x", x)
    if x.ndim != 1 or len(x) < 6:
        raise ValueError(f"smooth_curve expects x of shape (n,), n at least 6; got {x.shape}.")
    window = np.kaiser(11, 2)
    mirrored = np.concatenate([x[5:0:-1], x, x[:-6:-1]])
    return np.convolve(window / window.sum(), mirrored, mode="valid")


# --- training ---------------------------------------------------------------------------------


class SGD(optim.SGD):
    """`fastbp.optim.SGD` of arrays with the book's argument and default.

    Parameters
    ----------
    lr : float

    Examples
    --------
    >>> params = {"x": 1.0}
    >>> SGD().update(params, {"x": 10.0})
    >>> params["x"]
    0.9
    """

    _options = ("lr",)

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__(lr=lr)


_OPTIMIZERS = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}
#: Deviations of initial weights, from the number of inputs.
_DEVIATIONS = {
    "relu": lambda n: np.sqrt(2 / n),
    "he": lambda n: np.sqrt(2 / n),
    "sigmoid": lambda n: np.sqrt(1 / n),
    "xavier": lambda n: np.sqrt(1 / n),
}
_ACTIVATIONS = {"sigmoid": Sigmoid, "relu": Relu}


def _name(who, what, given, table):
    """The key of a table that a text in letters of either case stands for."""
    return checks.choice(who, what, given.lower() if isinstance(given, str) else given, tuple(table))


class MultiLayerNetExtend:
    """The book's network of any depth, with weight decay, dropout and batch normalisation.

    Parameters
    ----------
    input_size : int
    hidden_size_list : sequence of int
    output_size : int
    activation : {"relu", "sigmoid"}
    weight_init_std : {"relu", "he", "sigmoid", "xavier"} or float
        The deviation sqrt(2 / n_in) for the first two, sqrt(1 / n_in) for the others, or a number.
    weight_decay_lambda : float
        Adds ``lambda / 2 sum(W^2)`` of each W to the loss.
    use_dropout, use_batchnorm : bool
    dropout_ration : float
        The ratio; so written in the book.

    Attributes
    ----------
    params : dict
        float64 arrays by name: ``W1, b1, ...``, with batch normalisation ``gamma1, beta1`` too.
        The layers keep the very arrays.
    layers : OrderedDict
    last_layer : SoftmaxWithLoss

    Raises
    ------
    ValueError, TypeError
        For sizes that are none, and unknown names.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), chapter 6.

    Examples
    --------
    >>> np.random.seed(0)
    >>> net = MultiLayerNetExtend(4, [8, 8], 3, use_batchnorm=True, use_dropout=True)
    >>> x, t = np.random.rand(5, 4), np.array([0, 1, 2, 0, 1])
    >>> sorted(net.gradient(x, t)) == sorted(net.params)
    True
    >>> net.predict(x).shape
    (5, 3)
    """

    use_dropout: Any
    use_batchnorm: Any

    def __init__(
        self,
        input_size: Any,
        hidden_size_list: Any,
        output_size: Any,
        activation: Any = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: Any = 0,
        use_dropout: Any = False,
        dropout_ration: Any = 0.5,
        use_batchnorm: Any = False,
    ) -> None:
        who = type(self).__name__
        hidden = checks.sequence(who, "hidden_size_list", hidden_size_list, "integers")
        self.input_size: Any = checks.integer(who, "input_size", input_size, 1)
        self.hidden_size_list: Any = [
            checks.integer(who, f"hidden_size_list[{place}]", n, 1) for place, n in enumerate(hidden)
        ]
        self.output_size: Any = checks.integer(who, "output_size", output_size, 1)
        self.hidden_layer_num: int = len(hidden)
        self.weight_decay_lambda: Any = checks.number(who, "weight_decay_lambda", weight_decay_lambda, least=0)
        self.use_dropout = use_dropout = checks.flag(who, "use_dropout", use_dropout)
        self.use_batchnorm = use_batchnorm = checks.flag(who, "use_batchnorm", use_batchnorm)
        activation = _ACTIVATIONS[_name(who, "activation", activation, _ACTIVATIONS)]
        self.params: dict[str, np.ndarray] = {}
        self._draw_weights(weight_init_std)
        self.layers: OrderedDict[str, Any] = OrderedDict()
        for k, n in enumerate(self.hidden_size_list, start=1):
            self.layers[f"Affine{k}"] = Affine(self.params[f"W{k}"], self.params[f"b{k}"])
            if use_batchnorm:
                gamma, beta = np.ones(n), np.zeros(n)
                self.params[f"gamma{k}"], self.params[f"beta{k}"] = gamma, beta
                self.layers[f"BatchNorm{k}"] = BatchNormalization(gamma, beta)
            self.layers[f"Activation_function{k}"] = activation()
            if use_dropout:
                seed = np.random.randint(2**31)
                self.layers[f"Dropout{k}"] = Dropout(dropout_ration, seed)
        k = self.hidden_layer_num + 1
        self.layers[f"Affine{k}"] = Affine(self.params[f"W{k}"], self.params[f"b{k}"])
        self.last_layer: Any = SoftmaxWithLoss()

    def _draw_weights(self, weight_init_std):
        who = type(self).__name__
        sizes = [self.input_size, *self.hidden_size_list, self.output_size]
        if isinstance(weight_init_std, str):
            deviation = _DEVIATIONS[_name(who, "weight_init_std", weight_init_std, _DEVIATIONS)]
        else:
            scale = checks.number(who, "weight_init_std", weight_init_std, least=0)
            deviation = lambda n: scale  # noqa: E731
        for k, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            self.params[f"W{k}"] = deviation(n_in) * np.random.randn(n_in, n_out)
            self.params[f"b{k}"] = np.zeros(n_out)

    def predict(self, x: Any, train_flg: bool = False) -> Any:
        """The logits; `train_flg` says whether dropout and batch normalisation train."""
        for layer in self.layers.values():
            two_modes = takes_train_flg(layer)
            x = layer.forward(x, train_flg) if two_modes else layer.forward(x)
        return x

    def loss(self, x: Any, t: Any, train_flg: bool = False) -> float:
        """The mean loss, and the penalty of the weights."""
        loss = self.last_layer.forward(self.predict(x, train_flg), t)
        squares = sum(np.sum(self.params[f"W{k}"] ** 2) for k in self._numbers())
        return float(loss + 0.5 * self.weight_decay_lambda * squares)

    def accuracy(self, x: Any, t: Any) -> Any:
        """The share of samples that are classified rightly."""
        return self.last_layer.accuracy(self.predict(x, train_flg=False), t)

    def numerical_gradient(self, x: Any, t: Any) -> dict[Any, Any]:
        """The gradients by `params` from differences."""
        return {
            name: numerical_gradient(lambda _: self.loss(x, t, train_flg=True), array)
            for name, array in self.params.items()
        }

    def gradient(self, x: Any, t: Any) -> Any:
        """The gradients by `params` from backpropagation."""
        self.loss(x, t, train_flg=True)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        grads = {}
        for k in self._numbers():
            affine = self.layers[f"Affine{k}"]
            grads[f"W{k}"] = affine.dW + self.weight_decay_lambda * self.params[f"W{k}"]
            grads[f"b{k}"] = affine.db
            if f"BatchNorm{k}" in self.layers:
                norm = self.layers[f"BatchNorm{k}"]
                grads[f"gamma{k}"], grads[f"beta{k}"] = norm.dgamma, norm.dbeta
        return grads

    def _numbers(self):
        return range(1, self.hidden_layer_num + 2)


class MultiLayerNet(MultiLayerNetExtend):
    """The book's network of any depth.

    Parameters
    ----------
    input_size, hidden_size_list, output_size, activation, weight_init_std, weight_decay_lambda
        See `MultiLayerNetExtend`.

    Examples
    --------
    >>> list(MultiLayerNet(4, [8], 3).params)
    ['W1', 'b1', 'W2', 'b2']
    """

    def __init__(
        self,
        input_size: Any,
        hidden_size_list: Any,
        output_size: Any,
        activation: Any = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: Any = 0,
    ) -> None:
        super().__init__(input_size, hidden_size_list, output_size, activation, weight_init_std, weight_decay_lambda)


class TwoLayerNet(MultiLayerNet):
    """The book's first network: two Affine layers with a Relu between them.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
    weight_init_std : float

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.7.2.

    Examples
    --------
    >>> net = TwoLayerNet(input_size=4, hidden_size=8, output_size=3)
    >>> list(net.layers)
    ['Affine1', 'Relu1', 'Affine2']
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01) -> None:
        checks.integer(type(self).__name__, "hidden_size", hidden_size, 1)
        super().__init__(input_size, [hidden_size], output_size, "relu", weight_init_std)
        names = {"Activation_function1": "Relu1"}
        self.layers: Any = OrderedDict((names.get(k, k), layer) for k, layer in self.layers.items())

    @property
    def lastLayer(self) -> Any:
        """`last_layer`, so written in the book."""
        return self.last_layer

    @lastLayer.setter
    def lastLayer(self, layer: Any) -> None:
        self.last_layer = layer


class Trainer:
    """The book's loop: random batches with replacement, and accuracies at each epoch's begin.

    `fastbp.Trainer` is another: a network compiled to one call for each step.

    Parameters
    ----------
    network : object
        With ``params``, ``gradient(x, t)``, ``loss(x, t)`` and ``accuracy(x, t)``.
    x_train, t_train, x_test, t_test : numpy.ndarray
    epochs, mini_batch_size : int
    optimizer : {"SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"}
        In letters of either case.
    optimizer_param : dict or None
        Its arguments; ``{"lr": 0.01}`` by default.
    evaluate_sample_num_per_epoch : int or None
        Evaluate the first so many samples only.
    verbose : bool
        Print losses and accuracies.

    Attributes
    ----------
    train_loss_list : list of float
        Of each batch, after its step.
    train_acc_list, test_acc_list : list of float
        Of each epoch.

    Raises
    ------
    ValueError, TypeError
        For an unknown optimiser, or numbers that are none.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), chapter 6.

    Examples
    --------
    >>> np.random.seed(0)
    >>> x, t = np.random.rand(40, 4), np.arange(40) % 3
    >>> trainer = Trainer(TwoLayerNet(4, 8, 3), x, t, x, t, epochs=2, mini_batch_size=10,
    ...                   verbose=False)
    >>> trainer.train()
    >>> len(trainer.train_loss_list), len(trainer.test_acc_list)
    (8, 2)
    """

    x_train: Any
    t_train: Any
    x_test: Any
    t_test: Any
    current_iter: int
    current_epoch: int

    def __init__(
        self,
        network: Any,
        x_train: Any,
        t_train: Any,
        x_test: Any,
        t_test: Any,
        epochs: Any = 20,
        mini_batch_size: Any = 100,
        optimizer: Any = "SGD",
        optimizer_param: Any = None,
        evaluate_sample_num_per_epoch: Any = None,
        verbose: Any = True,
    ) -> None:
        who = "Trainer"
        if not all(hasattr(network, name) for name in ("params", "gradient", "loss", "accuracy")):
            raise TypeError(
                f"{who} expects network with params, gradient(x, t), loss(x, t) and "
                f"accuracy(x, t); got {checks.described(network)}."
            )
        self.network = network
        self.verbose: Any = checks.flag(who, "verbose", verbose)
        self.x_train, self.t_train, self.x_test, self.t_test = (
            checks.numbers(who, name, array)
            for name, array in (("x_train", x_train), ("t_train", t_train), ("x_test", x_test), ("t_test", t_test))
        )
        self.epochs: Any = checks.integer(who, "epochs", epochs, 0)
        self.train_size: int = len(self.x_train)
        self.batch_size: Any = checks.integer(who, "mini_batch_size", mini_batch_size, 1)
        for name, x, t in (("train", self.x_train, self.t_train), ("test", self.x_test, self.t_test)):
            if not 0 < len(x) == len(t):
                raise ValueError(
                    f"{who} expects x_{name} and t_{name} with as many rows, at least one; got {len(x)} and {len(t)}."
                )
        name = _name(who, "optimizer", optimizer, _OPTIMIZERS)
        if optimizer_param is None:
            optimizer_param = {"lr": 0.01}
        checks.mapping(who, "optimizer_param", optimizer_param)
        self.optimizer: Any = _OPTIMIZERS[name](**optimizer_param)
        if evaluate_sample_num_per_epoch is not None:
            checks.integer(who, "evaluate_sample_num_per_epoch", evaluate_sample_num_per_epoch, least=1)
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.iter_per_epoch: Any = max(self.train_size / self.batch_size, 1)
        self.max_iter: int = int(self.epochs * self.iter_per_epoch)
        self.current_iter = self.current_epoch = 0
        self.train_loss_list: list[float] = []
        self.train_acc_list: list[float] = []
        self.test_acc_list: list[float] = []

    def train_step(self) -> None:
        """One batch; at an epoch's begin the accuracies too."""
        rows = np.random.choice(self.train_size, self.batch_size)
        x, t = self.x_train[rows], self.t_train[rows]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        if self.verbose:
            print(f"train loss:{loss}")
        if self.current_iter >= self.current_epoch * self.iter_per_epoch:
            self.current_epoch += 1
            some = slice(self.evaluate_sample_num_per_epoch)
            train = self.network.accuracy(self.x_train[some], self.t_train[some])
            test = self.network.accuracy(self.x_test[some], self.t_test[some])
            self.train_acc_list.append(train)
            self.test_acc_list.append(test)
            if self.verbose:
                print(f"=== epoch:{self.current_epoch}, train acc:{train}, test acc:{test} ===")
        self.current_iter += 1

    def train(self) -> None:
        """All epochs, and the accuracy on the test set at the end."""
        for _ in range(self.max_iter):
            self.train_step()
        if self.verbose:
            accuracy = self.network.accuracy(self.x_test, self.t_test)
            print(f"=============== Final Test Accuracy ===============\ntest acc:{accuracy}")
