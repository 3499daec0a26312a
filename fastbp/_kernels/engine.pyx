"""`Plan`: one network's workspace, and its training steps in one GIL-free call."""
cimport cython
cimport numpy as cnp
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport PyThread_get_thread_ident
from libc.math cimport INFINITY, NAN, isfinite, sqrt
from libc.stdint cimport PTRDIFF_MAX, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from fastbp._kernels cimport changes, isa
from fastbp._kernels.contract cimport real, require
from fastbp._kernels.isa cimport fbp_batch, fbp_layer, fbp_source, idx
from fastbp._kernels.optim cimport describe

from fastbp._kernels.activations import activations
from fastbp._kernels.embedding import categories_hold
from fastbp._kernels.losses import losses as loss_rows

cdef extern from "training/team.h" nogil:
    double fbp_seconds()
    void fbp_survive_forks()
    int fbp_max_threads()
    isa.fbp_team *fbp_take_team(int n_threads)
    void fbp_give_team(isa.fbp_team *team)

cdef extern from "aligned.h" nogil:
    void *fbp_allocate(size_t size)
    void *fbp_allocate_zeros(size_t size)
    void fbp_free(void *memory)
    void fbp_free_zeros(void *memory)

cnp.import_array()

LAYER_KINDS = {
    **{name: kind for name, (kind, _, _) in activations().items()},
    "affine": isa.FBP_AFFINE, "dropout": isa.FBP_DROPOUT, "batch_norm": isa.FBP_BATCH_NORM,
    "embedding": isa.FBP_EMBEDDING,
}
PART_KINDS = {
    "softmax": isa.FBP_SOFTMAX, "gaussian": isa.FBP_GAUSSIAN,
    **{name: kind for name, (kind, _, _) in loss_rows().items()},
}
LOSS_KINDS = {
    None: isa.FBP_NO_LOSS, "softmax": isa.FBP_SOFTMAX,
    "parts": isa.FBP_PARTS,
    **{name: kind for name, (kind, _, _) in loss_rows().items()},
}
#: What of a layer `write` and `read` copy.
PARAMETERS, GRADIENTS, RUNNING, FIRST_STATE = range(4)

#: Multiplications by weights, of all rows of a batch, that take a few microseconds: so long `step`
#: keeps the GIL, as giving it up and taking it again would be 4 % of the smallest step.
cdef double BRIEF = 16384

#: What travels behind the gradients of several ranks, by its place: sums over the ranks of the loss
#: and of what was classified rightly, of the rows' weights, of what no gradient is above, and of
#: the ranks that have failed or whose time is over.
cdef enum:
    LOSS, CORRECT, WEIGHT, BOUND, FAILED, OVER

#: A step longer than this is followed by a look for Ctrl-C; shorter ones share a look.
cdef double SECONDS_BETWEEN_LOOKS = 0.02


cdef class SparseRows:
    """Rows of a sparse matrix in CSR form, checked once.

    Parameters
    ----------
    data : (n_entries,) float32, float64 or uint8
    indices : (n_entries,) int64, columns
    indptr : (n_rows + 1,) int64
        From 0 to at most n_entries: what lies behind is no entry, as SciPy has it.
    n_columns : int

    Raises
    ------
    ValueError
        For indices out of range, or an indptr that does not rise from 0 within n_entries.
    """

    cdef readonly object data, indices, indptr
    cdef readonly idx n_columns

    def __init__(self, data, const int64_t[::1] indices not None,
                 const int64_t[::1] indptr not None, idx n_columns):
        cdef idx i, n = len(data), last = indptr.shape[0] - 1, used
        require(indices.shape[0] == n and last >= 0 and indptr[0] == 0,
                "SparseRows expects an index for each entry, and indptr from 0", "others")
        used = indptr[last]
        require(used <= n, "SparseRows expects indptr within the number of entries", "another")
        for i in range(last):
            require(indptr[i] <= indptr[i + 1], "SparseRows expects indptr that rises", "another")
        for i in range(used):
            require(0 <= indices[i] < n_columns, "SparseRows expects indices of its columns",
                    "others")
        self.data = data
        self.indices = indices.base
        self.indptr = indptr.base
        self.n_columns = n_columns

    def __len__(self):
        return len(self.indptr) - 1


#: A batch without rows; a copy of it is quicker than memset.
cdef fbp_batch NO_ROWS
memset(&NO_ROWS, 0, sizeof(NO_ROWS))


cdef idx _most_entries(const fbp_source *source, const int64_t[::1] order, idx start,
                       idx most) noexcept:
    """Entries of the batch of order[start:], `most` rows each, that has most of them."""
    cdef idx i, row, n = 0, largest = 0
    cdef uint64_t length
    for i in range(start, order.shape[0]):
        if (i - start) % most == 0:
            n = 0
        row = order[i]
        if not 0 <= row < source.n_rows:  # written since; its step refuses it
            continue
        length = <uint64_t> source.indptr[row + 1] - <uint64_t> source.indptr[row]
        if length <= <uint64_t> source.size:  # its step refuses another one
            n += <idx> length
        largest = max(largest, n)
    return largest


cdef idx _most_entries_of_parts(const fbp_source *source, const int64_t[::1] order,
                                const int64_t[:, ::1] parts) noexcept:
    """Entries of the part of a batch that has most of them."""
    cdef idx k, largest = 0
    for k in range(parts.shape[0]):
        if parts[k, 1] > parts[k, 0]:
            largest = max(largest, _most_entries(
                source, order[:parts[k, 1]], parts[k, 0], parts[k, 1] - parts[k, 0]))
    return largest


cdef bint _is_masked(array) noexcept:
    return isinstance(array, np.ma.MaskedArray)


cdef inline bint _readable(array) noexcept:
    """Whether C can read an array where it lies: dense, aligned, of the machine's byte order.

    Not a masked one, of which the checks have to look at the mask.
    """
    return (cnp.PyArray_Check(array) and cnp.PyArray_ISCARRAY_RO(array)
            and (cnp.PyArray_CheckExact(array) or not _is_masked(array)))


cdef inline int _type_of(cnp.ndarray array) noexcept:
    """fbp_type of an array's elements, or -1 for another one."""
    cdef int kind = cnp.PyArray_TYPE(array)
    if kind == cnp.NPY_FLOAT:
        return isa.FBP_FLOAT32
    if kind == cnp.NPY_DOUBLE:
        return isa.FBP_FLOAT64
    return isa.FBP_UINT8 if kind == cnp.NPY_UBYTE else -1


cdef inline bint _is_int64(cnp.ndarray array) noexcept:
    return cnp.PyArray_ISSIGNED(array) and cnp.PyArray_ITEMSIZE(array) == 8


cdef class Plan:
    """One network's workspace: parameters, optimiser state and activations in one block.

    Parameters
    ----------
    layers : sequence of tuple
        (kind, n_in, n_out, a, b, detail) of each layer; a and b are an activation's numbers, a
        dropout's ratio, a batch normalisation's eps and momentum.  The detail is whether an affine
        layer has no bias, or whether a batch normalisation's running variance is by n - 1; of an
        embedding, a first layer, (start, size, width, skip) of each column of categories: where its
        table begins among all tables' numbers, its rows and their width, and where the row begins
        that is not trained, or -1.
    loss : str or None
        A key of `LOSS_KINDS`; None leaves the gradient by the outputs to `backward`.
    batch_size : int
        The most rows of a step.
    is_double : bool
        float64 in place of float32.
    n_states : int
        Arrays of the parameters' size that the rule keeps, which comes by `set_rule`.
    keep_gradients : bool
        Room for `gradient` and for clipping by norm.
    loss_number : float or tuple of tuple
        The loss's own, as a Huber loss's delta, a quantile or a softmax's smoothing of targets.
        Of "parts" (loss, number, width, factor) of each: a loss of the next so many outputs, of
        which a row has the sum of the elements times the factor.  There a softmax's targets are
        rows of probabilities; and a part may be "gaussian", whose outputs are pairs of a mean and
        the logarithm of a variance, whose targets are there twice, and whose number is added to the
        variances.
    n_threads : int
    loss_scale : float or None
        None: the loss is the mean over the rows for a softmax, over all elements for others.  A
        number: gradients are of the sum over a row's elements, averaged over the rows, and the
        loss is the same times the number; and the rule's states may overflow.
    clip_loss : bool
        Whether a cross-entropy's loss (not its gradient) takes probabilities below the dtype's
        eps for eps.

    Raises
    ------
    MemoryError
        When the block could not be had.

    Notes
    -----
    Nothing is allocated after the constructor, but room for the entries of a batch of sparse rows
    where those before had fewer; and dense rows touch memory that sparse ones do not.  A plan is
    for one thread at a time; it raises RuntimeError where a second one steps in.
    """

    cdef void *memory
    #: For the entries of a batch of sparse rows: twice `capacity` of them.
    cdef isa.fbp_entry *room
    cdef idx capacity
    cdef const isa.fbp_engine *engine
    cdef isa.fbp_rule rule
    cdef isa.fbp_loss_kind loss
    cdef bint is_double, keep_gradients, normalises
    cdef fbp_layer *layers
    cdef isa.fbp_column *columns
    #: How many categories each of these has.
    cdef object sizes
    #: The count of noted changes at the last look at them.
    cdef uint64_t changes_seen
    #: Rows of the last `outputs`, which `backward` goes on from.
    cdef idx rows_out
    #: The first layer into which the last step would have written NaN or inf, or -1.
    cdef readonly idx overflowed
    #: Whether a step is running, in some thread.
    cdef readonly bint busy
    #: The thread that looks for signals between two steps, or 0.
    cdef unsigned long looking
    cdef int n_threads
    cdef idx n_layers
    cdef double clip_norm, loss_scale
    #: The penalty's factor.
    cdef readonly double l2
    cdef bint per_row, early_eps, brief, lenient, drops
    #: Bytes of the block.
    cdef readonly size_t nbytes
    cdef readonly idx batch_size, n_in, n_out
    #: Arrays of state that the rule keeps of a parameter.
    cdef readonly int n_states
    #: Steps done, which choose the dropout masks and Adam's corrections.
    cdef public uint64_t steps
    #: How often the block's parameters have changed, and at which of these they were last fetched:
    #: not `steps`, which may be set to any number.
    cdef readonly uint64_t changes
    cdef public uint64_t synced
    #: The same of an optimiser's states.
    cdef public uint64_t fetched
    cdef public uint64_t seed
    #: Rows the last step classified rightly.
    cdef readonly double correct
    #: Whether the last epoch ended at a loss, or an update, that is not finite.
    cdef readonly bint stopped_by_loss
    #: The processes that train the same network, of which this is one, or None; see `join`.
    cdef readonly object ranks
    #: What stands behind the kept gradients.
    cdef void *words
    #: Steps of each rank alone from one averaging of the parameters to the next; 1: none.
    cdef idx average_every
    #: What has failed here while the others wait.
    cdef object failure
    #: Whether this rank's rows, or all ranks', are why the last step updated nothing.
    cdef readonly bint to_blame
    #: Whether the time was over on the first rank.
    cdef readonly bint time_over
    #: The average of the parameters over the steps, as `flat` has these, or None; where it lies and
    #: where they do, how many numbers, the share that it keeps, and whether it has begun.
    cdef readonly object averages
    cdef void *averages_at
    cdef void *parameters_at
    cdef idx n_averages
    cdef double decay
    cdef public bint averages_begun
    #: A closed plan makes no more steps.
    cdef public bint closed
    #: What a subclass's __new__ leaves to its __init__.  Not in the object's dict: where that was
    #: written to before __init__, every call of a method takes 30 ns more.
    cdef public object made_from

    def __cinit__(self, layers, loss, batch_size, is_double, n_states=0,
                  keep_gradients=False, loss_number=0.0, n_threads=1, loss_scale=None,
                  clip_loss=False):
        # The layout counts bytes in 64 bits: 2^56 elements of at most 8 bytes, in at most 8 arrays,
        # are far from where that wraps around.
        if batch_size * sum([n_in + n_out + 64 for _, n_in, n_out, *_ in layers]) > 2**56:
            raise ValueError(
                f"Training expects batch_size of a plan that fits into memory; got {batch_size}.")
        cdef isa.fbp_spec spec
        memset(&spec, 0, sizeof(spec))
        cdef idx n = len(layers), width = -1
        require(n > 0 and batch_size > 0 and n_threads > 0,
                "Plan expects at least one layer, one row and one thread")
        require(0 <= n_states <= isa.FBP_MOST_STATES, "Plan expects the states of a rule")
        cdef fbp_layer *described = <fbp_layer *> malloc(n * sizeof(fbp_layer))
        if described == NULL:
            raise MemoryError
        try:
            memset(described, 0, n * sizeof(fbp_layer))
            for i, (kind, n_in, n_out, a, b, detail) in enumerate(layers):
                described[i].kind = LAYER_KINDS[kind]
                described[i].n_in = n_in
                described[i].n_out = n_out
                described[i].a = a
                described[i].b = b
                if kind == "embedding":
                    self.take_columns(&described[i], i, detail)
                else:
                    described[i].sample_variance = described[i].no_bias = detail
                require(n_in > 0 and n_out > 0 and (i == 0 or n_in == width)
                        and (n_in == n_out or kind in ("affine", "embedding")),
                        "Plan expects layers of widths that follow on each other")
                width = n_out
                if described[i].kind == isa.FBP_BATCH_NORM:
                    self.normalises = True
                if described[i].kind == isa.FBP_DROPOUT:
                    self.drops = True
            spec.layers = described
            spec.n_layers = n
            spec.batch_size = batch_size
            spec.loss = LOSS_KINDS[loss]
            if spec.loss == isa.FBP_PARTS:
                parts = self.parts_of(loss_number, width)
                spec.loss_parts = <isa.fbp_loss_part *> PyByteArray_AS_STRING(parts)
                spec.n_loss_parts = len(loss_number)
            else:
                spec.loss_number = loss_number
            spec.clip_loss = clip_loss
            spec.n_states = n_states
            spec.keep_gradients = keep_gradients
            self.engine = &isa.active().engine[1 if is_double else 0]
            self.nbytes = self.engine.plan_layout(&spec, n_threads, NULL)
            self.memory = fbp_allocate_zeros(self.nbytes)
            if self.memory == NULL:
                raise MemoryError(f"a training plan of {self.nbytes} bytes could not be allocated")
            self.engine.plan_layout(&spec, n_threads, self.memory)
            self.n_in = described[0].n_in
            self.n_out = described[n - 1].n_out
            self.layers, described = described, NULL
        finally:
            free(described)
        self.loss = spec.loss
        self.n_layers = n
        self.batch_size = batch_size
        self.is_double = is_double
        self.keep_gradients = keep_gradients
        self.n_states = n_states
        self.n_threads = n_threads
        memset(&self.rule, 0, sizeof(self.rule))
        self.rule.clip_scale = 1
        self.lenient = loss_scale is not None
        self.overflowed = -1
        self.average_every = 1
        self.changes_seen = changes.count
        self.clip_norm = self.l2 = 0
        self.early_eps = False
        self.brief = batch_size * sum([n_in * n_out for _, n_in, n_out, *_ in layers]) <= BRIEF
        self.per_row = (
            loss_scale is not None or self.loss == isa.FBP_SOFTMAX or self.loss == isa.FBP_PARTS)
        self.loss_scale = 1 if loss_scale is None else loss_scale

    cdef int take_columns(self, fbp_layer *layer, idx place, columns) except -1:
        """The columns of categories of an embedding."""
        cdef idx n = len(columns), end = 0, width = 0, i
        require(place == 0 and 0 < n <= layer.n_in, "Plan expects an embedding as its first layer")
        self.columns = <isa.fbp_column *> malloc(n * sizeof(isa.fbp_column))
        if self.columns == NULL:
            raise MemoryError
        for i, (start, size, numbers, skip) in enumerate(columns):
            require(start >= 0 and size > 0 and numbers > 0 and start + size * numbers <= 2**56,
                    "Plan expects tables of an embedding that fit into memory")
            self.columns[i] = isa.fbp_column(start, size, numbers, skip)
            end = max(end, start + size * numbers)
            width += numbers
        self.sizes = np.array([size for _, size, _, _ in columns], np.int64)
        require(width + layer.n_in - n == layer.n_out, "Plan expects an embedding's outputs")
        layer.columns, layer.n_columns, layer.n_weights = self.columns, n, end
        return 0

    cdef bytearray parts_of(self, parts, idx width):
        """The parts of a loss, of so many outputs, as C has them."""
        cdef bytearray kept = bytearray(len(parts) * sizeof(isa.fbp_loss_part))
        cdef isa.fbp_loss_part *part = <isa.fbp_loss_part *> PyByteArray_AS_STRING(kept)
        for i, (loss, number, n, factor) in enumerate(parts):
            require(n > 0 and loss in PART_KINDS and (loss != "gaussian" or n % 2 == 0),
                    "Plan expects parts of a loss with outputs of their own")
            part[i] = isa.fbp_loss_part(PART_KINDS[loss], number, n, factor)
            width -= n
        require(len(parts) > 0 and width == 0, "Plan expects parts of a loss with all outputs")
        return kept

    def __dealloc__(self):
        fbp_free_zeros(self.memory)
        fbp_free(self.room)
        free(self.layers)
        free(self.columns)

    def set_rule(self, str rule not None, *, lr, weight_decay=0.0, bias_decay=None, decoupled=False,
                 clip_value=0.0, clip_norm=0.0, l2=0.0, early_eps=False, **numbers):
        """The update rule, a row of operations.h, and its numbers.

        `l2` adds the penalty l2 / 2 sum W^2 / (rows, or the sum of their weights) to a step's
        loss, and its gradient by W, in the place of `weight_decay`.  With `early_eps` Adam adds
        eps to sqrt(v) before v's bias is corrected.
        """
        cdef isa.fbp_rule new
        if clip_norm and not self.keep_gradients:
            raise ValueError("clip_norm expects a plan that keeps gradients; got one without.")
        describe(&new, rule, lr, decoupled, numbers)
        if self.n_states < isa.fbp_rules[<int> new.kind].states:
            raise ValueError(
                f"{rule} expects a plan with room for {isa.fbp_rules[<int> new.kind].states} arrays"
                f" of state; got one with {self.n_states}.")
        new.weight_decay = weight_decay
        new.bias_decay = weight_decay if bias_decay is None else bias_decay
        new.clip_value = clip_value
        new.clip_scale = 1
        new.lenient = self.lenient
        if new.eps == 0:  # missing columns of panels, which are 0, stay 0 and not 0 / 0
            new.eps = 5e-324 if self.is_double else 1.401298464324817e-45
        self.rule = new
        self.clip_norm = clip_norm
        self.l2 = l2
        self.early_eps = early_eps

    @cython.critical_section
    def flat(self, int part):
        """All layers' arrays of a part, as they lie in the block: (n,) of the plan's dtype.

        Who writes into it keeps missing columns zero, as sums and multiples do; and reads nothing
        into it but that ranks with the same layers and instruction set have the same place for
        the same number.  Of GRADIENTS 64 bytes behind them belong to it.
        """
        self.require_idle()
        require(0 <= part < FIRST_STATE + self.n_states, "Plan expects a part that it has")
        return self.view_of(part)

    cdef object view_of(self, int part):
        cdef cnp.npy_intp n = 0
        cdef void *data = self.engine.plan_flat(self.memory, part, <idx *> &n)
        cdef int kind = cnp.NPY_DOUBLE if self.is_double else cnp.NPY_FLOAT
        array = cnp.PyArray_SimpleNewFromData(1, &n, kind, data)
        cnp.set_array_base(array, self)
        return array

    def join(self, ranks, idx average_every=1):
        """Train together with the same plan of other ranks, a `Ranks` or None for none.

        Each step's gradients are summed over all ranks, or, where `average_every` is above 1, each
        rank makes so many steps of its own, and then their parameters are averaged.
        """
        require(ranks is None or self.keep_gradients, "ranks expect a plan that keeps gradients")
        require(average_every > 0, "ranks expect average_every of at least 1")
        cdef idx n
        self.ranks, self.average_every, self.failure = ranks, average_every, None
        self.words = <char *> self.engine.plan_flat(self.memory, GRADIENTS, &n)
        n *= 8 if self.is_double else 4
        self.words = <char *> self.words + n - 64
        if ranks is not None:
            ranks.reserve(n)

    def keep_averages(self, double decay):
        """Keep an average of the parameters: after each step decay times it and 1 - decay of them.
        """
        self.averages = self.flat(PARAMETERS).copy()
        self.averages_at = cnp.PyArray_DATA(self.averages)
        self.parameters_at = self.engine.plan_flat(self.memory, PARAMETERS, &self.n_averages)
        self.decay, self.averages_begun = decay, False

    cdef void go_on_averaging(self) noexcept nogil:
        cdef double rest = 1 - self.decay if self.averages_begun else 1
        if self.is_double:
            _mix(<double *> self.averages_at, <double *> self.parameters_at, rest,
                 self.n_averages)
        else:
            _mix(<float *> self.averages_at, <float *> self.parameters_at, <float> rest,
                 self.n_averages)
        self.averages_begun = True

    @property
    def dirty(self):
        """Whether the block's parameters are newer than the user's arrays."""
        return self.changes != self.synced

    @property
    def lr(self):
        """Learning rate of the next step."""
        return self.rule.lr

    @lr.setter
    def lr(self, double value):
        self.rule.lr = value

    @cython.critical_section
    def write(self, idx layer, int part, W, b=None):
        """Copy a layer's arrays into the block: `part` is PARAMETERS, FIRST_STATE, ...

        An embedding has no b.
        """
        self.require_idle()
        self.require_layer(layer, part, W, b)
        self.engine.plan_write(self.memory, layer, part, cnp.PyArray_DATA(W), self.data_of(b))

    def read(self, idx layer, int part, W, b=None):
        """Copy a layer's arrays out of the block, into C-contiguous arrays of its dtype."""
        self.read_all([(layer, part, W, b)])

    cdef void *data_of(self, array) noexcept:
        return NULL if array is None else cnp.PyArray_DATA(array)

    @cython.critical_section
    def read_all(self, list places not None):
        """`read` each (layer, part, W, b): all of them, or none; no Ctrl-C comes between."""
        self.require_idle()
        for layer, part, W, b in places:
            self.require_layer(layer, part, W, b)
            require(cnp.PyArray_ISWRITEABLE(W) and (b is None or cnp.PyArray_ISWRITEABLE(b)),
                    "Plan expects arrays that it may write to", "read-only ones")
        for layer, part, W, b in places:
            self.engine.plan_read(
                self.memory, layer, part, cnp.PyArray_DATA(W), self.data_of(b))

    cdef int require_layer(self, idx layer, int part, W, b) except -1:
        """A layer's two arrays, of the plan's element type and of the right sizes."""
        if not 0 <= layer < self.n_layers:
            raise ValueError(
                f"Plan expects a layer's place, from 0 to {self.n_layers - 1}; got {layer}.")
        if not self.has_part(layer, part):
            raise ValueError(f"Plan expects a part that layer {layer} of it has; got part {part}.")
        cdef idx n = self.layers[layer].n_out
        if self.layers[layer].kind == isa.FBP_EMBEDDING:
            return require(
                b is None and self.is_own(W)
                and cnp.PyArray_SIZE(W) == self.layers[layer].n_weights,
                "Plan expects an embedding's tables in one array of its own dtype")
        cdef idx rows = self.layers[layer].n_in if self.layers[layer].kind == isa.FBP_AFFINE else 1
        return require(
            self.is_own(W) and self.is_own(b)
            and cnp.PyArray_SIZE(W) == rows * n and cnp.PyArray_SIZE(b) == n,
            "Plan expects arrays of the layer's sizes and of its own dtype")

    cdef bint has_part(self, idx layer, int part) noexcept:
        cdef bint normalises = self.layers[layer].kind == isa.FBP_BATCH_NORM
        cdef bint embeds = self.layers[layer].kind == isa.FBP_EMBEDDING
        if not (normalises or embeds or self.layers[layer].kind == isa.FBP_AFFINE):
            return False
        if part == GRADIENTS:
            return normalises or embeds or self.keep_gradients
        if part == RUNNING:
            return normalises
        return part == PARAMETERS or FIRST_STATE <= part < FIRST_STATE + self.n_states

    # --- changes of what it was made from ---------------------------------------------------

    cdef int look_at_changes(self) except -1:
        """Look at the network and the optimiser again, where something has changed since."""
        cdef uint64_t now = changes.count
        if now != self.changes_seen:
            self.look_again()  # a refusal comes again at the next step
            self.changes_seen = now
        if self.changes == self.synced:
            self.take_arrays()
        return 0

    def look_again(self):
        """Take other numbers of the network and the optimiser, or refuse them: a subclass's."""

    def take_arrays(self):
        """Take the user's arrays, which are as new as the block's: a subclass's.

        Whoever looked at them may have written into them.
        """

    @cython.critical_section
    def adjust(self, idx layer, double a, double b):
        """Other numbers of a layer, as the constructor takes them, from the next step on."""
        self.require_idle()
        require(0 <= layer < self.n_layers, "Plan expects a layer's place")
        self.engine.plan_adjust(self.memory, layer, a, b)

    @cython.critical_section
    def adjust_loss(self, double number):
        """Another number of the loss, from the next step on."""
        self.require_idle()
        self.engine.plan_adjust_loss(self.memory, number)

    cdef bint is_own(self, array) noexcept:
        """Whether C can read the array, and its elements are of the plan's type."""
        return _readable(array) and _type_of(array) == <int> (
            isa.FBP_FLOAT64 if self.is_double else isa.FBP_FLOAT32)

    # --- the user's rows --------------------------------------------------------------------

    cdef bint point_to_x(self, fbp_source *source, x) noexcept:
        """Dense rows (an array) or SparseRows; False: not so."""
        cdef SparseRows sparse
        cdef int kind
        if type(x) is SparseRows:
            sparse = <SparseRows> x
            if sparse.n_columns != self.n_in or not _readable(sparse.data) or self.columns != NULL:
                return False
            kind = _type_of(sparse.data)
            source.data = cnp.PyArray_DATA(sparse.data)
            source.indices = <const int64_t *> cnp.PyArray_DATA(sparse.indices)
            source.indptr = <const int64_t *> cnp.PyArray_DATA(sparse.indptr)
            source.size = min(cnp.PyArray_SIZE(sparse.data), cnp.PyArray_SIZE(sparse.indices))
            source.n_rows = cnp.PyArray_DIM(sparse.indptr, 0) - 1
        else:
            if not (_readable(x) and cnp.PyArray_NDIM(x) == 2
                    and cnp.PyArray_DIM(x, 1) == self.n_in):
                return False
            kind = _type_of(x)
            source.data = cnp.PyArray_DATA(x)
            source.stride = self.n_in
            source.size = cnp.PyArray_SIZE(x)
            source.n_rows = cnp.PyArray_DIM(x, 0)
        if kind < 0:
            return False
        source.type = <isa.fbp_type> kind
        return True

    cdef bint point_to_t(self, fbp_batch *batch, t) noexcept:
        """Class indices, or rows of the outputs' width; False: not so, or out of range."""
        cdef const int64_t *classes
        cdef idx r, n_rows = batch.x.n_rows
        if self.loss == isa.FBP_NO_LOSS:
            return t is None
        if not (_readable(t) and cnp.PyArray_NDIM(t) > 0
                and cnp.PyArray_DIM(t, 0) == n_rows):
            return False
        if self.loss == isa.FBP_SOFTMAX and cnp.PyArray_NDIM(t) == 1 and _is_int64(t):
            classes = <const int64_t *> cnp.PyArray_DATA(t)
            for r in range(n_rows):
                if not 0 <= classes[r] < self.n_out:
                    return False
            batch.classes = classes
            return True
        if not (self.is_own(t) and cnp.PyArray_NDIM(t) == 2
                and cnp.PyArray_DIM(t, 1) == self.n_out):
            return False
        batch.t = cnp.PyArray_DATA(t)
        if self.is_double:
            return _targets_hold(self.loss, <const double *> batch.t, n_rows, self.n_out)
        return _targets_hold(self.loss, <const float *> batch.t, n_rows, self.n_out)

    cdef bint point_to_weights(self, fbp_batch *batch, weights) noexcept:
        if not (self.is_own(weights) and cnp.PyArray_NDIM(weights) == 1
                and cnp.PyArray_DIM(weights, 0) == batch.x.n_rows):
            return False
        batch.weights = cnp.PyArray_DATA(weights)
        return True

    @cython.final
    cdef inline int begin_on(self, fbp_batch *batch) except -1:
        """Begin a step on all of the rows."""
        batch.rows = batch.x.n_rows
        if batch.x.indptr == NULL:
            return self.begin()
        return self.begin_with(batch.x.size)

    cdef int begin_with(self, idx n_entries) except -1:
        """Begin steps on sparse rows that have so many entries together."""
        self.begin()
        try:
            self.make_room(n_entries)
        except BaseException:
            self.end()
            raise
        return 0

    cdef int make_room(self, idx n) except -1:
        if n <= self.capacity:
            return 0
        cdef isa.fbp_entry *room = NULL
        if 2 * n < PTRDIFF_MAX // <idx> sizeof(isa.fbp_entry):
            room = <isa.fbp_entry *> fbp_allocate(2 * n * sizeof(isa.fbp_entry))
        if room == NULL:
            raise MemoryError(f"a batch of {n} entries could not be allocated")
        fbp_free(self.room)
        self.room, self.capacity = room, n
        return 0

    @cython.final
    cdef inline bint point_to(self, fbp_batch *batch, x, t, weights) noexcept:
        """Whether C can read x, t and weights, to which the batch points then."""
        batch[0] = NO_ROWS
        return (self.point_to_x(&batch.x, x) and self.point_to_t(batch, t)
                and (weights is None or self.point_to_weights(batch, weights)))

    cdef tuple take(self, fbp_batch *batch, x, t, weights, idx most):
        """A batch of the user's rows, at most so many; where they had to be converted, the arrays
        to which it points: whoever takes it holds these, or x, t and weights, while it is used."""
        cdef tuple kept = None
        # All rows of an epoch were looked at when its training began.
        cdef bint looks = self.columns != NULL and most <= self.batch_size
        # Targets of a loss of parts have a form of the engine's own, which says nothing of theirs.
        if (self.loss == isa.FBP_PARTS and t is not None and most <= self.batch_size
                or not (self.point_to(batch, x, t, weights)
                        and (not looks or categories_hold(x, self.sizes)))):
            x, t, weights = kept = tuple(self.converted(x, t, weights))
            if not self.point_to(batch, x, t, weights):
                raise TypeError("Plan expects x, t and weights of its own dtype and widths")
        if batch.x.n_rows == 0 and self.ranks is None:
            raise ValueError("training expects at least one row in x; got none.")
        if batch.x.n_rows > most:
            raise ValueError(
                f"step expects at most batch_size = {most} rows in x; got {batch.x.n_rows}."
            )
        if self.normalises and batch.x.n_rows == 1:
            raise ValueError(
                "step expects at least 2 rows in x for batch normalisation; got 1."
            )
        return kept

    def converted(self, x, t, weights):
        """x, t and weights as `step` takes them; a subclass converts, and words the errors."""
        return x, t, weights

    def diverged(self, loss, layer):
        """The error of a loss that is not finite; `layer` gave the first such output, or -1.

        For a finite loss: of an update that is not, see `overflowed`.
        """
        if isfinite(<double> loss):
            return FloatingPointError(
                "training expects finite weights after an update; got NaN or inf in layer "
                f"{self.overflowed}: all is as before.")
        return FloatingPointError(f"the loss is {loss}; first non-finite output: layer {layer}")

    cdef int raise_for(self, isa.fbp_outcome outcome, double loss, idx n_rows) except -1:
        """The error of a step that updated nothing."""
        if outcome == isa.FBP_BAD_ROWS:
            raise ValueError(
                "training expects class indices, row numbers and columns of CSR that stay in their "
                "range; got others, written since they were checked: the weights are those before.")
        if outcome == isa.FBP_NO_MEMORY:
            raise MemoryError("a copy of the parameters could not be allocated")
        if outcome == isa.FBP_NOT_FINITE:
            raise self.diverged(loss, self.engine.plan_first_non_finite(self.memory, n_rows))
        return 0

    # --- steps ------------------------------------------------------------------------------

    cdef int require_idle(self) except -1:
        if self.busy and self.looking != <unsigned long> PyThread_get_thread_ident():
            raise RuntimeError(
                "training expects one thread at a time for a network; another one is training it."
            )
        return 0

    cdef int require_open(self) except -1:
        if self.closed:
            raise RuntimeError(
                "step expects the network's own trainer; got one that was closed, by another "
                "Trainer or fit of the same network, or of one with its memory."
            )
        return 0

    # Critical sections do without the GIL what it does elsewhere: two threads cannot both find the
    # plan idle, nor one read or write the block while another begins.

    @cython.critical_section
    cdef int begin(self) except -1:
        self.require_open()
        self.require_idle()
        self.busy = True
        return 0

    @cython.critical_section
    def shut(self):
        """Make no more steps, unless one is running."""
        self.require_idle()
        self.closed = True

    @cython.critical_section
    cdef int end(self) except -1:
        self.busy = self.looking != 0
        return 0

    cdef int look(self) except -1:
        """Between two steps, run the handlers of signals: to them the plan is idle."""
        cdef unsigned long before = self.looking
        self.looking = <unsigned long> PyThread_get_thread_ident()
        try:
            PyErr_CheckSignals()
        finally:
            self.looking = before
        return self.require_open()

    cdef int require_loss(self) except -1:
        if self.loss == isa.FBP_NO_LOSS:
            raise ValueError(
                "step expects a network with a loss; got loss=None, so take outputs and backward."
            )
        return 0

    cdef double weigh(self, fbp_batch *batch) noexcept nogil:
        """The number of rows, or the sum of their weights."""
        cdef double sum = 0
        cdef idx r, row
        if batch.weights == NULL:
            return batch.rows
        for r in range(batch.rows):
            row = batch.x.rows[r] if batch.x.rows != NULL else r
            if not 0 <= row < batch.x.n_rows:
                continue  # the step will say so
            if self.is_double:
                sum += (<const double *> batch.weights)[row]
            else:
                sum += (<const float *> batch.weights)[row]
        return sum

    cdef void set_step(self, isa.fbp_rule *rule, double weight) noexcept nogil:
        """The rule's numbers of this step, over rows of so much weight."""
        rule.step = self.steps + 1
        if self.l2 > 0:
            rule.weight_decay = self.l2 / weight
        if self.early_eps:
            rule.eps /= sqrt(1 - self.rule.beta_2 ** <double> rule.step)

    cdef isa.fbp_outcome step_batch(self, fbp_batch *batch, bint update,
                                    double *loss) noexcept nogil:
        """The batch's mean loss, and whether the step was done.  Weights that sum to 0: 0."""
        cdef isa.fbp_result result
        cdef isa.fbp_rule rule = self.rule
        cdef double over = self.weigh(batch), penalty = 0, norm
        cdef bint stored = not update or self.clip_norm > 0
        cdef isa.fbp_team *team
        self.overflowed = -1
        if over == 0:
            self.correct = 0
            loss[0] = 0
            return isa.FBP_DONE
        if self.l2 > 0 and update:
            penalty = 0.5 * self.l2 * self.engine.plan_weight_square(self.memory) / over
            if not isfinite(penalty):
                loss[0] = penalty
                return isa.FBP_NOT_FINITE
        self.set_step(&rule, over)
        if not self.per_row:
            over *= self.n_out
        batch.scale = 1 / over
        batch.seed = self.seed
        batch.step = self.steps
        if batch.x.indptr != NULL:  # what runs between two steps may have made more room
            batch.x.room, batch.x.capacity = self.room, self.capacity
        if stored:
            rule.kind = isa.FBP_STORE
        team = fbp_take_team(self.n_threads)
        self.engine.plan_step(self.memory, batch, &rule, self.n_threads, team, &result)
        self.correct = result.correct
        loss[0] = self.loss_scale * result.loss / over + penalty
        if stored and result.outcome == isa.FBP_DONE:
            norm = 0
            if update:
                norm = self.engine.plan_gradient_norm(self.memory)
                rule.kind = self.rule.kind
                rule.clip_scale = min(1.0, self.clip_norm / (norm + 1e-6))
            if isfinite(norm):
                self.engine.plan_apply(self.memory, &rule, norm * rule.clip_scale,
                                       self.n_threads, team, &result)
            else:
                result.outcome = isa.FBP_NOT_FINITE
        fbp_give_team(team)
        self.note(&result, update)
        return result.outcome

    # --- steps of several ranks -------------------------------------------------------------

    cdef void say(self, int word, double value) noexcept nogil:
        if self.is_double:
            (<double *> self.words)[word] = value
        else:
            (<float *> self.words)[word] = <float> value

    cdef double heard(self, int word) noexcept nogil:
        return (<double *> self.words)[word] if self.is_double else (<float *> self.words)[word]

    cdef isa.fbp_outcome step_of_ranks(self, fbp_batch *batch, double rows, double deadline,
                                       double *loss) noexcept nogil:
        """`step_batch` for the rows that this rank has of a batch; of all ranks the batch has
        `rows` of them, or nobody knows how many: 0."""
        cdef isa.fbp_result result
        cdef isa.fbp_rule rule = self.rule
        cdef double width = 1 if self.per_row else self.n_out, own = self.weigh(batch)
        cdef double share = rows if rows > 0 else 1
        cdef isa.fbp_team *team
        memset(&result, 0, sizeof(result))
        batch.scale = 1 / (share * width)
        batch.seed = self.seed
        batch.step = self.steps
        batch.bounds = True
        if batch.x.indptr != NULL:
            batch.x.room, batch.x.capacity = self.room, self.capacity
        rule.kind = isa.FBP_STORE
        if batch.rows == 0:
            self.engine.plan_rest(self.memory)
        else:
            team = fbp_take_team(self.n_threads)
            self.engine.plan_step(self.memory, batch, &rule, self.n_threads, team, &result)
            fbp_give_team(team)
        if result.outcome > isa.FBP_NOT_FINITE:
            self.fail(result.outcome, batch.rows)
        return self.update_together(
            &result, own, share, rows if batch.weights == NULL else 0, deadline, loss)

    cdef isa.fbp_outcome update_together(self, isa.fbp_result *result, double own, double share,
                                         double rows, double deadline,
                                         double *loss) noexcept nogil:
        """The rest of a step, whose gradients this rank keeps: of the sum over its rows, of weight
        `own`, divided by `share`.  All ranks' rows weigh `rows`; 0: what they say together."""
        cdef isa.fbp_rule rule = self.rule
        cdef double width = 1 if self.per_row else self.n_out, over, bound, shrunk
        cdef isa.fbp_team *team
        self.overflowed = -1
        self.to_blame = not isfinite(result.loss)
        self.say(LOSS, result.loss)
        self.say(CORRECT, result.correct)
        self.say(WEIGHT, own)
        self.say(BOUND, result.bound)
        self.say(OVER, fbp_seconds() >= deadline)
        self.exchange()
        self.time_over = self.heard(OVER) > 0
        self.correct = self.heard(CORRECT)
        if self.heard(FAILED) > 0 or self.failure is not None:
            return isa.FBP_LEFT
        over = rows if rows > 0 else self.heard(WEIGHT)
        if over == 0:
            loss[0] = 0
            return isa.FBP_DONE
        loss[0] = self.heard(LOSS) / (over * width) * self.loss_scale
        if self.l2 > 0:
            loss[0] += 0.5 * self.l2 * self.engine.plan_weight_square(self.memory) / over
        if not isfinite(loss[0]):
            return isa.FBP_NOT_FINITE
        self.set_step(&rule, over)
        rule.clip_scale = share / over
        bound = self.heard(BOUND) * rule.clip_scale
        if self.clip_norm > 0:
            bound = self.engine.plan_gradient_norm(self.memory) * rule.clip_scale
            shrunk = min(1.0, self.clip_norm / (bound + 1e-6))
            rule.clip_scale *= shrunk
            bound *= shrunk
            if not isfinite(bound):
                self.to_blame = True
                return isa.FBP_NOT_FINITE
        team = fbp_take_team(self.n_threads)
        self.engine.plan_apply(self.memory, &rule, bound, self.n_threads, team, result)
        fbp_give_team(team)
        if result.outcome == isa.FBP_NO_MEMORY:  # said where the ranks meet next
            self.fail(result.outcome, 0)
            return isa.FBP_DONE
        self.to_blame = result.outcome != isa.FBP_DONE
        self.note(result, True)
        return result.outcome

    cdef void fail(self, isa.fbp_outcome outcome, idx n_rows) noexcept with gil:
        try:
            self.raise_for(outcome, 0, n_rows)
        except BaseException as error:
            self.failure = error

    cdef void exchange(self) noexcept with gil:
        """Sum the gradients and the words behind them over all ranks, unless this one fails."""
        try:
            self.look()
            self.ranks.look()
        except BaseException as error:  # Ctrl-C
            self.failure = error
        self.say(FAILED, self.failure is not None)
        compiled = self.ranks.compiled
        # Made anew each time: an array that the plan held would hold the plan for good.
        shared = self.view_of(GRADIENTS)
        try:
            if compiled is None or self.ranks.lost:
                self.ranks.allreduce(shared)
            else:
                self.reduce_by(compiled, shared)
        except BaseException as error:
            self.failure = self.failure or error

    cdef object reduce_by(self, compiled, shared):
        try:
            compiled(shared)
        except BaseException as broken:
            self.ranks.lose(broken)

    cdef bint average(self, double weight, bint over) noexcept with gil:
        """Average the parameters over all ranks, of which this one trained on so much weight;
        whether training goes on."""
        cdef unsigned long before = self.looking
        try:
            self.look()
            self.looking = <unsigned long> PyThread_get_thread_ident()  # the block is between steps
            go_on = self.ranks.average(self, weight, over)
            self.stopped_by_loss = go_on is None
            self.time_over = bool(go_on)
        except BaseException as error:
            self.failure = error
        self.looking = before
        return self.failure is None

    cdef int left(self, isa.fbp_outcome outcome, double loss, idx n_rows) except -1:
        """Part from the other ranks, which raises, after a step that updated nothing."""
        failure, self.failure = self.failure, None
        if outcome == isa.FBP_NOT_FINITE and self.to_blame:
            failure = self.diverged(loss, self.engine.plan_first_non_finite(self.memory, n_rows))
        self.ranks.part(failure)
        return 0

    def leave(self, error):
        """Fail in the place of a step, for which the others wait; raises."""
        self.failure = error
        self.engine.plan_rest(self.memory)
        self.exchange()
        self.left(isa.FBP_LEFT, 0, 0)

    cdef double step_together(self, x, t) except? -1:
        """`step` with the other ranks, which wait for this one, whatever fails here."""
        cdef fbp_batch batch
        cdef tuple _kept
        cdef double loss = NAN
        cdef isa.fbp_outcome outcome
        # In Python's code a signal may come before or behind a call that the others make.
        cdef bint deferred = self.drops or self.ranks.compiled is None
        self.require_idle()
        self.ranks.parted = self.ranks.lost
        if deferred:
            self.ranks.defer()
        try:
            self.require_loss()
            self.look_at_changes()
            _kept = self.take(&batch, x, t, None, self.batch_size)
            self.begin_on(&batch)
        except BaseException as error:
            self.failure, batch = self.failure or error, NO_ROWS
            self.busy = True
        try:
            if self.drops:
                batch.first_row = self.place_of(batch.rows)
            with nogil:
                outcome = self.step_of_ranks(&batch, 0, INFINITY, &loss)
            self.end()
            if outcome != isa.FBP_DONE:
                self.left(outcome, loss, batch.rows)
        finally:
            if deferred:
                self.ranks.listen()
                self.ranks.look()
        return loss

    cdef idx place_of(self, idx rows):
        """The place of this rank's first row among all ranks' rows of a step."""
        try:
            return self.ranks.place_of(rows)
        except BaseException as error:
            self.failure = self.failure or error
        return 0

    cdef void note(self, const isa.fbp_result *result, bint update) noexcept nogil:
        self.overflowed = result.layer
        if update and result.outcome == isa.FBP_DONE:
            self.steps += 1
            self.changes += 1
            if self.averages_at != NULL:
                self.go_on_averaging()

    def step(self, x, t):
        """One training step on the rows x with targets t; returns their mean loss.

        Parameters
        ----------
        x : array_like
            (n_samples, n_in), at most `batch_size` rows.
        t : array_like
            Targets as the loss takes them.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            For rows that do not fit; nothing has changed.
        FloatingPointError
            For a loss that is not finite, or an update that would not be; the weights, the
            optimiser's states and the running statistics are those before the step.
        RuntimeError
            When another thread is training.
        """
        if self.ranks is not None:
            return self.step_together(x, t)
        self.require_loss()
        self.look_at_changes()
        cdef fbp_batch batch
        cdef tuple _kept = self.take(&batch, x, t, None, self.batch_size)
        cdef double loss
        cdef isa.fbp_outcome outcome
        self.begin_on(&batch)
        if self.brief:
            outcome = self.step_batch(&batch, True, &loss)
        else:
            with nogil:
                outcome = self.step_batch(&batch, True, &loss)
        self.end()
        if outcome != isa.FBP_DONE:
            self.raise_for(outcome, loss, batch.rows)
        return loss

    def gradient(self, x, t, weights=None):
        """The mean loss of the rows; its gradients are left in the block for `read`."""
        self.require_loss()
        cdef fbp_batch batch
        cdef tuple _kept = self.take(&batch, x, t, weights, self.batch_size)
        cdef double loss
        cdef isa.fbp_outcome outcome
        if not self.keep_gradients:
            raise ValueError("gradient expects a plan that keeps gradients, as with "
                             "clip_norm; got one that does not.")
        self.begin_on(&batch)
        with nogil:
            outcome = self.step_batch(&batch, False, &loss)
        self.end()
        if outcome > isa.FBP_NOT_FINITE:  # a loss that is not finite is its caller's
            self.raise_for(outcome, loss, batch.rows)
        return loss

    def epoch(self, x, t, weights, const int64_t[::1] order not None, double[::1] losses not None,
              double[::1] reached=None, const double[::1] lrs=None, double seconds=INFINITY,
              idx batch_size=0, const int64_t[:, ::1] parts=None):
        """Steps over the rows order[position:], `batch_size` at a time, the last one shorter.

        Parameters
        ----------
        x, t, weights
            All rows; weights may be None.
        order : (n,) int64
            Numbers of the rows.
        losses : (ceil(n / batch_size),)
            OUT: each batch's mean loss.
        reached : (4,) float64 or None
            IN, OUT: the position and the sums to go on from, as they are returned; they hold
            after Ctrl-C, too.  None begins at 0.
        lrs : like losses, or None
            Learning rate of each step.
        seconds : float
            Time after which no further step begins.
        batch_size : int
            Rows of a step, at most the plan's; 0 for that.
        parts : (n_batches, 5) int64, where several ranks train
            Of each batch: this rank's rows, from and to in `order`, the place of the first among
            all ranks' rows of the batch, how many these are, and the position behind it, which
            grows from batch to batch, also where one has no rows.  Positions, sums and losses are
            then those of all ranks.

        Returns
        -------
        position, loss, correct, weight : int, float, float, float
            Where it stopped in `order` (its end; or before a batch whose loss is not finite, see
            `stopped_by_loss`; or where the time was over), and the sums of loss times weight, of
            elements classified rightly, of weights.
        """
        self.require_loss()
        self.look_at_changes()
        cdef fbp_batch batch
        cdef tuple _kept = self.take(&batch, x, t, weights, 1 << 62)
        cdef idx n = order.shape[0], position, k, i
        cdef idx most = batch_size if batch_size else self.batch_size
        cdef double loss, last_look, deadline, now, weight
        cdef isa.fbp_outcome outcome = isa.FBP_DONE
        cdef double[4] begun = [0, 0, 0, 0]
        if self.ranks is not None:
            return self.epoch_of_ranks(&batch, order, losses, reached, lrs, seconds, parts)
        if reached is None:
            reached = begun
        require(reached.shape[0] == 4 and 0 <= reached[0] <= n,
                "reached expects a position in order, and three sums")
        for i in range(n):
            if not 0 <= order[i] < batch.x.n_rows:
                raise ValueError(
                    f"order expects row numbers below {batch.x.n_rows}; got {order[i]}.")
        if not 0 < most <= self.batch_size:
            raise ValueError(f"batch_size expects 1..{self.batch_size}; got {most}.")
        if losses.shape[0] * most < n or lrs is not None and lrs.shape[0] * most < n:
            raise ValueError("losses and lrs expect a place for each batch.")
        position = <idx> reached[0]
        k = position // most
        if batch.x.indptr != NULL:
            self.begin_with(_most_entries(&batch.x, order, position, most))
        else:
            self.begin()
        self.stopped_by_loss = False
        try:
            with nogil:
                last_look = fbp_seconds()
                deadline = last_look + seconds
                while position < n and last_look < deadline:
                    batch.rows = min(most, n - position)
                    batch.x.rows = &order[position]
                    batch.x.n_numbers = n - position
                    if lrs is not None:
                        self.rule.lr = lrs[k]
                    outcome = self.step_batch(&batch, True, &loss)
                    losses[k] = loss
                    if outcome != isa.FBP_DONE:
                        self.stopped_by_loss = True
                        break
                    weight = self.weigh(&batch)
                    position += batch.rows
                    k += 1
                    reached[0] = position
                    reached[1] += loss * weight
                    reached[2] += self.correct
                    reached[3] += weight
                    now = fbp_seconds()
                    if now - last_look > SECONDS_BETWEEN_LOOKS or now >= deadline:
                        last_look = now
                        with gil:
                            self.look()
        finally:
            self.end()
        if outcome > isa.FBP_NOT_FINITE:
            self.raise_for(outcome, loss, batch.rows)
        return position, reached[1], reached[2], reached[3]

    cdef tuple epoch_of_ranks(self, fbp_batch *batch, const int64_t[::1] order, double[::1] losses,
                              double[::1] reached, const double[::1] lrs, double seconds,
                              const int64_t[:, ::1] parts):
        """`epoch`, whose steps all ranks make together: up to the last of `parts`."""
        cdef idx n = 0, k = 0, i, position, alone = 0
        cdef double loss = 0, deadline = fbp_seconds() + seconds, weight = 0
        cdef bint averages = self.average_every > 1, over = False
        cdef isa.fbp_outcome outcome = isa.FBP_DONE
        require(parts is not None and parts.shape[1] == 5 and reached is not None
                and reached.shape[0] == 4 and losses.shape[0] >= parts.shape[0]
                and (lrs is None or lrs.shape[0] >= parts.shape[0]),
                "an epoch of several ranks expects parts, reached, and a place for each batch")
        for i in range(order.shape[0]):
            require(0 <= order[i] < batch.x.n_rows, "order expects numbers of rows", "others")
        for i in range(parts.shape[0]):
            require(0 <= parts[i, 0] <= parts[i, 1] <= order.shape[0] and parts[i, 2] >= 0
                    and parts[i, 1] - parts[i, 0] <= min(self.batch_size, parts[i, 3])
                    and parts[i, 4] > n,
                    "parts expect rows of the order, at most batch_size of them", "others")
            n = parts[i, 4]
            if n <= <idx> reached[0]:
                k = i + 1
        position = <idx> reached[0]
        self.failure = None
        self.time_over = False
        if batch.x.indptr != NULL:
            self.begin_with(_most_entries_of_parts(&batch.x, order, parts))
        else:
            self.begin()
        self.stopped_by_loss = False
        try:
            self.time_over = self.ranks.enter(seconds <= 0)
            with nogil:
                while position < n and not self.time_over and outcome == isa.FBP_DONE:
                    batch.rows = parts[k, 1] - parts[k, 0]
                    batch.x.rows = &order[parts[k, 0]] if batch.rows > 0 else NULL
                    batch.x.n_numbers = order.shape[0] - parts[k, 0]
                    batch.first_row = parts[k, 2]
                    if lrs is not None:
                        self.rule.lr = lrs[k]
                    if averages:
                        outcome = self.step_alone(batch, &loss)
                        weight += self.weigh(batch)
                        alone += 1
                        over = over or fbp_seconds() >= deadline
                        self.to_blame = outcome == isa.FBP_NOT_FINITE
                        if self.to_blame:
                            weight = NAN
                        if outcome == isa.FBP_NOT_FINITE or outcome == isa.FBP_DONE and (
                                alone == self.average_every or parts[k, 4] == n):
                            if not self.average(weight, over):
                                outcome = isa.FBP_LEFT
                            elif self.stopped_by_loss:
                                outcome = isa.FBP_NOT_FINITE
                            alone, weight = 0, 0
                    else:
                        outcome = self.step_of_ranks(batch, parts[k, 3], deadline, &loss)
                    losses[k] = loss
                    if outcome == isa.FBP_DONE:
                        position = parts[k, 4]
                        self.sum_up(batch, loss, position, parts[k, 3], averages, reached)
                        k += 1
        finally:
            self.end()
        self.stopped_by_loss = outcome == isa.FBP_NOT_FINITE
        if outcome == isa.FBP_LEFT or self.failure is not None:
            self.left(isa.FBP_LEFT, loss, batch.rows)
        return position, reached[1], reached[2], reached[3]

    cdef isa.fbp_outcome step_alone(self, fbp_batch *batch, double *loss) noexcept nogil:
        """A step of this rank's rows of a batch, between two averages."""
        cdef isa.fbp_outcome outcome
        loss[0] = 0
        self.correct = 0
        if self.weigh(batch) == 0:  # the others' steps count
            self.steps += 1
            self.changes += 1
            return isa.FBP_DONE
        outcome = self.step_batch(batch, True, loss)
        if outcome > isa.FBP_NOT_FINITE:
            self.fail(outcome, batch.rows)
            outcome = isa.FBP_LEFT
        return outcome

    cdef void sum_up(self, fbp_batch *batch, double loss, idx position, idx rows, bint averages,
                     double[::1] reached) noexcept nogil:
        """Add a batch to `reached`: of all ranks; of this one where they average."""
        cdef double weight = rows
        if averages:
            weight = self.weigh(batch)
        elif batch.weights != NULL:
            weight = self.heard(WEIGHT)
        reached[0] = position
        reached[1] += loss * weight
        reached[2] += self.correct
        reached[3] += weight

    @cython.critical_section
    def first_non_finite(self, idx n_rows):
        """The first layer with a non-finite output in the last step, or -1."""
        self.require_idle()
        require(0 <= n_rows <= self.batch_size, "Plan expects at most batch_size rows", "another")
        return self.engine.plan_first_non_finite(self.memory, n_rows)

    def outputs(self, x, out):
        """The outputs of the rows x in training mode, into `out`, for a loss of one's own."""
        self.look_at_changes()
        cdef fbp_batch batch
        cdef tuple _kept = self.take(&batch, x, None, None, self.batch_size)
        require(self.is_own(out) and cnp.PyArray_ISWRITEABLE(out) and self.are_outputs(out)
                and cnp.PyArray_DIM(out, 0) == batch.x.n_rows,
                "outputs expects out (rows, n_out) of the plan's dtype")
        self.begin_on(&batch)
        batch.seed = self.seed
        batch.step = self.steps
        batch.x.room, batch.x.capacity = self.room, self.capacity
        cdef int outcome = self.engine.plan_outputs(
            self.memory, &batch, cnp.PyArray_DATA(out))
        self.rows_out = batch.x.n_rows if outcome == isa.FBP_DONE else 0
        self.end()
        self.raise_for(<isa.fbp_outcome> outcome, 0, batch.x.n_rows)

    cdef bint are_outputs(self, array) noexcept:
        return cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 1) == self.n_out

    def backward(self, dout, weight=None, update=True, loss=0.0, over=False):
        """The rest of the step after `outputs`, once, from the loss's gradient by them.

        `weight` is what the penalty `l2` is divided by, None for the number of rows.  Without
        `update` the gradients are left in the block for `read`.  FloatingPointError where the
        update would not be finite: nothing is updated then.

        Where several ranks train, dout and `loss` are sums over this rank's rows, of that weight;
        dout is None where it has none, and `over` is whether its time is.  Returns the mean loss of
        all ranks' rows then.
        """
        cdef fbp_batch batch = NO_ROWS
        cdef isa.fbp_rule rule = self.rule
        cdef isa.fbp_result result
        cdef bint together = update and self.ranks is not None
        cdef double mean = 0
        memset(&result, 0, sizeof(result))
        require(dout is None and together or self.rows_out > 0 and self.is_own(dout)
                and self.are_outputs(dout) and cnp.PyArray_DIM(dout, 0) == self.rows_out,
                "backward expects dout (rows of the last outputs, n_out) of the plan's dtype, once "
                "for each outputs")
        if not (update or self.keep_gradients):
            raise ValueError("backward without update expects a plan that keeps gradients; got one "
                             "without.")
        batch.rows = 0 if dout is None else cnp.PyArray_DIM(dout, 0)
        self.set_step(&rule, batch.rows if weight is None else weight)
        if together or not update:
            rule.kind = isa.FBP_STORE
        self.begin()
        batch.scale = 1
        batch.seed = self.seed
        batch.step = self.steps
        batch.bounds = together
        self.rows_out = 0  # what the activations kept is used up
        if dout is None:
            self.engine.plan_rest(self.memory)
        else:
            self.engine.plan_backward(
                self.memory, &batch, cnp.PyArray_DATA(dout), &rule, &result)
        if together:
            self.failure = None
            result.loss = loss / self.loss_scale
            result.outcome = self.update_together(
                &result, weight, 1, 0, -INFINITY if over else INFINITY, &mean)
            self.end()
            if result.outcome != isa.FBP_DONE:
                self.left(result.outcome, mean, batch.rows)
            return mean
        if not update:
            self.engine.plan_apply(self.memory, &rule, 0, 1, NULL, &result)
        self.note(&result, update)
        self.end()
        if update:
            self.raise_for(result.outcome, 0, batch.rows)

    @cython.critical_section
    def weight_square(self):
        """The sum of the squares of all W."""
        self.require_idle()
        return self.engine.plan_weight_square(self.memory)


cdef void _mix(real *mean, const real *of, real share, idx n) noexcept nogil:
    """mean += share (of - mean); a share of 1 gives what it is of, to the bit."""
    cdef idx i
    if share == 1:
        memcpy(mean, of, n * sizeof(real))
        return
    for i in range(n):
        mean[i] += share * (of[i] - mean[i])


cdef bint _targets_hold(isa.fbp_loss_kind loss, const real *t, idx rows, idx n_out) noexcept:
    """Rows of probabilities for a softmax, what the loss takes for others."""
    cdef idx r, j
    cdef double sum
    if loss != isa.FBP_SOFTMAX:
        if isa.fbp_takes_target(loss, NAN):  # and so any
            return True
        for j in range(rows * n_out):
            if not isa.fbp_takes_target(loss, t[j]):
                return False
        return True
    for r in range(rows):
        sum = 0
        for j in range(n_out):
            if not 0 <= t[r * n_out + j] <= 1:
                return False
            sum += t[r * n_out + j]
        if not -1e-5 <= sum - 1 <= 1e-5:
            return False
    return True


cdef void run_parts(isa.fbp_parts parts, void *work, int n_threads) noexcept nogil:
    """The parts 0 .. n_threads - 1 of some work, in as many threads as can be had."""
    cdef isa.fbp_team *team = fbp_take_team(n_threads)
    if team == NULL:
        parts(work, 0, n_threads)
    else:
        team.run(team, parts, work, n_threads)
    fbp_give_team(team)


def max_threads():
    """The threads OpenMP would take: OMP_NUM_THREADS, or all processors (or a large number)."""
    return fbp_max_threads()


fbp_survive_forks()  # last: an import that failed may be tried again, this may not
