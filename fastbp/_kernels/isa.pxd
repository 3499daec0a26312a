from libc.stdint cimport int64_t, uint64_t

cdef extern from "kernels.h" nogil:
    ctypedef Py_ssize_t idx

    ctypedef int fbp_layer_kind
    enum:
        FBP_RELU, FBP_SIGMOID, FBP_TANH, FBP_N_ACTIVATIONS, FBP_AFFINE, FBP_DROPOUT, FBP_BATCH_NORM
        FBP_EMBEDDING, FBP_OUTPUT

    ctypedef struct fbp_activation_row:
        const char *name
        int reads, numbers
    const fbp_activation_row *fbp_activations

    ctypedef enum fbp_loss_kind:
        FBP_NO_LOSS, FBP_SOFTMAX, FBP_SIGMOID_LOSS, FBP_SQUARED, FBP_N_LOSSES
        FBP_GAUSSIAN, FBP_PARTS

    ctypedef struct fbp_loss_row:
        const char *name
        int keeps_y, numbers
    const fbp_loss_row *fbp_losses
    bint fbp_takes_target(int kind, double t)

    ctypedef enum fbp_rule_kind:
        FBP_SGD, FBP_N_RULES, FBP_STORE
    enum:
        FBP_MOST_STATES, FBP_N_NUMBERS

    ctypedef struct fbp_rule_row:
        const char *name
        int states
        const char *numbers
    const fbp_rule_row *fbp_rules

    ctypedef struct fbp_number:
        const char *name
        size_t at
    const fbp_number *fbp_numbers

    ctypedef enum fbp_type:
        FBP_FLOAT32, FBP_FLOAT64, FBP_UINT8

    ctypedef struct fbp_column:
        idx start, size, width, skip

    ctypedef struct fbp_layer:
        fbp_layer_kind kind
        idx n_in, n_out
        double a, b
        int sample_variance
        int no_bias
        const fbp_column *columns
        idx n_columns, n_weights

    ctypedef struct fbp_rule:
        fbp_rule_kind kind
        int decoupled
        double lr, beta_2, eps, weight_decay, bias_decay, clip_value, clip_scale
        int64_t step
        int lenient

    ctypedef struct fbp_loss_part:
        fbp_loss_kind kind
        double number
        idx width
        double factor

    ctypedef struct fbp_spec:
        const fbp_layer *layers
        idx n_layers, batch_size
        fbp_loss_kind loss
        double loss_number
        const fbp_loss_part *loss_parts
        idx n_loss_parts
        int clip_loss
        int n_states, keep_gradients

    ctypedef struct fbp_entry:
        idx row, column
        double value

    ctypedef struct fbp_source:
        const void *data
        fbp_type type
        idx stride
        idx size
        idx n_rows
        idx n_numbers
        const int64_t *rows
        const int64_t *indptr
        const int64_t *indices
        fbp_entry *room
        idx capacity

    ctypedef struct fbp_batch:
        fbp_source x
        const int64_t *classes
        const void *t
        const void *weights
        idx rows
        double scale
        uint64_t seed, step
        idx first_row
        int bounds

    ctypedef enum fbp_outcome:
        FBP_DONE, FBP_NOT_FINITE, FBP_BAD_ROWS, FBP_NO_MEMORY, FBP_LEFT

    ctypedef struct fbp_result:
        double loss, correct, bound
        fbp_outcome outcome
        idx layer

    ctypedef void (*fbp_parts)(void *work, int first, int end) noexcept nogil

    ctypedef struct fbp_team:
        void (*run)(fbp_team *team, fbp_parts parts, void *work, int n_parts) noexcept nogil

    ctypedef struct fbp_engine:
        size_t (*plan_layout)(const fbp_spec *spec, int n_parts, void *plan) noexcept nogil
        void (*plan_write)(void *plan, idx layer, int part, const void *W,
                           const void *b) noexcept nogil
        void (*plan_read)(const void *plan, idx layer, int part, void *W,
                          void *b) noexcept nogil
        void (*plan_step)(void *plan, const fbp_batch *batch, const fbp_rule *rule,
                          int n_parts, fbp_team *team, fbp_result *result) noexcept nogil
        int (*plan_outputs)(void *plan, const fbp_batch *batch, void *outputs) noexcept nogil
        void (*plan_backward)(void *plan, const fbp_batch *batch, const void *dout,
                              const fbp_rule *rule, fbp_result *result) noexcept nogil
        double (*plan_gradient_norm)(const void *plan) noexcept nogil
        double (*plan_weight_square)(const void *plan) noexcept nogil
        void (*plan_apply)(void *plan, const fbp_rule *rule, double gradient, int n_parts,
                           fbp_team *team, fbp_result *result) noexcept nogil
        void *(*plan_flat)(void *plan, int part, idx *n) noexcept nogil
        void (*plan_rest)(void *plan) noexcept nogil
        void (*plan_adjust)(void *plan, idx layer, double a, double b) noexcept nogil
        void (*plan_adjust_loss)(void *plan, double number) noexcept nogil
        idx (*plan_first_non_finite)(const void *plan, idx rows) noexcept nogil

    ctypedef struct fbp_kernels:
        const char *name
        int vector_bytes, openmp
        fbp_engine engine[2]

cdef const fbp_kernels *active() noexcept nogil
