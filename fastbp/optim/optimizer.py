"""`Optimizer`: parameter groups with their options, and the state kept of each parameter."""

from __future__ import annotations

import collections
import functools
import numbers
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastbp import checks
from fastbp._kernels.changes import note

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

    #: Tensors, with their names, or groups of them with options of their own.
    Params: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]

__all__ = ["Optimizer"]


class Group(dict):
    """A parameter group: a dict whose changes running trainings see."""


def _noting(name):
    own = getattr(dict, name)

    @functools.wraps(own)
    def method(self, *args, **keywords):
        result = own(self, *args, **keywords)
        note()
        return result

    return method


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Group, _name, _noting(_name))


class Optimizer:
    """What all optimisers share: groups of parameters, their options and their state.

    An optimiser of one's own hands the defaults of its options to ``super().__init__`` and
    writes `step`, as in PyTorch.

    Parameters
    ----------
    params : iterable of Tensor, of (str, Tensor) or of dict, or None
        What `step` changes; a dict is a group with options of its own.  Of pairs, as
        ``model.named_parameters()`` gives them, a group keeps the names as "param_names".  None
        leaves one group without tensors, whose options serve `update` and `fit`.
    defaults : dict
        The options of groups that do not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        "params" and all options of each group; a change holds from the next step on.
    state : collections.defaultdict
        Of each parameter a dict of tensors, by PyTorch's names.
    steps : int
        Steps done.

    Raises
    ------
    TypeError, ValueError
        For a number in the place of params, no parameters, or what `add_param_group` refuses.

    Examples
    --------
    >>> from fastbp import no_grad, tensor
    >>> class Halving(Optimizer):
    ...     def __init__(self, params):
    ...         super().__init__(params, {"factor": 0.5})
    ...
    ...     @no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.mul_(group["factor"])
    >>> w = tensor([2.0, 4.0], requires_grad=True)
    >>> Halving([w]).step()
    >>> w
    tensor([1., 2.], requires_grad=True)
    """

    #: Whether the steps of each parameter are counted in its state.
    _counts = True
    steps: int = 0
    #: `steps` when a scheduler was first made of it.
    _watched_from: int | None = None
    _groups: list[dict[str, Any]]
    _state: collections.defaultdict[Tensor, dict[str, Any]]
    #: Who have newer states, while they train; none of a class that never calls this `__init__`.
    _trainers: Sequence[weakref.ref] = ()

    def __init_subclass__(cls, counts_steps: bool = False, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "step" in vars(cls) and not counts_steps:
            setattr(cls, "step", _counted(cls.step))  # noqa: B010

    def __init__(self, params: Params | None, defaults: dict[str, Any]) -> None:
        self.defaults: dict[str, Any] = self._checked_options(dict(defaults))
        self._trainers = []
        self.state = collections.defaultdict(dict)
        self.steps = 0
        self._bound = params is not None
        self._groups = []
        if not self._bound:
            self._groups.append(Group({"params": [], **self.defaults}))
            return
        for group in self._groups_of(params):
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        note()

    def _checked_options(self, options):
        """The options, as numbers within their bounds."""
        return options

    def _groups_of(self, params):
        who = type(self).__name__
        if isinstance(params, numbers.Real | np.ndarray):
            raise TypeError(
                f"{who} expects its learning rate by name, as in {who}(lr=0.1); "
                f"got {checks.shown(params)} in the place of params."
            )
        if _is_tensor(params) or not np.iterable(params):
            raise TypeError(f"{who} expects params as an iterable of Tensors or of dicts; got {_kind(params)}.")
        groups = list(params)
        if not groups:
            raise ValueError(f"{who} expects at least one parameter; got an empty parameter list.")
        return groups if isinstance(groups[0], dict) else [{"params": groups}]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Train more parameters from the next step on.

        Parameters
        ----------
        group : dict
            "params", a Tensor or an iterable of them or of (str, Tensor), and options that
            differ from the defaults.  Other keys are kept, such as "name" or "initial_lr".

        Raises
        ------
        TypeError, ValueError
            For what is not a tensor, is the result of an operation, or is in a group already,
            for names in some groups only, and for an option that the rule does not have, as
            "momentum" of `Adam` or "learning_rate"; nothing has changed then.
        """
        who = f"{type(self).__name__}.add_param_group"
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{who} expects group as a dict with 'params'; got {_kind(group)}.")
        if not self._bound:
            raise ValueError(
                f"{who} expects an optimiser of tensors, as {type(self).__name__}"
                "(model.parameters()); got one made without params."
            )
        params = group["params"]
        if isinstance(params, set):
            raise TypeError(f"{who} expects params in an order; got a set.")
        if _is_tensor(params):
            params = [params]
        params = checks.sequence(who, "params", params, "Tensors")
        params, names = _unnamed(who, params)
        held = set(map(id, self.members()))
        for param in params:
            if not _is_tensor(param):
                raise TypeError(f"{who} expects params as Tensors; got {_kind(param)}.")
            if not (param.is_leaf or param.retains_grad):
                raise ValueError(
                    f"{who} expects leaf Tensors, whose grad backward fills; got the result of {param.grad_fn.name()}."
                )
            if id(param) in held:
                raise ValueError(
                    f"{who} expects each parameter once; got one of shape {tuple(param.shape)} "
                    "that appears in more than one place."
                )
            held.add(id(param))
        options = self._checked_options(self.defaults | self._known(who, group) | names)
        named = ["param_names" in each for each in (*self._groups, options)]
        if any(named) and not all(named):
            raise ValueError(
                f"{who} expects names in all groups or in none, as model.named_parameters() gives "
                f"them; got {named.count(False)} without."
            )
        self._groups.append(Group({**options, "params": params}))
        note()

    def _known(self, who, group):
        """The group, whose keys are options or nobody's."""
        return group

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self._groups):
            lines += [""] * bool(number) + [f"Parameter Group {number}"]
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # --- training ---------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters."""
        raise NotImplementedError(f"{type(self).__name__} expects a method step; got none.")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with 0."""
        if set_to_none is not True:
            set_to_none = checks.flag("zero_grad", "set_to_none", set_to_none)
        for group in self._groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad.zero_()

    def watch_steps(self) -> None:
        """From here on `has_stepped` tells whether there was a step."""
        if self._watched_from is None:
            self._watched_from = self.steps

    def has_stepped(self) -> bool:
        """Whether there was a step since the first scheduler was made, by a trainer, too."""
        counts = [self.steps, *(trainer.steps for trainer in self._holders())]
        return any(count != self._watched_from for count in counts)

    def held_by(self, trainer: Any) -> None:
        """Remember a `Trainer` that goes on from the states in memory of its own.

        States by name belong to one trainer: another ends it.
        """
        if not self._bound and trainer.n_states:
            for other in self._holders():
                other.close()
        vars(self)["_trainers"] = [weakref.ref(each) for each in (*self._holders(), trainer)]

    def _holders(self):
        trainers = [held() for held in self._trainers]
        return [each for each in trainers if each is not None and not each.closed]

    def sync(self) -> None:
        """Fetch the states that trainers have now."""
        for trainer in self._holders():
            trainer.fetch_states()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Its groups; whoever looks at them may change them, which a trainer has to see."""
        if self._trainers:
            note()
        return self._groups

    @param_groups.setter
    def param_groups(self, value: list[dict[str, Any]]) -> None:
        vars(self)["_groups"] = value

    def members(self) -> list[Tensor]:
        """The tensors of all groups."""
        return [param for group in self._groups for param in group["params"]]

    @property
    def state(self) -> collections.defaultdict[Tensor, dict[str, Any]]:
        """Of each parameter a dict of tensors; those that a trainer has are fetched first."""
        if self._trainers:
            self.sync()
        return self._state

    @state.setter
    def state(self, value: collections.defaultdict[Tensor, dict[str, Any]]) -> None:
        vars(self)["_state"] = value

    def __getstate__(self) -> dict[str, Any]:
        self.sync()
        return self.__dict__ | {"_trainers": []}

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, parameters by their place.

        Returns
        -------
        dict
            PyTorch's: "state", a dict of tensors (the very ones) by the parameter's index, and
            "param_groups", where "params" are such indices.
        """
        places = self._places("state_dict")
        self.sync()
        return {
            "state": {places[p]: dict(kept) for p, kept in self.state.items() if p in places},
            "param_groups": [group | {"params": [places[p] for p in group["params"]]} for group in self._groups],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`; the numbers are copied.

        Parameters
        ----------
        state_dict : dict
            Of an optimiser of the same class over parameters of the same shapes.

        Raises
        ------
        ValueError, TypeError
            For another number of groups or parameters, another shape, the state of another rule,
            or, beside a `Trainer`, of parameters with unlike steps; nothing has changed then.
        """
        who = f"{type(self).__name__}.load_state_dict"
        params = list(self._places("load_state_dict"))
        try:
            groups = [dict(group) for group in state_dict["param_groups"]]
            counts = [len(group["params"]) for group in groups]
            places = dict(zip((i for g in groups for i in g["params"]), params, strict=False))
            entries = {place: dict(kept) for place, kept in dict(state_dict["state"]).items()}
        except (TypeError, ValueError, LookupError) as error:
            raise TypeError(
                f"{who} expects what state_dict() gave; got {type(state_dict).__name__} without "
                f"a usable 'state' and 'param_groups' ({type(error).__name__}: {error})."
            ) from None
        held = [len(group["params"]) for group in self._groups]
        if counts != held:
            raise ValueError(f"{who} expects groups of {held} parameters, as the optimiser has; got {counts}.")
        names = [{k: own[k] for k in ("param_names",) if k in own} for own in self._groups]
        new_groups = [
            {**self._checked_options(self.defaults | name | group), "params": own["params"]}
            for group, name, own in zip(groups, names, self._groups, strict=True)
        ]
        state: collections.defaultdict = collections.defaultdict(dict)
        for place, kept in entries.items():
            if place not in places:
                raise ValueError(f"{who} expects the state of parameters in its groups; got {place!r}.")
            param = places[place]
            group = next(g for g in new_groups if any(p is param for p in g["params"]))
            loaded = {
                name: self._loaded(who, group, name, value, param) for name, value in kept.items() if value is not None
            }
            state[param] = {name: value for name, value in loaded.items() if value is not None}
        steps = max(
            (int(kept["step"]) for kept in state.values() if "step" in kept), default=0 if self._counts else self.steps
        )
        before = [dict(group) for group in self._groups], self.state, self.steps
        self._take(new_groups, state, steps)
        try:
            for trainer in self._holders():
                trainer.reload_states()
        except BaseException:
            self._take(*before)
            raise

    def _take(self, groups, state, steps):
        for own, new in zip(self._groups, groups, strict=True):
            own.clear()
            own.update(new)
        if self._watched_from is not None:
            self._watched_from = -1 if self.has_stepped() else steps
        self.state, self.steps = state, steps

    def _loaded(self, who, group, name, value, param):
        """A copy of one loaded state of a parameter."""
        if not hasattr(value, "shape"):
            return value
        from fastbp.autograd import as_tensor

        return as_tensor(np.array(_detached(value)))

    def _places(self, method):
        """The parameters, and their places over all groups."""
        if not self._bound:
            raise ValueError(
                f"{type(self).__name__}.{method} expects an optimiser of tensors; got one made without params."
            )
        return {p: place for place, p in enumerate(self.members())}


def _counted(step):
    """A step of one's own, which counts itself as the library's do."""

    @functools.wraps(step)
    def counted(self, *arguments, **keywords):
        before = self.steps
        result = step(self, *arguments, **keywords)
        if self.steps == before:
            self.steps += 1
        return result

    return counted


def _is_tensor(value):
    from fastbp.autograd import is_tensor

    return is_tensor(value)


def _unnamed(who, params):
    """The tensors of a group, and their names where it has them."""
    pairs = [p for p in params if isinstance(p, tuple)]
    if not pairs:
        return params, {}
    if len(pairs) < len(params):
        raise ValueError(
            f"{who} expects a name for each parameter or for none, as model.named_parameters() "
            f"gives them; got {checks.plural(len(pairs), 'name')} for {len(params)}."
        )
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise TypeError(f"{who} expects pairs of a name and a Tensor; got {checks.shown(pair)}.")
    return [p for _, p in pairs], {"param_names": [name for name, _ in pairs]}


def _detached(value):
    """A tensor, PyTorch's too, or an array, as an array."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def _kind(value):
    return checks.described(value)
