/* What a training plan is made from; shared by the engine's C and its Cython. */
#ifndef FASTBP_PLAN_H
#define FASTBP_PLAN_H
#include <stddef.h>
#include <stdint.h>

#include "operations.h"

typedef ptrdiff_t idx;

/* A layer is an activation or one of these. */
enum { FBP_AFFINE = FBP_N_ACTIVATIONS, FBP_DROPOUT, FBP_BATCH_NORM, FBP_EMBEDDING };
typedef int fbp_layer_kind;

typedef enum { FBP_FLOAT32, FBP_FLOAT64, FBP_UINT8 } fbp_type;

/* A column of categories, whose outputs are a row of a table. */
typedef struct {
    idx start, size, width; /* where the table begins among all tables' numbers, its rows, a row's numbers */
    idx skip;               /* where the row begins that is not trained, or -1 */
} fbp_column;

typedef struct {
    fbp_layer_kind kind;
    idx n_in, n_out;
    /* The numbers of an activation; a: a dropout's ratio; of a batch normalisation eps and its
     * momentum: running = b running + (1 - b) new. */
    double a, b;
    int sample_variance; /* of a batch normalisation: its running variance is by n - 1, not n */
    int no_bias;  /* of an affine layer: its bias stays 0 */
    /* Of an embedding: its first columns, and the numbers of all its tables; the columns behind these
     * are outputs as they are. */
    const fbp_column *columns;
    idx n_columns, n_weights;
} fbp_layer;

/* An update rule with this step's numbers.  The decay of biases (and of a normalisation's
 * parameters) is separate, because front ends differ. */
typedef struct {
    fbp_rule_kind kind;
    int decoupled; /* the decay is lr decay p, beside the gradient and not in it */
    double lr, momentum, dampening, beta_1, beta_2, eps, lr_decay, momentum_decay;
    double weight_decay, bias_decay;
    double clip_value; /* 0: none */
    double clip_scale; /* factor of every gradient, from clipping by norm; 1: none */
    int64_t step;      /* 1, 2, ... */
    double rate, share, correction; /* of the step, as the rule's row has them */
    int lenient;       /* states may overflow, as scikit-learn's */
} fbp_rule;

/* The numbers that rows of rules name. */
typedef struct {
    const char *name;
    size_t at;
} fbp_number;
static const fbp_number fbp_numbers[] = {
    {"momentum", offsetof(fbp_rule, momentum)}, {"dampening", offsetof(fbp_rule, dampening)},
    {"beta_1", offsetof(fbp_rule, beta_1)},     {"beta_2", offsetof(fbp_rule, beta_2)},
    {"eps", offsetof(fbp_rule, eps)},           {"lr_decay", offsetof(fbp_rule, lr_decay)},
    {"momentum_decay", offsetof(fbp_rule, momentum_decay)},
};
enum { FBP_N_NUMBERS = sizeof(fbp_numbers) / sizeof(fbp_numbers[0]) };

/* A loss of the next `width` outputs, and its factor. */
typedef struct {
    fbp_loss_kind kind;
    double number;
    idx width;
    double factor;
} fbp_loss_part;

typedef struct {
    const fbp_layer *layers;
    idx n_layers, batch_size;
    fbp_loss_kind loss;
    double loss_number; /* the loss's own, as a Huber loss's delta; a softmax's smoothing of targets */
    const fbp_loss_part *loss_parts; /* of FBP_PARTS */
    idx n_loss_parts;
    int clip_loss; /* a cross-entropy's loss (not its gradient) by probabilities of at least eps */
    int n_states; /* arrays of the size of the parameters that the rule keeps */
    int keep_gradients;
} fbp_spec;

/* An element of a batch of CSR rows. */
typedef struct {
    idx row, column;
    double value;
} fbp_entry;

/* Rows of a matrix: row r is at data + rows[r] * stride elements (rows NULL: r).  With indptr,
 * CSR: row r's entries are data[indptr[r] .. indptr[r + 1]] at columns indices[..]. */
typedef struct {
    const void *data;
    fbp_type type;
    idx stride, size; /* size: elements in all */
    idx n_rows;       /* rows in all */
    idx n_numbers;    /* of rows: behind the batch's, those that the next ones take, or 0 */
    const int64_t *rows, *indptr, *indices;
    fbp_entry *room;  /* for a batch's entries, twice `capacity` */
    idx capacity;
} fbp_source;

typedef struct {
    fbp_source x;
    const int64_t *classes; /* by the rows of x's source, or */
    const void *t;          /* REAL, row-major (source rows, n_out) */
    const void *weights;    /* REAL, by the source's rows, or NULL */
    idx rows;
    double scale;           /* of the gradient: 1 / rows, 1 / (rows n_out), ... */
    uint64_t seed, step;    /* choose the dropout masks, */
    idx first_row;          /* ... by the rows' places: of the first, in a batch of several ranks */
    int bounds;             /* whether a step that keeps its gradients says what none is above */
} fbp_batch;

/* Why a step updated nothing; every number is the one before. */
typedef enum {
    FBP_DONE,
    FBP_NOT_FINITE, /* its loss, or what the update would have written */
    FBP_BAD_ROWS,   /* a row number, a class or a column of CSR is out of range */
    FBP_NO_MEMORY,
    FBP_LEFT /* this rank, or another, has failed elsewhere */
} fbp_outcome;

/* What a step saw: the loss summed over the rows, and the rows (for a sigmoid, the elements)
 * classified rightly; weighted, where there are weights. */
typedef struct {
    double loss, correct;
    double bound; /* what no element of the kept gradients is above, where it was asked for */
    fbp_outcome outcome;
    idx layer; /* the first whose parameters would not have been finite, or -1 */
} fbp_result;

/* Does the parts first .. end - 1 of a phase, of which together they may be done at less cost. */
typedef void (*fbp_parts)(void *work, int first, int end);
/* Runs the parts 0 .. n_parts - 1 of a phase, in any threads, order and company. */
typedef struct fbp_team {
    void (*run)(struct fbp_team *team, fbp_parts parts, void *work, int n_parts);
} fbp_team;
#endif
