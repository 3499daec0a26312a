#!/usr/bin/env bash
# The C part under other compilers and C libraries: compilers.sh FOLDER.
# Runs the self-test built by GCC, Clang, musl-gcc and Clang for Windows (under Wine), and compiles
# for Microsoft's C library (as clang-cl) and for macOS, whose headers are stood in for.
# What lacks a tool is told as "not run", and is no failure.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
kernels=$(realpath "$here/../../fastbp/_kernels")
mkdir -p "$1" && cd "$1" || exit 1
export WINEPREFIX=$PWD/wine WINEDEBUG=-all
flags=(-Wall -Werror -Wno-unknown-pragmas -std=c11 -O2 -ffp-contract=fast -fno-math-errno
    -fno-trapping-math -I"$kernels")

x86() { # the options of each instruction set, as setup.py has them
    case $1 in
    v2) echo -march=x86-64-v2 -DFBP_VECTOR_BYTES=16 -DFBP_MAX_ROWS=6 ;;
    v3) echo -march=x86-64-v3 -DFBP_VECTOR_BYTES=32 -DFBP_MAX_ROWS=6 ;;
    v4) echo -march=x86-64-v4 -mprefer-vector-width=512 -DFBP_VECTOR_BYTES=64 -DFBP_MAX_ROWS=14 ;;
    esac
}

declare -A count=([ok]=0 [compiles]=0 [not run]=0 [FAILED]=0)

report() { # verdict, name, what was said
    count[$1]=$((count[$1] + 1))
    printf '%-8s %-14s %s\n' "$@"
}

self_test() { # name, program's start, linker, compiler...
    local name=$1 start=$2 linker=$3 said
    shift 3
    command -v "$linker" >/dev/null || { report "not run" "$name" "no $linker"; return; }
    command -v "$1" >/dev/null || { report "not run" "$name" "no $1"; return; }
    for isa in v2 v3 v4; do
        # shellcheck disable=SC2046 # words
        "$@" "${flags[@]}" $(x86 $isa) -DFBP_ISA=$isa -c "$kernels/kernels.c" -o "$name-$isa.o" ||
            { report FAILED "$name" "$isa does not compile"; return; }
    done
    if ! "$@" "${flags[@]}" -c "$here/selftest.c" -o "$name.o" ||
        ! "$linker" "$name.o" "$name"-v?.o -lm -o "$name.exe"; then
        report FAILED "$name" "does not link"
        return
    fi
    [[ -z $start ]] || command -v "$start" >/dev/null ||
        { report "not run" "$name" "built, but no $start"; return; }
    local verdict=ok
    said=$($start "./$name.exe") || verdict=FAILED
    report "$verdict" "$name" "${said//[$'\r\n']/ }"
}

compiles() { # name, compiler and its flags...
    local name=$1
    shift
    command -v "$1" >/dev/null || { report "not run" "$name" "no $1"; return; }
    if "$@"; then
        report compiles "$name" ""
    else
        report FAILED "$name" "does not compile"
    fi
}

self_test gcc "" gcc gcc
self_test clang "" clang clang
self_test musl "" musl-gcc musl-gcc
self_test windows wine x86_64-w64-mingw32-gcc clang --target=x86_64-w64-windows-gnu

# Headers that stand in for those of systems that are not here: what the kernels use of them.
mkdir -p headers
cat >headers/math.h <<'C'
double sqrt(double), exp(double), log(double), fabs(double), tanh(double);
double copysign(double, double), erf(double), erfc(double), pow(double, double);
float sqrtf(float), expf(float), logf(float), fabsf(float), copysignf(float, float);
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define isfinite(x) __builtin_isfinite(x)
#define isnan(x) __builtin_isnan(x)
C
cat >headers/stdlib.h <<'C'
#include <stddef.h>
void free(void *), *malloc(size_t), *aligned_alloc(size_t, size_t);
C
cat >headers/malloc.h <<'C'
#include <stddef.h>
void _aligned_free(void *), *_aligned_malloc(size_t, size_t);
C
cat >headers/string.h <<'C'
#include <stddef.h>
void *memcpy(void *, const void *, size_t), *memset(void *, int, size_t);
C
for isa in v2 v3 v4; do
    # shellcheck disable=SC2046 # words
    compiles "clang-cl-$isa" clang --driver-mode=cl --target=x86_64-pc-windows-msvc /nologo /O2 /W3 \
        /MD $(printf '/clang:%s ' "${flags[@]}" $(x86 $isa) -nostdlibinc "-isystem$PWD/headers") \
        -DFBP_ISA=$isa /c "/Fo$PWD/clang-cl-$isa.obj" "/Tc$kernels/kernels.c"
done
compiles macos-arm64 clang --target=arm64-apple-macos11 -nostdlibinc -isystem headers "${flags[@]}" \
    -DFBP_ISA=plain -DFBP_VECTOR_BYTES=16 -DFBP_MAX_ROWS=14 -c "$kernels/kernels.c" -o macos.o
echo "self-test right with ${count[ok]} compilers, ${count[compiles]} more compile," \
    "${count[not run]} not run, ${count[FAILED]} failed"
((count[FAILED] == 0))
