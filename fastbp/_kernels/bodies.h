/* The arithmetic for one element type: REAL of REAL_BYTES, its integer INT of the same width,
 * FN(name). */
#define IS_FLOAT (REAL_BYTES == 4)
#define LANES (FBP_VECTOR_BYTES / REAL_BYTES)
#define NR (2 * LANES) /* columns of a panel */

#include "arithmetic/vecmath.h"
#include "arithmetic/vector.h"
#include "arithmetic/tiles.h"
#include "arithmetic/gemm.h"
#include "arithmetic/thin.h"
#include "arithmetic/direct.h"

#include "arithmetic/activations.h"
#include "arithmetic/affine.h"
#include "arithmetic/embedding.h"
#include "arithmetic/dropout.h"
#include "arithmetic/losses.h"
#include "arithmetic/norm.h"
#include "arithmetic/optim.h"

#include "training/memory.h"
#include "training/finite.h"
#include "training/sparse.h"
#include "training/gather.h"
#include "training/rows.h"
#include "training/loss.h"
#include "training/update.h"
#include "training/embedding.h"
#include "training/step.h"

#undef IS_FLOAT
#undef LANES
#undef MAX_TAIL
#undef NR
