"""Sums over the ranks of one machine, through memory that all of them see."""
cimport numpy as cnp
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastbp._kernels.arrays cimport dim, float_array, memory, require_plain
from fastbp._kernels.contract cimport idx, refuse, require

cdef extern from "training/windows.h" nogil:
    void windows_fence()
    void windows_write(char *window, const char *data, size_t n, int streams)
    void windows_sum(char **windows, int size, int rank, char *data, size_t begin, size_t n,
                     int is_double, int streams)

cnp.import_array()


cdef class Windows:
    """A rank's view of the windows of all ranks.

    Parameters
    ----------
    windows : sequence of ndarray
        (n,) uint8 of each rank, in their order; the same memory on all.
    rank : int
        Whose view this is.
    barrier : callable
        Waits for all ranks.

    Attributes
    ----------
    streams : bool
        Whether ranks write past their caches what others will read.

    Notes
    -----
    A sum is a reduce-scatter with an allgather behind it: of as many parts as there are ranks,
    each rank sums one.  It reads and writes about as many bytes as the buffer has, whatever the
    number of ranks, and waits for the others twice.  What a window holds is read before its rank
    writes there again, as a rank that writes has met the readers behind their reading.
    """
    cdef char **data
    cdef int size, rank
    cdef readonly idx nbytes
    cdef public bint streams
    cdef object barrier
    cdef tuple kept

    def __cinit__(self, windows, int rank, barrier):
        cdef int r
        self.kept, self.rank, self.barrier = tuple(windows), rank, barrier
        self.size = <int> len(self.kept)
        require(0 <= rank < self.size, f"Windows expects rank below {self.size}", f"{rank}")
        self.data = <char **> malloc(self.size * sizeof(char *))
        if self.data == NULL:
            raise MemoryError
        for r in range(self.size):
            require_plain(self.kept[r], "a window", 1, True)
            require(dim(self.kept[r], 0) == dim(self.kept[0], 0), "Windows expects equal windows")
            self.data[r] = <char *> memory(self.kept[r])
        self.nbytes = dim(self.kept[0], 0)

    def __dealloc__(self):
        free(self.data)

    cdef idx edge(self, idx nbytes, int r) noexcept nogil:
        """Where the r-th rank's part of a buffer begins: whole lines of a cache."""
        return nbytes if r == self.size else nbytes // 64 * r // self.size * 64

    def close(self):
        """Read and write them no more."""
        self.nbytes = -1

    def sum(self, buffer not None):
        """Make `buffer`, (n,) of float32 or float64, the sum of all ranks' buffers, in place.

        No signal comes in between, as no code of Python runs, where the barrier is compiled.
        """
        cdef int r, is_double = float_array(buffer, "a buffer", 1, True) == cnp.NPY_DOUBLE
        cdef idx begin, end, nbytes = cnp.PyArray_NBYTES(<cnp.ndarray> buffer)
        cdef char *data = <char *> memory(buffer)
        if nbytes > self.nbytes:
            refuse(f"Windows expects at most {self.nbytes} bytes", f"{nbytes}")
        with nogil:
            for r in range(self.size):
                if r != self.rank:
                    begin, end = self.edge(nbytes, r), self.edge(nbytes, r + 1)
                    windows_write(self.data[self.rank] + begin, data + begin, end - begin,
                                  self.streams)
            windows_fence()
        self.barrier()
        with nogil:
            begin, end = self.edge(nbytes, self.rank), self.edge(nbytes, self.rank + 1)
            windows_sum(self.data, self.size, self.rank, data, begin, end - begin, is_double,
                        self.streams)
            windows_fence()
        self.barrier()
        with nogil:
            for r in range(self.size):
                if r != self.rank:
                    begin, end = self.edge(nbytes, r), self.edge(nbytes, r + 1)
                    memcpy(data + begin, self.data[r] + begin, end - begin)
