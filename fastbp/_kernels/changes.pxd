from libc.stdint cimport uint64_t

#: How many changes were noted in this process.
cdef uint64_t count
