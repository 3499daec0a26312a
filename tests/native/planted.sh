#!/usr/bin/env bash
# Plants a read out of bounds, a signed overflow and a race in copies of the kernels, one at a
# time, and fails unless the sanitizer meant for it reports each.  Needs `make asan` before.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
kernels=$(realpath ../../fastbp/_kernels)

# plant NAME FILE SED-EXPRESSION: the next build has this fault
plant() {
    mkdir "$folder/$1"
    (cd "$kernels" && cp --parents ./*.[ch] ./*/*.h "$folder/$1")
    sed -i "$3" "$folder/$1/$2"
    if cmp -s "$kernels/$2" "$folder/$1/$2"; then
        echo "planted: $2 no longer has the line that \"$3\" changes" >&2
        exit 1
    fi
    mkdir -p "$folder/$1/out/asan" # the other sets' objects may stay as they are
    cp ../../build/native/asan/*.o "$folder/$1/out/asan"
    rm -f "$folder/$1/out/asan/"{v3,plain}.o
}

# caught NAME TARGET REPORT: `make TARGET` fails, with this report
caught() {
    if make -s "$2" KERNELS="$folder/$1" OUT="$folder/$1/out" >"$folder/$1/log" 2>&1; then
        echo "planted: a fault was not caught: $1" >&2
        exit 1
    fi
    if ! grep -m 1 "$3" "$folder/$1/log"; then
        echo "planted: make $2 failed without \"$3\":" >&2
        tail -n 20 "$folder/$1/log" >&2
        exit 1
    fi
    grep -m 1 "#0 0x.* in [a-z_]*_[fd]\b" "$folder/$1/log" || true
}

plant read arithmetic/activations.h 's/ELEMENTWISE out\[i\] = FN(name##_value)(x\[i\]/ELEMENTWISE out[i] = FN(name##_value)(x[i + 1]/'
caught read asan "heap-buffer-overflow"

plant overflow arithmetic/dropout.h 's/h = (h ^ (h >> 16)) \* 0x7feb352du;/h = (uint32_t)((int32_t)(h ^ (h >> 16)) * 0x7feb352d);/'
caught overflow asan "signed integer overflow"

plant race training/team.h '/^static int fbp_is_done/,/^}/s/SEQ_CST/RELAXED/'
caught race tsan "data race"
echo "planted: a read out of bounds, a signed overflow and a race are caught"
