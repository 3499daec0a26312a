"""`Module`: what layers, losses and the user's own models share in PyTorch's vocabulary.

Every module has three tables by name, `_parameters`, `_buffers` and `_modules`, and everything else
(`parameters`, `state_dict`, `train`, ...) follows from walking these.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, no_grad
from fastbp._kernels.changes import note
from fastbp.missing import attribute_error

__all__ = ["Module"]

TABLES = ("_parameters", "_modules", "_buffers")


class IncompatibleKeys(collections.namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")):
    """What `load_state_dict` found no numbers for, and no place for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self[0] or self[1] else "<All keys matched successfully>"


def require_writable_name(who: str, name: Any) -> None:
    """Refuse a name that a state dict's names, which have a dot between two, cannot have."""
    checks.instance(who, "name", name, str, "a string")
    if not name or "." in name:
        raise KeyError(f"{who} expects name without a dot, of at least one letter; got {name!r}.")


class Module:
    """A part of a model: its parameters, its buffers, its parts, and what it computes.

    A subclass sets parameters and other modules as attributes in its ``__init__``, after
    ``super().__init__()``, and computes in ``forward``.

    Attributes
    ----------
    training : bool
        Whether dropout drops and batch normalisation takes the batch's statistics.

    Examples
    --------
    >>> import fastbp
    >>> from fastbp import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 8)
    ...         self.out = nn.Linear(8, 2)
    ...
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> net = Net()
    >>> net(fastbp.zeros(3, 4)).shape
    fastbp.Size([3, 2])
    >>> [name for name, _ in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool = True
    #: Its name in the training engine, which knows those of layers only.
    kind: str | None = "module"
    _hooks: dict | None = None  # called after forward
    _parameters: dict
    _buffers: dict
    _modules: dict

    def __init__(self) -> None:
        vars(self).update(training=True, _parameters={}, _buffers={}, _modules={}, _non_persistent_buffers_set=set())

    # --- attributes -------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Attributes that are parameters, modules or buffers are listed as such."""
        note()
        kind = None
        if isinstance(value, Module):
            kind = "_modules"
        elif is_parameter(value):
            kind = "_parameters"
        tables = vars(self)
        if kind is not None and kind not in tables:
            raise AttributeError(
                f"{type(self).__name__} expects super().__init__() before its first part is set; got {name} before."
            )
        for other in TABLES:
            if name not in tables.get(other, ()):
                continue
            if kind is None or (kind, other) == ("_modules", "_parameters"):
                self._require(other, name, value)
                getattr(self, other)[name] = value
                return
            if other != kind:
                self._take_out(other, name)
        if kind is None:
            object.__setattr__(self, name, value)
        elif isinstance(getattr(type(self), name, None), property):
            raise AttributeError(
                f"{type(self).__name__} expects another name for a {type(value).__name__} than "
                f"that of its property; got {name!r}."
            )
        else:
            tables.pop(name, None)
            getattr(self, kind)[name] = value

    def _require(self, table, name, value):
        """Refuse what a table does not hold."""
        holds = {
            "_parameters": (False, "Parameter"),
            "_modules": (isinstance(value, Module), "Module"),
            "_buffers": (isinstance(value, TensorBase), "Tensor"),
        }
        right, expected = holds[table]
        if value is not None and not right:
            raise TypeError(
                f"{type(self).__name__} expects a {expected} or None for {name}; got {type(value).__name__}."
            )

    def __getattr__(self, name: str) -> Any:  # only for what is no usual attribute
        own = self.__dict__  # without tables before super().__init__()
        for table in TABLES:
            if table in own and name in own[table]:
                return getattr(self, table)[name]  # of a layer a property, which makes its tensors
        raise attribute_error("Module", name, type(self).__name__)

    def __delattr__(self, name: str) -> None:
        note()
        for table in TABLES:
            if name in getattr(self, table):
                self._take_out(table, name)
                return
        object.__delattr__(self, name)

    def _take_out(self, table, name):
        del getattr(self, table)[name]
        self._non_persistent_buffers_set.discard(name)

    def __dir__(self) -> list[str]:
        own = (name for table in TABLES for name in getattr(self, table))
        return sorted({*object.__dir__(self), *own})

    def _require_name(self, who, name, table):
        """Refuse a name that state dicts cannot have, or that something else has."""
        require_writable_name(who, name)
        listed = [each for each in TABLES if name in getattr(self, each)]
        free = isinstance(getattr(type(self), name, None), Readable) and name not in vars(self)
        if listed != [table] and (listed or (hasattr(self, name) and not free)):
            raise KeyError(f"{who} expects name of no other attribute; got {name!r}.")

    def register_parameter(self, name: Any, param: Any) -> None:
        """Add a parameter, or None in the place of one."""
        who = f"{type(self).__name__}.register_parameter"
        self._require_name(who, name, "_parameters")
        if param is not None and not is_parameter(param):
            raise TypeError(f"{who} expects param as a Parameter or None; got {checks.shown(param)}.")
        self._parameters.setdefault(name)
        setattr(self, name, param)

    def register_buffer(self, name: Any, tensor: Any, persistent: bool = True) -> None:
        """Add a tensor that is kept in the state dict (where `persistent`) but not trained."""
        who = f"{type(self).__name__}.register_buffer"
        self._require_name(who, name, "_buffers")
        if tensor is not None:
            checks.instance(who, "tensor", tensor, TensorBase, "a Tensor or None")
        persistent = checks.flag(who, "persistent", persistent)
        note()
        self._buffers[name] = tensor
        self._non_persistent_buffers_set.discard(name)
        if not persistent:
            self._non_persistent_buffers_set.add(name)

    def register_module(self, name: Any, module: Any) -> None:
        """Add a part."""
        who = f"{type(self).__name__}.add_module"
        self._require_name(who, name, "_modules")
        if module is not None:
            checks.instance(who, "module", module, Module, "a Module or None")
        note()
        self._modules[name] = module

    add_module = register_module

    # --- walks ------------------------------------------------------------------------------

    def named_modules(self, memo: Any = None, prefix: Any = "", remove_duplicate: bool = True) -> Iterator[Any]:
        """Itself and all modules within, each once, with their names; "" is its own."""
        remove_duplicate = checks.flag("named_modules", "remove_duplicate", remove_duplicate)
        memo = set() if memo is None else memo
        stack = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if not isinstance(module, Module) or id(module) in memo:
                continue
            if remove_duplicate:
                memo.add(id(module))
            yield name, module
            stack += [
                (f"{name}.{part}" if name else part, child) for part, child in reversed(list(module._modules.items()))
            ]

    def modules(self) -> Any:
        """Itself and all modules within, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[Any]:
        """Its parts with their names."""
        seen = set()
        for name, child in self._modules.items():
            if isinstance(child, Module) and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Any:
        """Its parts."""
        return (child for _, child in self.named_children())

    def _named(self, table, prefix, recurse, remove_duplicate):
        checks.flag(type(self).__name__, "remove_duplicate", remove_duplicate)
        seen = set()
        modules: Any = [(prefix, self)]
        if checks.flag(type(self).__name__, "recurse", recurse):
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for name, module in modules:
            for own, value in getattr(module, table).items():
                if value is not None and not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield (f"{name}.{own}" if name else own), value

    def named_parameters(self, prefix: Any = "", recurse: bool = True, remove_duplicate: bool = True) -> Any:
        """All parameters with their names, each once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Any:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: Any = "", recurse: bool = True, remove_duplicate: bool = True) -> Any:
        """All buffers with their names, each once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Any:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: Any) -> Any:
        """The part of a dotted name."""
        module = self
        checks.instance(type(self).__name__, "target", target, str, "a string")
        for name in filter(None, target.split(".")):
            parts = module._modules
            if name not in parts:
                raise AttributeError(f"{type(module).__name__} expects the name of one of its modules; got {name!r}.")
            module = parts[name]
        return module

    def get_parameter(self, target: Any) -> Any:
        """The parameter of a dotted name."""
        return self._listed(target, "_parameters", "parameters")

    def get_buffer(self, target: Any) -> Any:
        """The buffer of a dotted name."""
        return self._listed(target, "_buffers", "buffers")

    def _listed(self, target, table, what):
        checks.instance(type(self).__name__, "target", target, str, "a string")
        path, _, name = target.rpartition(".")
        listed = getattr(self.get_submodule(path), table)
        if name not in listed:
            raise AttributeError(f"{type(self).__name__} expects the name of one of its {what}; got {target!r}.")
        return listed[name]

    # --- changes of all of it ---------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set training mode, or evaluation mode, of this module and all within it."""
        self.training = mode = checks.flag("train", "mode", mode)
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Any:
        """Set evaluation mode."""
        return self.train(False)

    def apply(self, fn: Any) -> Self:
        """Call `fn` with every module within this one, and with this one last."""
        checks.function(f"{type(self).__name__}.apply", "fn", fn, "a function of a module")
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to 0."""
        set_to_none = checks.flag("zero_grad", "set_to_none", set_to_none)
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether backward fills the gradients of all parameters."""
        requires_grad = checks.flag(f"{type(self).__name__}.requires_grad_", "requires_grad", requires_grad)
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(self, *args: Any, **keywords: Any) -> Self:
        """In another float dtype; the device is always the CPU."""
        dtype = _dtype_of(args, keywords)
        if dtype is not None:
            modules = list(self.modules())
            for module in modules:
                module._require_called("to", "_apply")
            for module in modules:
                module.convert(dtype)
        return self

    def float(self) -> Any:
        """All parameters in float32."""
        return self.to(np.float32)

    def double(self) -> Any:
        """All parameters in float64."""
        return self.to(np.float64)

    def type(self, dtype: Any) -> Any:
        """All parameters in another float dtype."""
        return self.to(dtype)

    def cpu(self) -> Self:
        """Itself: everything lives in main memory."""
        return self

    def cuda(self, device: Any = None) -> Any:
        """Refused: everything lives in main memory."""
        raise RuntimeError("cuda expects a GPU; fastbp computes on CPUs only: use cpu().")

    def convert(self, dtype: Any) -> None:
        """Bring this module's own parameters and float buffers to a dtype."""
        for parameter in self._parameters.values():
            if parameter is not None and parameter.is_floating_point():
                parameter.data = parameter.data.to(dtype)
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.to(dtype)
        # Another tensor in a buffer's place: it may be held elsewhere, too.
        for name, buffer in list(self._buffers.items()):
            if buffer is not None and buffer.is_floating_point():
                setattr(self, name, buffer.to(dtype))

    # --- files ------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: dict[Any, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """All parameters and buffers by PyTorch's names, as tensors that share their memory.

        Parameters
        ----------
        destination : dict, optional
            Takes them, in place of a new one.
        prefix : str
            Before each name.
        keep_vars : bool
            The very parameters, in place of tensors detached from any graph.

        Returns
        -------
        collections.OrderedDict of str to Tensor
            With what a module's own `get_extra_state` gives as "_extra_state".
        """
        checks.instance("state_dict", "prefix", prefix, str, "a str")
        keep_vars = checks.flag("state_dict", "keep_vars", keep_vars)
        state = collections.OrderedDict() if destination is None else destination
        self._save_to_state_dict(state, prefix, keep_vars)
        if self._has_extra_state():
            state[f"{prefix}_extra_state"] = self.get_extra_state()
        for name, child in self._modules.items():
            if isinstance(child, Module):
                child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Put this module's own tensors into a state dict; a class may extend it, as PyTorch's."""
        for _, name, tensor in self._kept():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()

    def _require_called(self, who, name):
        """Refuse a method that PyTorch would call here, of one's own."""
        if hasattr(self, name):
            raise TypeError(
                f"{who} expects modules without a {name} of their own, which it does not call; "
                f"got one of {type(self).__name__}."
            )

    def _kept(self):
        """(table, name, tensor) of what the state dict has of this module itself."""
        for table in ("_parameters", "_buffers"):
            for name, tensor in getattr(self, table).items():
                left_out = table == "_buffers" and name in self._non_persistent_buffers_set
                if tensor is not None and not left_out:
                    yield table, name, tensor

    def _has_extra_state(self):
        return type(self).get_extra_state is not Module.get_extra_state

    def get_extra_state(self) -> Any:
        """What a module of one's own keeps in the state dict beside its tensors."""
        raise RuntimeError(f"{type(self).__name__} expects a get_extra_state of its own; got none.")

    def set_extra_state(self, state: Any) -> Any:
        """Take what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} expects a set_extra_state of its own; got none.")

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> tuple[Any, ...]:
        """Copy parameters and buffers from a mapping of PyTorch's names to tensors or arrays.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or array_like
        strict : bool
            Whether the names have to be those of the module's own state dict.
        assign : bool
            Take the very tensors, and so their dtypes, in place of copying their numbers.

        Returns
        -------
        tuple
            Its `missing_keys` and `unexpected_keys`.

        Raises
        ------
        RuntimeError
            Where shapes differ, or with `strict` where names do; nothing has changed then.
        TypeError, ValueError
            For what is no tensor, or a parameter in read-only memory; nothing has changed either.
        """
        who = type(self).__name__
        checks.mapping(f"{who}.load_state_dict", "state_dict", state_dict)
        strict = checks.flag(f"{who}.load_state_dict", "strict", strict)
        assign = checks.flag(f"{who}.load_state_dict", "assign", assign)
        own, extra = {}, {}  # by the names of the state dict: where a tensor is, and whose extra
        for path, module in self.named_modules(remove_duplicate=False):
            module._require_called(f"{who}.load_state_dict", "_load_from_state_dict")
            start = f"{path}." if path else ""
            for table, name, tensor in module._kept():
                own[start + name] = module, table, name, tensor
            if module._has_extra_state():
                extra[f"{start}_extra_state"] = module
        missing = [name for name in (*own, *extra) if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own and name not in extra]
        if strict and (missing or unexpected):
            raise RuntimeError(
                f"{who}.load_state_dict expects the names of its own state_dict; "
                f"got none for {missing} and no place for {unexpected}."
            )
        given = {name: _tensor(who, name, v) for name, v in state_dict.items() if name in own}
        for name, tensor in given.items():
            array = own[name][-1].array
            if array.shape != tensor.array.shape:
                raise RuntimeError(
                    f"{who}.load_state_dict expects {name} of shape {tuple(array.shape)}; got {tensor.array.shape}."
                )
            if not (tensor if assign else own[name][-1]).array.flags.writeable:
                raise ValueError(f"{who}.load_state_dict expects {name} to be writable; got a read-only array.")
        if assign:
            _assign([(*own[name], given[name], state_dict[name]) for name in given])
        else:
            with no_grad():
                for name, tensor in given.items():
                    own[name][-1].copy_(tensor)
        for name, module in extra.items():
            if name in state_dict:
                module.set_extra_state(state_dict[name])
        for module in self.modules():
            module.loaded()
        return IncompatibleKeys(missing, unexpected)

    def loaded(self) -> Any:
        """What a module has to do after its arrays were written to."""

    # --- use --------------------------------------------------------------------------------

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} expects a method forward(self, x) of its own; got none.")

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        out = self.forward(*inputs, **keywords)
        return out if self._hooks is None else self._hooked(inputs, out)

    def register_forward_hook(self, hook: Any) -> Any:
        """Call ``hook(module, inputs, output)`` after each forward; what it returns is the output.

        Returns
        -------
        handle
            With `remove()`.
        """
        who = f"{type(self).__name__}.register_forward_hook"
        checks.function(who, "hook", hook, "a function of (module, inputs, output)")
        handle = _Handle(self)
        object.__setattr__(self, "_hooks", {**(self._hooks or {}), handle: hook})
        note()
        return handle

    def _hooked(self, inputs, out):
        for hook in list((self._hooks or {}).values()):
            result = hook(self, inputs, out)
            out = out if result is None else result
        return out

    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's text."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        parts = self.part_lines()
        if not parts and "\n" not in extra:
            return f"{self.type_name()}({extra})"
        lines = [f"  {line}" for text in (extra, *parts) if text for line in text.split("\n")]
        return "\n".join([f"{self.type_name()}(", *lines, ")"])

    def part_lines(self) -> list[Any]:
        """The texts of its parts."""
        return [f"({name}): {child!r}" for name, child in self._modules.items()]

    def _get_name(self):
        """PyTorch's name of it."""
        return self.type_name()

    @classmethod
    def type_name(cls) -> Any:
        """The class's name in texts."""
        return vars(cls).get("shown_name", cls.__name__)


class Readable:
    """A read-only attribute that gives way to what a user puts under its name."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: Any, name: Any) -> None:
        self._name = name

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        for table in TABLES:
            if self._name in vars(module)[table]:
                return getattr(module, table)[self._name]
        return self._function(module)


class _Handle:
    """Takes a hook back."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def remove(self) -> None:
        """Call the hook no more."""
        hooks = {k: v for k, v in (self._module._hooks or {}).items() if k is not self}
        object.__setattr__(self._module, "_hooks", hooks or None)
        note()


@contextlib.contextmanager
def evaluating(module):
    """Have a module and all within it in evaluation mode, and then each in its own again."""
    parts = list(module.modules())
    modes = [part.training for part in parts]
    try:
        module.eval()
        yield
    finally:
        for part, mode in zip(parts, modes, strict=True):
            object.__setattr__(part, "training", mode)


def is_parameter(value):
    """Whether a value is listed among the parameters of the module that it is set on."""
    return isinstance(value, TensorBase) and getattr(value, "is_parameter", False)


def _assign(places):
    """Put tensors into their places: all of them, or none."""
    from fastbp.autograd import Parameter

    done: list = []
    try:
        for module, table, name, old, new, given in places:
            if table == "_parameters":
                new = given if is_parameter(given) else Parameter(new, old.requires_grad)
                new.requires_grad_(old.requires_grad)
            setattr(module, name, new)
            done.append((module, name, old))
    except BaseException:
        for module, name, old in done:
            setattr(module, name, old)
        raise


def _tensor(who, name, value):
    """What a state dict has under a name, an array or PyTorch's tensor too, as a tensor."""
    from fastbp.autograd import from_numpy

    checks.unmasked(f"{who}.load_state_dict", name, value)
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
        return from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError, RuntimeError):
        of_dtype = f" of dtype {value.dtype}" if hasattr(value, "dtype") else ""
        raise TypeError(
            f"{who}.load_state_dict expects {name} as a tensor of bools, integers or floats of at "
            f"most 64 bits; got {type(value).__name__}{of_dtype}."
        ) from None


def _dtype_of(args, keywords):
    """The dtype among the arguments of `to`, whose devices are checked."""
    from fastbp import autograd, dtypes

    found: Any = None
    for name in keywords:
        if name not in ("dtype", "device", "tensor", "non_blocking"):
            raise TypeError(f"to expects dtype, device, tensor and non_blocking; got {name}.")
    for value in (*args, *keywords.values()):
        if isinstance(value, autograd.Tensor):
            found = value.dtype
        elif isinstance(value, dtypes.dtype | np.dtype | type):
            found = value
        elif isinstance(value, str | autograd.device):
            autograd.device(value)
        elif not isinstance(value, bool | None):
            raise TypeError(f"to expects a dtype, a device or a tensor; got {checks.shown(value)}.")
    if found is None:
        return None
    found = dtypes.as_dtype("to", found)
    if not found.is_floating_point:
        raise TypeError(f"to expects a float dtype for a module; got {found!r}.")
    return found
