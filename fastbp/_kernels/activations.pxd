from fastbp._kernels.contract cimport idx, real

cdef void relu_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void relu_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil
cdef void sigmoid_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void sigmoid_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil
cdef void tanh_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void tanh_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil
cdef void identity_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void identity_backward_core(const real *dout, const real *out, real *dx, idx n) noexcept nogil
cdef void leaky_relu_forward_core(const real *x, real *out, double slope, idx n) noexcept nogil
cdef void leaky_relu_backward_core(const real *dout, const real *x, real *dx, double slope,
                                   idx n) noexcept nogil
cdef void softplus_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void softplus_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil
cdef void gelu_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void gelu_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil
cdef void elu_forward_core(const real *x, real *out, double alpha, double scale,
                           idx n) noexcept nogil
cdef void elu_backward_core(const real *dout, const real *x, real *dx, double alpha,
                            double scale, idx n) noexcept nogil
cdef void silu_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void silu_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil
cdef void mish_forward_core(const real *x, real *out, idx n) noexcept nogil
cdef void mish_backward_core(const real *dout, const real *x, real *dx, idx n) noexcept nogil
