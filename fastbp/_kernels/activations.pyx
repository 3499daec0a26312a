# cython: boundscheck=False
"""Element-wise activations and their gradients, over flat arrays.

The backward of relu, sigmoid, tanh and identity takes the forward's output, that of the
others its input.  `*_core` are the pointer functions
(cimport them).  An output may be the very array an input is, but not a shifted part of it.
"""
from libc.string cimport memmove

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_relu_forward(...)
    void fbp_relu_backward(...)
    void fbp_sigmoid_forward(...)
    void fbp_sigmoid_backward(...)
    void fbp_tanh_forward(...)
    void fbp_tanh_backward(...)
    void fbp_leaky_relu_forward(...)
    void fbp_leaky_relu_backward(...)
    void fbp_softplus_forward(...)
    void fbp_softplus_backward(...)
    void fbp_gelu_forward(...)
    void fbp_gelu_backward(...)
    void fbp_elu_forward(...)
    void fbp_elu_backward(...)
    void fbp_silu_forward(...)
    void fbp_silu_backward(...)
    void fbp_mish_forward(...)
    void fbp_mish_backward(...)

fbp_active = isa.active()


cdef int _check_forward(const real *x, idx n, real *out, idx n_out) except -1:
    require(n == n_out, "an activation expects out of x's length")
    require_aligned(x, n, "x")
    require_aligned(out, n, "out")
    return require_same_or_apart(out, x, n, "out")


cdef int _check_backward(const real *dout, idx n_dout, const real *out, idx n, real *dx,
                         idx n_dx) except -1:
    require(n_dout == n and n_dx == n, "an activation's gradient expects dout, out and dx of "
            "one length")
    require_aligned(dout, n, "dout")
    require_aligned(out, n, "out")
    require_aligned(dx, n, "dx")
    require_same_or_apart(dx, dout, n, "dx")
    return require_same_or_apart(dx, out, n, "dx")


cdef void relu_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_relu_forward(x, out, n)


cdef void relu_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil:
    fbp_relu_backward(dout, out, dx, n)


def relu_forward(const real[::1] x not None, real[::1] out not None):
    """out = max(x, 0); NaN stays NaN

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Nair & Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        relu_forward_core(&x[0], &out[0], x.shape[0])


def relu_backward(const real[::1] dout not None, const real[::1] out not None,
                  real[::1] dx not None):
    """dx = dout where out > 0, else 0 (the derivative at 0 is taken as 0)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    out : (n,), the forward's output.
    dx : (n,), overwritten; may be `dout` or `out` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &out[0], out.shape[0], &dx[0], dx.shape[0])
    with nogil:
        relu_backward_core(&dout[0], &out[0], &dx[0], out.shape[0])


cdef void sigmoid_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_sigmoid_forward(x, out, n)


cdef void sigmoid_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil:
    fbp_sigmoid_backward(dout, out, dx, n)


def sigmoid_forward(const real[::1] x not None, real[::1] out not None):
    """out = 1 / (1 + exp(-x)), within 3 ulp for every x

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.5.
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        sigmoid_forward_core(&x[0], &out[0], x.shape[0])


def sigmoid_backward(const real[::1] dout not None, const real[::1] out not None,
                     real[::1] dx not None):
    """dx = dout * out * (1 - out)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    out : (n,), the forward's output.
    dx : (n,), overwritten; may be `dout` or `out` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &out[0], out.shape[0], &dx[0], dx.shape[0])
    with nogil:
        sigmoid_backward_core(&dout[0], &out[0], &dx[0], out.shape[0])


cdef void tanh_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_tanh_forward(x, out, n)


cdef void tanh_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil:
    fbp_tanh_backward(dout, out, dx, n)


def tanh_forward(const real[::1] x not None, real[::1] out not None):
    """out = tanh(x), within 3 ulp for every x

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    LeCun et al., Efficient BackProp (1998).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        tanh_forward_core(&x[0], &out[0], x.shape[0])


def tanh_backward(const real[::1] dout not None, const real[::1] out not None,
                  real[::1] dx not None):
    """dx = dout * (1 - out^2)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    out : (n,), the forward's output.
    dx : (n,), overwritten; may be `dout` or `out` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &out[0], out.shape[0], &dx[0], dx.shape[0])
    with nogil:
        tanh_backward_core(&dout[0], &out[0], &dx[0], out.shape[0])


cdef void identity_forward_core(const real *x, real *out, idx n) noexcept nogil:
    memmove(out, x, n * sizeof(real))


cdef void identity_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil:
    memmove(dx, dout, n * sizeof(real))


def identity_forward(const real[::1] x not None, real[::1] out not None):
    """out = x

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        identity_forward_core(&x[0], &out[0], x.shape[0])


def identity_backward(const real[::1] dout not None, const real[::1] out not None,
                      real[::1] dx not None):
    """dx = dout

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    out : (n,), the forward's output.
    dx : (n,), overwritten; may be `dout` or `out` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &out[0], out.shape[0], &dx[0], dx.shape[0])
    with nogil:
        identity_backward_core(&dout[0], &out[0], &dx[0], out.shape[0])


cdef void leaky_relu_forward_core(const real *x, real *out, double slope, idx n) noexcept nogil:
    fbp_leaky_relu_forward(x, out, slope, n)


cdef void leaky_relu_backward_core(const real *dout, const real *x, real *dx, double slope,
                                   idx n) noexcept nogil:
    fbp_leaky_relu_backward(dout, x, dx, slope, n)


def leaky_relu_forward(const real[::1] x not None, real[::1] out not None, double slope):
    """out = x where x > 0, else slope * x

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.
    slope : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Maas et al., Rectifier nonlinearities improve neural network acoustic models (2013).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        leaky_relu_forward_core(&x[0], &out[0], slope, x.shape[0])


def leaky_relu_backward(const real[::1] dout not None, const real[::1] x not None,
                        real[::1] dx not None, double slope):
    """dx = dout where x > 0, else slope * dout

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.
    slope : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        leaky_relu_backward_core(&dout[0], &x[0], &dx[0], slope, x.shape[0])


cdef void softplus_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_softplus_forward(x, out, n)


cdef void softplus_backward_core(const real *dout, const real *x, real *dx,
                                 idx n) noexcept nogil:
    fbp_softplus_backward(dout, x, dx, n)


def softplus_forward(const real[::1] x not None, real[::1] out not None):
    """out = log(1 + exp(x)), without overflow

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Dugas et al., Incorporating second-order functional knowledge (2001).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        softplus_forward_core(&x[0], &out[0], x.shape[0])


def softplus_backward(const real[::1] dout not None, const real[::1] x not None,
                      real[::1] dx not None):
    """dx = dout * sigmoid(x)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        softplus_backward_core(&dout[0], &x[0], &dx[0], x.shape[0])


cdef void gelu_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_gelu_forward(x, out, n)


cdef void gelu_backward_core(const real *dout, const real *x, real *dx,
                             idx n) noexcept nogil:
    fbp_gelu_backward(dout, x, dx, n)


def gelu_forward(const real[::1] x not None, real[::1] out not None):
    """out = x Phi(x), Phi the normal distribution function

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Hendrycks & Gimpel, Gaussian error linear units (2016), the exact form.
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        gelu_forward_core(&x[0], &out[0], x.shape[0])


def gelu_backward(const real[::1] dout not None, const real[::1] x not None,
                  real[::1] dx not None):
    """dx = dout * (Phi(x) + x phi(x))

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        gelu_backward_core(&dout[0], &x[0], &dx[0], x.shape[0])


cdef void elu_forward_core(const real *x, real *out, double alpha, double scale,
                           idx n) noexcept nogil:
    fbp_elu_forward(x, out, alpha, scale, n)


cdef void elu_backward_core(const real *dout, const real *x, real *dx, double alpha,
                            double scale, idx n) noexcept nogil:
    fbp_elu_backward(dout, x, dx, alpha, scale, n)


def elu_forward(const real[::1] x not None, real[::1] out not None, double alpha, double scale):
    """out = scale * x where x > 0, else scale * alpha * (exp(x) - 1)

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.
    alpha, scale : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Clevert et al., Fast and accurate deep network learning by exponential linear units (2016);
    Klambauer et al., Self-normalizing neural networks (2017), by its alpha and scale.
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        elu_forward_core(&x[0], &out[0], alpha, scale, x.shape[0])


def elu_backward(const real[::1] dout not None, const real[::1] x not None,
                 real[::1] dx not None, double alpha, double scale):
    """dx = dout * scale where x > 0, else dout * scale * alpha * exp(x)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.
    alpha, scale : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        elu_backward_core(&dout[0], &x[0], &dx[0], alpha, scale, x.shape[0])


cdef void silu_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_silu_forward(x, out, n)


cdef void silu_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil:
    fbp_silu_backward(dout, x, dx, n)


def silu_forward(const real[::1] x not None, real[::1] out not None):
    """out = x * sigmoid(x)

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Hendrycks & Gimpel, Gaussian error linear units (2016).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        silu_forward_core(&x[0], &out[0], x.shape[0])


def silu_backward(const real[::1] dout not None, const real[::1] x not None,
                  real[::1] dx not None):
    """dx = dout * (s + x * s * (1 - s)), s = sigmoid(x)

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        silu_backward_core(&dout[0], &x[0], &dx[0], x.shape[0])


cdef void mish_forward_core(const real *x, real *out, idx n) noexcept nogil:
    fbp_mish_forward(x, out, n)


cdef void mish_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil:
    fbp_mish_backward(dout, x, dx, n)


def mish_forward(const real[::1] x not None, real[::1] out not None):
    """out = x * tanh(log(1 + exp(x)))

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Misra, Mish: a self regularized non-monotonic activation function (2019).
    """
    _check_forward(&x[0], x.shape[0], &out[0], out.shape[0])
    with nogil:
        mish_forward_core(&x[0], &out[0], x.shape[0])


def mish_backward(const real[::1] dout not None, const real[::1] x not None,
                  real[::1] dx not None):
    """dx = dout * (t + x * sigmoid(x) * (1 - t^2)), t = tanh(log(1 + exp(x)))

    Parameters
    ----------
    dout : (n,), the loss's gradient by the forward's output.
    x : (n,), the forward's input.
    dx : (n,), overwritten; may be `dout` or `x` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, or a partial overlap.
    """
    _check_backward(&dout[0], dout.shape[0], &x[0], x.shape[0], &dx[0], dx.shape[0])
    with nogil:
        mish_backward_core(&dout[0], &x[0], &dx[0], x.shape[0])
