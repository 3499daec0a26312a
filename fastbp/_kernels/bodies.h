/* The arithmetic for one element type: REAL of REAL_BYTES, its integer INT of the same width,
 * FN(name). */
#define IS_FLOAT (REAL_BYTES == 4)
#define LANES (FBP_VECTOR_BYTES / REAL_BYTES)
#define NR (2 * LANES) /* columns of a panel */

#include "vecmath.h"
#include "vector.h"
#include "tiles.h"
#include "gemm.h"
#include "thin.h"
#include "direct.h"

#include "activations.h"
#include "affine.h"
#include "dropout.h"
#include "losses.h"
#include "norm.h"
#include "optim.h"

#include "engine_memory.h"
#include "engine_finite.h"
#include "engine_sparse.h"
#include "engine_gather.h"
#include "engine_rows.h"
#include "engine_loss.h"
#include "engine_update.h"
#include "engine.h"

#undef IS_FLOAT
#undef LANES
#undef MAX_TAIL
#undef NR
