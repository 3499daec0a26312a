# cython: boundscheck=False
"""A network's outputs in one call: its layers in evaluation mode, a block of rows after the other.

Weights are read where they lie, so that whatever was written into them counts; what a call needs
beside them is its own, so that threads may call at once. Rows of float32 under weights of float64
are converted a block at a time.
"""
cimport numpy as cnp
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastbp._kernels cimport isa
from fastbp._kernels.activations cimport activation_forward_core
from fastbp._kernels.affine cimport affine_forward_core
from fastbp._kernels.contract cimport idx, real
from fastbp._kernels.engine cimport run_parts
from fastbp._kernels.passes cimport (
    LARGE, compiled_runs, convert, dim, is_plain, memory, some_of,
)

cdef extern from "aligned.h" nogil:
    void *fbp_allocate(size_t size)
    void fbp_free(void *memory)

cnp.import_array()

cdef enum:
    MOST_LAYERS = 64
    BLOCK = 256  # rows at a time: their activations stay in the L2 cache
    NO_MEMORY = -1
    NO_CATEGORY = -2

#: What a layer is in the engine's numbers: one of these, or an activation's kind.
AFFINE, NORMALISE, EMBED = isa.FBP_AFFINE, isa.FBP_BATCH_NORM, isa.FBP_EMBEDDING


cdef struct layer_t:
    int kind          # AFFINE, NORMALISE, EMBED or an activation
    double a, b       # the activation's numbers
    idx n_in, n_out
    const void *W     # of a normalisation the mean, (n_out,); all tables
    const void *bias
    const void *factor
    idx columns       # of categories, with tables of
    const int64_t *starts
    const int64_t *sizes
    const int64_t *widths


cdef struct network_t:
    idx n_layers, n_affine, n_in, n_out, widest
    idx products      # of a row
    bint converts     # float32 rows to float64
    layer_t layers[MOST_LAYERS]


cdef void normalise(const real *x, real *out, const layer_t *layer, idx rows) noexcept nogil:
    cdef const real *mean = <const real *> layer.W
    cdef const real *factor = <const real *> layer.factor
    cdef const real *beta = <const real *> layer.bias
    cdef idx r, j, n = layer.n_out
    for r in range(rows):
        for j in range(n):
            out[r * n + j] = (x[r * n + j] - mean[j]) * factor[j] + beta[j]


cdef int embed(const real *x, real *out, const layer_t *layer, idx rows) noexcept nogil:
    """Rows of tables, and the columns behind the categories; NO_CATEGORY where x has none."""
    cdef const real *E = <const real *> layer.W
    cdef idx _, c, code, width, numeric = layer.n_in - layer.columns
    cdef real value
    for _ in range(rows):
        for c in range(layer.columns):
            value = x[c]
            if not 0 <= value < <double> layer.sizes[c]:  # NaN is neither
                return NO_CATEGORY
            code, width = <idx> value, layer.widths[c]
            if code != value:
                return NO_CATEGORY
            memcpy(out, E + layer.starts[c] + code * width, width * sizeof(real))
            out += width
        memcpy(out, x + layer.columns, numeric * sizeof(real))
        out += numeric
        x += layer.n_in
    return 0


cdef int block_outputs(const network_t *net, const real *x, real *out, real *first, real *second,
                       idx rows) noexcept nogil:
    """x's rows through all layers; first and second: (rows, widest) each."""
    cdef const layer_t *layer
    cdef real *to
    cdef const real *at = x
    cdef idx affine_left = net.n_affine, k
    cdef int status
    for k in range(net.n_layers):
        layer = &net.layers[k]
        if layer.kind == isa.FBP_AFFINE:
            affine_left -= 1
        if layer.kind == isa.FBP_AFFINE or at == x:
            to = out if affine_left == 0 else second if at == first else first
        else:
            to = <real *> at
        if layer.kind == isa.FBP_AFFINE:
            if affine_forward_core(at, <const real *> layer.W, <const real *> layer.bias, to, rows,
                                   layer.n_in, layer.n_out):
                return NO_MEMORY
        elif layer.kind == isa.FBP_EMBEDDING:
            status = embed(at, to, layer, rows)
            if status:
                return status
        elif layer.kind == isa.FBP_BATCH_NORM:
            normalise(at, to, layer, rows)
        else:
            activation_forward_core(at, to, layer.kind, layer.a, layer.b, rows * layer.n_out)
        at = to
    return 0


cdef int outputs(const network_t *net, const real *x, const float *floats, real *out,
                 idx rows) noexcept nogil:
    """Rows of x (or, to be converted, of floats), BLOCK at a time; what went wrong, or 0."""
    cdef idx n_blocks = (rows + BLOCK - 1) // BLOCK, width = net.widest, r, m
    cdef idx block = (rows + n_blocks - 1) // n_blocks  # all about alike
    cdef real *buffer = <real *> fbp_allocate(3 * block * width * sizeof(real))
    cdef real *converted = buffer + 2 * block * width
    cdef const real *from_
    cdef int status = 0
    if buffer == NULL:
        return NO_MEMORY
    r = 0
    while r < rows and status == 0:
        m = some_of(rows - r, block)
        if net.converts:
            convert(floats + r * net.n_in, <double *> converted, m * net.n_in)
            from_ = converted
        else:
            from_ = x + r * net.n_in
        status = block_outputs(net, from_, out + r * net.n_out, buffer, buffer + block * width, m)
        r += m
    fbp_free(buffer)
    return status


cdef struct work_t:
    const network_t *net
    const void *x
    void *out
    idx rows
    int n_parts, failed
    bint is_double


cdef void some_rows(void *work_, int first, int end) noexcept nogil:
    """The rows that parts first .. end - 1 have of the work."""
    cdef work_t *work = <work_t *> work_
    cdef const network_t *net = work.net
    cdef idx start = work.rows * first // work.n_parts
    cdef idx rows = work.rows * end // work.n_parts - start
    cdef idx at = start * net.n_in, to = start * net.n_out
    cdef const float *floats = <const float *> work.x
    cdef const double *doubles = <const double *> work.x
    cdef int status
    if not work.is_double:
        status = outputs[float](net, floats + at, floats + at, <float *> work.out + to, rows)
    else:
        status = outputs[double](net, doubles + at, floats + at, <double *> work.out + to, rows)
    if status:
        work.failed = status


cdef idx describe_tables(layer_t *at, tuple arrays, int typenum) except -2:
    """Tables as C has them; a row's width behind them, or -1: they are not as they have to be."""
    cdef idx c, width = <idx> at.a
    E, starts, sizes, widths = arrays
    if not (is_plain(E, typenum, 1) and width >= 0 and is_plain(starts, cnp.NPY_INT64, 1)
            and is_plain(sizes, cnp.NPY_INT64, 1) and is_plain(widths, cnp.NPY_INT64, 1)
            and dim(starts, 0) == dim(sizes, 0) == dim(widths, 0)):
        return -1
    at.W, at.columns = memory(E), dim(starts, 0)
    at.starts, at.sizes = <const int64_t *> memory(starts), <const int64_t *> memory(sizes)
    at.widths = <const int64_t *> memory(widths)
    at.n_in = at.columns + width
    for c in range(at.columns):
        if not (at.sizes[c] >= 1 and at.widths[c] >= 1 and at.starts[c] >= 0
                and at.sizes[c] <= (dim(E, 0) - at.starts[c]) // at.widths[c]):
            return -1
        width += at.widths[c]
    return width


cdef class Layers:
    """What `predict` goes through: (kind, a, b, arrays) of each, from the first on.

    Arrays, or what gives them: W and b of an affine layer; of a normalisation mean, factor, beta;
    of tables all of them in a vector, and int64 of where each begins, its rows and their width,
    while a is how many columns stand behind.
    `threads_for` says how many threads so many operations take, and `count` is that of the changes
    noted when the layers were looked at.
    """

    cdef list entries
    cdef object threads_for
    cdef readonly uint64_t count

    def __init__(self, entries, threads_for, count):
        self.entries = list(entries)
        self.threads_for = threads_for
        self.count = count

    def __bool__(self):
        return bool(self.entries)

    cdef int describe(self, network_t *net, list held) except -2:
        """The layers as C has them; their element type, or -1: one is not as the kernels read it.
        """
        cdef layer_t *at
        cdef int typenum = -1
        cdef idx width = -1
        for kind, a, b, arrays in self.entries:
            at = &net.layers[net.n_layers]
            at.kind, at.a, at.b = kind, a, b
            if at.kind == isa.FBP_EMBEDDING:
                tables = arrays if type(arrays) is tuple else arrays()
                if cnp.PyArray_CheckExact(tables[0]):
                    typenum = cnp.PyArray_TYPE(<cnp.ndarray> tables[0])
                width = describe_tables(at, tables, typenum)
                if net.n_layers or width < 0:
                    return -1
                held += tables
            elif at.kind == isa.FBP_AFFINE:
                W, bias = arrays if type(arrays) is tuple else arrays()
                if typenum < 0 and cnp.PyArray_CheckExact(W):
                    typenum = cnp.PyArray_TYPE(<cnp.ndarray> W)
                if not (is_plain(W, typenum, 2) and is_plain(bias, typenum, 1)
                        and dim(bias, 0) == dim(W, 1) and (width < 0 or dim(W, 0) == width)
                        and cnp.PyArray_SIZE(<cnp.ndarray> W)):
                    return -1
                at.n_in, width = dim(W, 0), dim(W, 1)
                held += (W, bias)
                net.n_affine += 1
                net.products += at.n_in * width
            else:
                at.n_in = width
            if at.kind == isa.FBP_BATCH_NORM:
                W, factor, bias = arrays()
                if not (is_plain(W, typenum, 1) and is_plain(factor, typenum, 1)
                        and is_plain(bias, typenum, 1) and dim(W, 0) == width
                        and dim(factor, 0) == width and dim(bias, 0) == width):
                    return -1
                held += (W, factor, bias)
                at.factor = memory(factor)
            if at.kind == isa.FBP_AFFINE or at.kind == isa.FBP_BATCH_NORM:
                at.W, at.bias = memory(W), memory(bias)
            at.n_out = width
            net.widest = max(net.widest, max(at.n_in, at.n_out))
            net.n_layers += 1
        net.n_in, net.n_out = net.layers[0].n_in, width
        return typenum

    def predict(self, x):
        """The outputs for x (rows, n_in) as a new array; None for what has to go layer by layer."""
        cdef network_t net
        cdef cnp.npy_intp shape[2]
        cdef work_t work
        cdef list held = []
        cdef cnp.ndarray out
        cdef int typenum
        if not (self.entries and len(self.entries) <= MOST_LAYERS
                and self.entries[0][0] in (AFFINE, EMBED) and cnp.PyArray_CheckExact(x)
                and compiled_runs()):
            return None
        memset(&net, 0, sizeof(net))
        typenum = self.describe(&net, held)
        if typenum != cnp.NPY_FLOAT and typenum != cnp.NPY_DOUBLE:
            return None
        if not (is_plain(x, typenum, 2) or (typenum == cnp.NPY_DOUBLE
                                            and is_plain(x, cnp.NPY_FLOAT, 2))):
            return None
        net.converts = cnp.PyArray_TYPE(<cnp.ndarray> x) != typenum
        if dim(x, 1) != net.n_in or dim(x, 0) == 0:
            return None
        shape[0], shape[1] = dim(x, 0), net.n_out
        out = cnp.PyArray_SimpleNew(2, shape, typenum)
        memset(&work, 0, sizeof(work))
        work.net, work.x, work.out, work.rows = &net, memory(x), memory(out), dim(x, 0)
        work.is_double = typenum == cnp.NPY_DOUBLE
        work.n_parts = 1
        if net.products * work.rows < LARGE // 4:
            some_rows(&work, 0, 1)
        else:
            if work.rows >= 2 * BLOCK:
                work.n_parts = min(self.threads_for(2.0 * net.products * work.rows),
                                   work.rows // BLOCK)
            with nogil:
                run_parts(some_rows, &work, work.n_parts)
        if work.failed == NO_CATEGORY:
            return None  # of a layer, which says where
        if work.failed:
            raise MemoryError("predict could not allocate its scratch memory")
        return out
