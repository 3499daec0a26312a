"""`autograd.Function`: operations with gradients of one's own."""

import numpy as np
import pytest

import fastbp
from fastbp.autograd import Function


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return 2 * x * dout


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, dout):
        (out,) = ctx.saved_tensors
        return out * dout


class Parts(Function):
    """Two results with gradients around an index without one."""

    @staticmethod
    def forward(ctx, x, k, y):
        ctx.k = k
        ctx.save_for_backward(x, None, y)
        place = x.argmax()
        ctx.mark_non_differentiable(place)
        return x * k, place, x * y

    @staticmethod
    def backward(ctx, first, place, second):
        assert ctx.needs_input_grad == (True, False, False)
        assert place.shape == () and not place.any()
        x, nothing, y = ctx.saved_tensors
        assert nothing is None
        return first * ctx.k + second * y, None, second * x


class Scaled(Function):
    """The newer form: forward without ctx."""

    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.factor = inputs

    @staticmethod
    def backward(ctx, dout):
        return dout * ctx.factor, None


class Reversed(Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dout):
        dout *= -1
        return dout


@pytest.fixture
def x():
    return fastbp.tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_the_gradient_is_the_one_that_is_written(x):
    out = Square.apply(x)
    assert out.grad_fn.name() == "SquareBackward" and out.tolist() == [1, 4, 9]
    (3 * out).sum().backward()
    assert x.grad.tolist() == [6, 12, 18]
    assert not Square.apply(x.detach()).requires_grad
    with fastbp.no_grad():
        assert not Square.apply(x).requires_grad


def test_several_results_and_arguments_that_are_no_tensors(x):
    y = fastbp.tensor([0.5, 1.0, 2.0])
    first, place, second = Parts.apply(x, 3.0, y)
    assert not place.requires_grad and first.requires_grad and second.requires_grad
    (first + 2 * second).sum().backward()
    assert x.grad.tolist() == [4, 5, 7]
    x.grad = None
    Parts.apply(x, 3.0, y)[2].sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_a_context_may_be_set_up_apart(x):
    Scaled.apply(x, 2.0).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_a_result_is_no_memory_of_an_argument_and_backward_may_write(x):
    out = Reversed.apply(x)
    weights = fastbp.tensor([1.0, 10.0, 100.0])
    out.backward(weights)
    assert x.grad.tolist() == [-1, -10, -100] and weights.tolist() == [1, 10, 100]
    assert not np.may_share_memory(out.detach().numpy(), x.detach().numpy())


@pytest.mark.parametrize("kind", [Square, Exp])
def test_a_change_of_what_was_saved_is_an_error(x, kind):
    start = x * 1
    out = kind.apply(start)
    with fastbp.no_grad():
        (start if kind is Square else out).mul_(2)
    with pytest.raises(RuntimeError, match="saved as they were"):
        out.sum().backward()


def test_a_graph_is_gone_through_once(x):
    out = Square.apply(x)
    out.sum().backward()
    with pytest.raises(RuntimeError):
        out.sum().backward()


def _with(gradient):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, factor):
            return x * factor

        @staticmethod
        def backward(ctx, dout):
            return gradient(dout)

    return Wrong


@pytest.mark.parametrize(
    ("gradient", "error", "words"),
    [
        (lambda g: g, RuntimeError, "for each of the 2 arguments of forward; got 1"),
        (lambda g: (g, None, g), RuntimeError, "for each of the 2 arguments of forward; got 3"),
        (lambda g: (g, g), RuntimeError, "None for argument 1 of forward"),
        (lambda g: (g[:2], None), RuntimeError, r"of its shape \(3,\); got \(2,\)"),
        (lambda g: (1.0, None), TypeError, "as a Tensor; got 1.0"),
    ],
)
def test_gradients_that_do_not_fit_are_refused(x, gradient, error, words):
    out = _with(gradient).apply(x, 2.0)
    with pytest.raises(error, match=f"^Wrong.backward expects .*{words}"):
        out.sum().backward()
    assert x.grad is None


def test_what_is_not_offered_is_refused(x):
    class Changing(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    class Sparse(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)

    class Number(Function):
        @staticmethod
        def forward(ctx, x):
            return 3.0

    with pytest.raises(NotImplementedError, match="leaves its arguments as they are"):
        Changing.apply(x)
    with pytest.raises(NotImplementedError, match="set_materialize_grads expects True"):
        Sparse.apply(x)
    with pytest.raises(TypeError, match=r"Number\.forward expects its results as Tensors; got 3\.0"):
        Number.apply(x)
    with pytest.raises(TypeError, match=r"Square expects to be called by Square.apply"):
        Square()
    with pytest.raises(NotImplementedError, match="expects a static method forward"):
        type("Empty", (Function,), {}).apply(x)
