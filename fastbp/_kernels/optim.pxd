"""Rows of update rules for other Cython modules."""
from fastbp._kernels cimport isa

cdef Py_ssize_t place_of(str number) except -1
cdef int describe(isa.fbp_rule *rule, str name, double lr, bint decoupled,
                  dict numbers) except -1
