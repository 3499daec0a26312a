"""A compiled class looks at nothing that is not there: at no other object, at none half made."""

import importlib
import inspect
import pkgutil
import textwrap
import types

import numpy as np
import pytest

import fastbp
from fastbp import _kernels
from fastbp._kernels import autograd

MODULES = [
    importlib.import_module(f"fastbp._kernels.{module.name}")
    for module in pkgutil.iter_modules(_kernels.__path__)
    if not module.name.startswith("_")
]
CLASSES = sorted(
    {
        one
        for module in MODULES
        for one in vars(module).values()
        if inspect.isclass(one) and one.__module__ == module.__name__
    },
    key=lambda one: one.__qualname__,
)
#: Of these a call looks at its first argument before it runs.
LOOKING = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)


def test_a_method_knows_its_class():
    assert {"TensorBase", "Plan", "Layers", "GradMode"} <= {one.__name__ for one in CLASSES}
    for one in CLASSES:
        for name, value in vars(one).items():
            if callable(value) and name != "__new__":
                assert isinstance(value, LOOKING), (one, name)


def test_methods_called_on_another_object_are_refused(run_python):
    script = """
        import numpy as np
        import fastbp
        from fastbp._kernels.prediction import Layers
        calls = [
            (fastbp.Tensor.numel, [5]), (fastbp.Tensor.dim, [np.ones((3, 4))]),
            (fastbp.Tensor.item, [1.0]), (fastbp.Tensor.detach, [None]),
            (fastbp.Tensor.backward, ["x"]), (fastbp.no_grad.__enter__, [1]),
            (fastbp.Trainer.step, [np.ones((3, 4)), np.ones((3, 4)), np.ones(3)]),
            (Layers.predict, [1, 2]),
        ]
        for call, arguments in calls:
            try:
                call(*arguments)
            except TypeError as error:
                assert "object" in str(error), error
            else:
                raise AssertionError(call)
        print("refused")
    """
    process = run_python("-c", textwrap.dedent(script))
    assert process.stdout.split() == ["refused"], (process.returncode, process.stderr[-500:])


def test_a_method_has_its_signature_and_its_text():
    assert list(inspect.signature(fastbp.Trainer.step).parameters) == ["self", "x", "t"]
    assert list(inspect.signature(fastbp.ones(1).backward).parameters) == [
        "gradient",
        "retain_graph",
        "create_graph",
        "inputs",
    ]
    assert fastbp.Trainer.step.__doc__.startswith("One training step")


def test_a_tensor_that_was_given_no_numbers_has_none():
    for one in (autograd.TensorBase(), autograd.TensorBase.__new__(fastbp.Tensor)):
        assert one.numel() == 0 and one.dim() == 1 and one._snapshot().numel() == 0
        with pytest.raises(RuntimeError, match="one element"):
            one.item()


def test_an_operation_without_a_function_is_none():
    with pytest.raises(TypeError):
        type(fastbp.Tensor.__dict__["exp"])()()


@pytest.mark.parametrize("order", [(0,), (0, 2), (1, 1), (-1, 0), (0, 1, 2), (0,) * 100])
def test_an_order_of_other_dimensions_is_refused(order):
    with pytest.raises(ValueError, match="each of 2 dimensions once"):
        autograd.permuted("PermuteBackward0", fastbp.ones(2, 3), order)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_one_number_at_any_address(dtype):
    memory = np.zeros(17, np.uint8)
    number = np.ndarray((1,), dtype, memory, offset=1)
    number[0] = 0.75
    t = fastbp.from_numpy(number).requires_grad_()
    assert t.item() == 0.75
    t.sum().backward()
    assert t.grad.item() == 1


def test_a_decorated_function_is_a_function_as_others():
    class Layer:
        @fastbp.no_grad()
        def call(self, x):
            """Its text."""
            return self, fastbp.is_grad_enabled(), x

        @fastbp.no_grad()
        def generate(self):
            yield fastbp.is_grad_enabled()

    layer = Layer()
    assert layer.call(3) == (layer, False, 3) and list(layer.generate()) == [False]
    assert (Layer.call.__name__, Layer.call.__doc__) == ("call", "Its text.")
