"""`Sequential`: a network as a list of layers and a loss, with the book's methods."""

import json
import os
from collections.abc import MutableMapping

import numpy as np

from fastbp import checks
from fastbp.layers import (
    Affine,
    Flatten,
    Identity,
    Layer,
    Linear,
    Relu,
    Sigmoid,
    Tanh,
)
from fastbp.losses import MeanSquaredError, SigmoidWithLoss, SoftmaxWithLoss

__all__ = ["Parameters", "Sequential"]

#: Names of `Sequential.from_config` and of the command line.
ACTIVATIONS = {
    "relu": Relu,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "linear": Identity,
}
LOSSES = {
    "softmax_cross_entropy": SoftmaxWithLoss,
    "sigmoid_cross_entropy": SigmoidWithLoss,
    "squared_error": MeanSquaredError,
}
#: Layers that a file may name.
_SAVED_LAYERS = {
    cls.__name__: cls for cls in (Linear, Affine, Relu, Sigmoid, Tanh, Identity, Flatten)
}
_SAVED_LOSSES = {cls.__name__: cls for cls in LOSSES.values()}
_FORMAT = "fastbp-network"
_FORMAT_VERSION = 1


class Parameters(MutableMapping):
    """The parameters of a network by the book's names: ``W1, b1, W2, b2, ...``.

    Reading gives the very arrays of the layers; assignment copies into them.
    """

    def __init__(self, layers):
        self._places = {}
        counts = {}
        for layer in layers:
            for name in getattr(layer, "param_names", ()):
                counts[name] = counts.get(name, 0) + 1
                self._places[f"{name}{counts[name]}"] = (layer, name)

    def __getitem__(self, key):
        layer, name = self._places[key]
        return getattr(layer, name)

    def __setitem__(self, key, value):
        if key not in self._places:
            raise KeyError(f"the network has {', '.join(self._places)}; got {key!r}")
        array = self[key]
        if value is array:  # params[key] -= ... has already changed it in place
            return
        value = checks.floats("params", key, value, array.dtype.newbyteorder("="))
        checks.same_shape("params", key, value, array.shape, "the layer's array")
        checks.writable_parameter("params", key, array)[...] = value

    def __delitem__(self, key):
        raise TypeError(f"params expects to keep all its parameters; got del params[{key!r}].")

    def __iter__(self):
        return iter(self._places)

    def __len__(self):
        return len(self._places)

    def __repr__(self):
        shapes = ", ".join(f"{key}: {self[key].shape}" for key in self)
        return f"Parameters({shapes})"


class Sequential:
    """Layers, one after the other, and a loss.

    Parameters
    ----------
    *layers : Layer
        Any object with ``forward(x)`` and ``backward(dout)`` will do.
    loss : Loss, its class, its name, or None
        "softmax_cross_entropy", "sigmoid_cross_entropy" or "squared_error"; None will do for a
        network that only predicts.

    Attributes
    ----------
    params : Parameters
        Live mapping of ``W1, b1, W2, ...``; the k-th Affine owns ``Wk`` and ``bk``.
    layers : tuple
    loss_layer : Loss or None

    Raises
    ------
    TypeError, ValueError
        For an object that is no layer, a layer with parameters that appears twice, or an
        unknown loss.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.7.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.layers import Linear, Relu, SoftmaxWithLoss
    >>> net = Sequential(Linear(2, 8, seed=0), Relu(), Linear(8, 3, seed=1),
    ...                  loss=SoftmaxWithLoss())
    >>> x, t = np.ones((5, 2), "float32"), np.array([0, 1, 2, 0, 1])
    >>> net.predict(x).shape
    (5, 3)
    >>> sorted(net.gradient(x, t))
    ['W1', 'W2', 'b1', 'b2']
    >>> before = net.loss(x, t)
    >>> for key, grad in net.gradient(x, t).items():
    ...     net.params[key] -= 0.1 * grad
    >>> net.loss(x, t) < before
    True
    """

    def __init__(self, *layers, loss=None):
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            raise TypeError(
                "Sequential expects its layers one by one, as in Sequential(*layers); "
                f"got a {type(layers[0]).__name__}."
            )
        owners = set()
        for place, layer in enumerate(layers):
            if isinstance(layer, type) or not (
                callable(getattr(layer, "forward", None))
                and callable(getattr(layer, "backward", None))
            ):
                raise TypeError(
                    f"Sequential expects layers, objects with forward(x) and backward(dout); "
                    f"got {layer!r} at place {place}."
                )
            if not isinstance(layer, Layer) or layer.param_names:
                if id(layer) in owners:
                    raise ValueError(
                        f"Sequential expects a layer with parameters at one place only; "
                        f"got {layer!r} again at place {place}."
                    )
                owners.add(id(layer))
        self.layers = layers
        self.loss_layer = _loss_layer(loss)
        self.params = Parameters(layers)

    @classmethod
    def from_config(cls, config, loss=None, dtype="float32", seed=None):
        """A network from a list of (inputs, outputs, activation).

        Parameters
        ----------
        config : sequence of (int, int, str)
            The activation is "relu", "sigmoid", "tanh" or "linear".  Weights start with He's
            deviation before a relu and with Xavier's before the others, biases at 0.
        loss : Loss, its class, its name, or None
        dtype : {"float32", "float64"}
        seed : int, numpy.random.Generator or None

        Returns
        -------
        Sequential

        Raises
        ------
        ValueError, TypeError
            For widths that do not follow on each other, or an unknown activation.

        Examples
        --------
        >>> net = Sequential.from_config([(2, 8, "tanh"), (8, 1, "linear")], "squared_error")
        >>> net.summary()
        Sequential
          0  Affine    2 -> 8       24
          1  Tanh                    0
          2  Affine    8 -> 1        9
          3  Identity                0
        loss MeanSquaredError, 33 parameters, float32
        """
        rng = np.random.default_rng(seed)
        layers = []
        width = None
        for place, row in enumerate(config):
            try:
                n_in, n_out, activation = row
            except (TypeError, ValueError):
                raise ValueError(
                    "from_config expects rows (inputs, outputs, activation); "
                    f"got {row!r} at place {place}."
                ) from None
            checks.choice("from_config", "activation", activation, tuple(ACTIVATIONS))
            if width not in (None, n_in):
                raise ValueError(
                    f"from_config expects {width} inputs at place {place}, as the layer before "
                    f"has outputs; got {n_in}."
                )
            scale = "he" if activation == "relu" else "xavier"
            layers += [Linear(n_in, n_out, scale, dtype, rng), ACTIVATIONS[activation]()]
            width = n_out
        return cls(*layers, loss=loss)

    # --- the layers -------------------------------------------------------------------------

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, index):
        """A layer, or a Sequential of the same layers for a slice."""
        if isinstance(index, slice):
            return type(self)(*self.layers[index])
        return self.layers[index]

    def __repr__(self):
        lines = [f"  ({i}): {layer!r}" for i, layer in enumerate(self.layers)]
        if self.loss_layer is not None:
            lines.append(f"  (loss): {self.loss_layer!r}")
        return "\n".join(["Sequential(", *lines, ")"])

    def summary(self):
        """Print the layers, their sizes and their numbers of parameters."""
        rows = []
        for i, layer in enumerate(self.layers):
            count = sum(getattr(layer, name).size for name in getattr(layer, "param_names", ()))
            config = layer.config() if isinstance(layer, Layer) else {}
            sizes = f"{config['in_features']} -> {config['out_features']}" if count else ""
            # A Linear is an Affine once it has its weights.
            name = "Affine" if isinstance(layer, Affine) else type(layer).__name__
            rows.append((str(i), name, sizes, f"{count:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(type(self).__name__)
        for i, name, sizes, count in rows:
            print(
                f"  {i:>{widths[0]}}  {name:<{widths[1]}}  {sizes:<{widths[2]}}"
                f"  {count:>{max(widths[3], 7)}}"
            )
        total = sum(array.size for array in self.params.values())
        dtypes = sorted({str(array.dtype) for array in self.params.values()})
        loss = type(self.loss_layer).__name__ if self.loss_layer is not None else "none"
        print(f"loss {loss}, {total:,} parameters" + (", " if dtypes else "") + ", ".join(dtypes))

    # --- evaluation -------------------------------------------------------------------------

    def predict(self, x):
        """The network's output for x, in evaluation mode.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), or (n_features,) for one sample.

        Returns
        -------
        numpy.ndarray
            (n_samples, n_outputs), or (n_outputs,).  With a softmax or sigmoid loss these are
            the logits.
        """
        for layer in self.layers:
            x = layer.evaluate(x) if isinstance(layer, Layer) else layer.forward(x)
        return x

    def loss(self, x, t):
        """The mean loss of predictions for x against targets t, in evaluation mode."""
        return self._loss_layer_for("loss").evaluate(self.predict(x), t)

    def accuracy(self, x, t):
        """The share of samples that are classified rightly, between 0 and 1.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features)
        t : array_like
            Class indices (n_samples,) or one-hot rows; for a sigmoid loss, targets of the
            output's shape, of which every element counts.

        Raises
        ------
        ValueError
            For a loss that does not classify, or no samples.
        """
        if isinstance(self.loss_layer, MeanSquaredError):
            raise ValueError(
                "Sequential.accuracy expects a classification loss; got MeanSquaredError."
            )
        y = self.predict(x)
        if y.size == 0:
            raise ValueError("Sequential.accuracy expects at least one sample; got none.")
        if isinstance(self.loss_layer, SigmoidWithLoss):
            t = checks.binary_targets("Sequential.accuracy", t, y)
            return float(np.mean((y > 0) == (t > 0.5)))
        rows = y[np.newaxis] if y.ndim == 1 else y
        t = checks.class_targets("Sequential.accuracy", t, *rows.shape, y.dtype, y.ndim == 1)
        if t.ndim == 2:
            t = t.argmax(axis=1)
        return float(np.mean(rows.argmax(axis=1) == t))

    # --- training ---------------------------------------------------------------------------

    def forward(self, x):
        """The output for x in training mode; each layer keeps what its backward needs."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        """The gradient by the last forward's x, from that by its output."""
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout

    def gradient(self, x, t):
        """The mean loss's gradients by the parameters, by backpropagation.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), at least one sample.
        t : array_like
            Targets as the loss takes them.

        Returns
        -------
        dict of str to numpy.ndarray
            Of the keys and shapes of `params`; each layer has its own as `dW` and `db` too.

        Raises
        ------
        ValueError
            For no samples, or a network without a loss.
        """
        loss_layer = self._loss_layer_for("gradient")
        if np.shape(x)[:1] == (0,):
            raise ValueError("Sequential.gradient expects at least one sample; got none.")
        saved = []
        for layer in self.layers:
            if isinstance(layer, Layer):
                x, kept = layer.apply(x, True)
            else:
                x, kept = layer.forward(x), None
            saved.append(kept)
        loss_layer.forward(x, t)
        dout = loss_layer.backward()
        # Nobody needs the gradient by the network's input: below the first layer with
        # parameters the sweep ends, and that layer leaves out its dx.
        first = self._first_trained()
        for place in range(len(self.layers) - 1, first - 1, -1):
            layer = self.layers[place]
            if isinstance(layer, Layer):
                dout, grads = layer.pullback(saved[place], dout, need_dx=place > first)
                layer.keep_gradients(grads)
            else:
                dout = layer.backward(dout)
        return {
            key: getattr(layer, "d" + name)
            for key, (layer, name) in self.params._places.items()
        }  # fmt: skip

    def _first_trained(self):
        """The place of the first layer that has parameters (or is the user's own)."""
        for place, layer in enumerate(self.layers):
            if not isinstance(layer, Layer) or layer.param_names:
                return place
        return len(self.layers)

    def _loss_layer_for(self, method):
        if self.loss_layer is None:
            raise ValueError(
                f"Sequential.{method} expects a network with a loss, as in "
                "Sequential(..., loss=SoftmaxWithLoss()); got loss=None."
            )
        return self.loss_layer

    # --- files ------------------------------------------------------------------------------

    def state_dict(self):
        """The parameters under PyTorch's names and shapes: "0.weight" is (n_out, n_in).

        Returns
        -------
        dict of str to numpy.ndarray
            Views of the layers' arrays.
        """
        return {
            f"{place}.{name}": array
            for place, layer in enumerate(self.layers)
            if isinstance(layer, Affine)
            for name, array in (("weight", layer.weight), ("bias", layer.b))
        }

    def save(self, path):
        """Write the parameters and the architecture as a safetensors file.

        Parameters
        ----------
        path : str or os.PathLike
            Written whole or not at all.

        Raises
        ------
        TypeError
            For a network with layers of the user's own.
        ImportError
            Without safetensors.
        """
        from_safetensors = _safetensors("Sequential.save")
        architecture = {
            "format": _FORMAT,
            "version": _FORMAT_VERSION,
            "layers": [_described(layer, _SAVED_LAYERS) for layer in self.layers],
            "loss": None
            if self.loss_layer is None
            else _described(self.loss_layer, _SAVED_LOSSES)["type"],
        }
        tensors = {name: np.ascontiguousarray(a) for name, a in self.state_dict().items()}
        data = from_safetensors.save(tensors, {"fastbp": json.dumps(architecture)})
        partial = f"{os.fspath(path)}.{os.getpid()}.part"
        try:
            with open(partial, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            if os.path.exists(partial):
                os.remove(partial)

    @classmethod
    def load(cls, path):
        """The network that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike

        Returns
        -------
        Sequential
            With the same predictions, to the bit.

        Raises
        ------
        ValueError
            For a file that is not such a network, is damaged, or was written by a newer
            version.
        ImportError
            Without safetensors.
        """
        safetensors = _safetensors("Sequential.load")
        with open(path, "rb") as file:
            data = file.read()
        try:
            tensors = safetensors.load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            architecture = json.loads(header.get("__metadata__", {})["fastbp"])
            version = architecture["version"]
            described = architecture["layers"]
            loss = architecture["loss"]
        except Exception as error:
            raise ValueError(
                f"Sequential.load expects a network that Sequential.save wrote; "
                f"got {os.fspath(path)!r} ({type(error).__name__}: {error})."
            ) from error
        if version != _FORMAT_VERSION:
            raise ValueError(
                f"Sequential.load expects a file of version {_FORMAT_VERSION}; "
                f"got version {version} in {os.fspath(path)!r}, written by another fastbp."
            )
        layers = [
            _rebuilt(place, layer, tensors, os.fspath(path))
            for place, layer in enumerate(described)
        ]
        if loss not in (None, *_SAVED_LOSSES):
            raise ValueError(
                f"Sequential.load expects a loss it knows; got {loss!r} in {os.fspath(path)!r}."
            )
        return cls(*layers, loss=None if loss is None else _SAVED_LOSSES[loss]())


def _loss_layer(loss):
    """The loss as an object: given as one, as its class, or by name."""
    if isinstance(loss, str):
        loss = LOSSES[checks.choice("Sequential", "loss", loss, tuple(LOSSES))]
    if isinstance(loss, type):
        loss = loss()
    if loss is not None and not (
        callable(getattr(loss, "forward", None)) and callable(getattr(loss, "backward", None))
    ):
        raise TypeError(
            f"Sequential expects loss with forward(x, t) and backward(); got {loss!r}."
        )
    return loss


def _described(layer, known):
    name = type(layer).__name__
    if known.get(name) is not type(layer):
        raise TypeError(
            f"Sequential.save expects the library's own layers and losses; got {layer!r}."
        )
    return {"type": name, **layer.config()} if isinstance(layer, Layer) else {"type": name}


def _rebuilt(place, described, tensors, path):
    """One layer from its description and the file's arrays."""
    try:
        kind = _SAVED_LAYERS[described["type"]]
        if not issubclass(kind, Affine):
            return kind()
        shape = (described["out_features"], described["in_features"])
        weight, bias = tensors[f"{place}.weight"], tensors[f"{place}.bias"]
        if weight.shape != shape or bias.shape != shape[:1]:
            raise ValueError(f"shapes {weight.shape} and {bias.shape} for {shape}")
        return Affine(np.ascontiguousarray(weight.T), bias.copy())
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"Sequential.load expects layer {place} of {path!r} to be whole; "
            f"got {type(error).__name__}: {error}."
        ) from error


def _safetensors(who):
    try:
        import safetensors.numpy
    except ImportError:
        raise checks.missing_extra("safetensors", who) from None
    return safetensors.numpy
