#!/usr/bin/env bash
# Builds a copy of the tree with address and undefined-behaviour sanitizer and runs pytest there:
#
#     tests/sanitized.sh tests/test_kernels.py -k relu
#
# The copy is built in the folder FASTBP_SANITIZED, which is kept and not built again, or else in
# a temporary one.  Needs GCC's sanitizers, and setuptools, Cython and NumPy.
set -euo pipefail
cd "$(dirname "$0")/.."

libraries=()
for name in libasan.so libubsan.so; do
    library=$("${CC:-gcc}" -print-file-name=$name) # without the library: its bare name
    if [[ $library != */* ]]; then
        echo "sanitized.sh expects the compiler's $name; ${CC:-gcc} has none." >&2
        exit 1
    fi
    libraries+=("$library")
done

folder=${FASTBP_SANITIZED:-$(mktemp -d)}
[[ -n ${FASTBP_SANITIZED:-} ]] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/main"
tar -c --exclude=./.git --exclude=./build --exclude='*.so' --exclude=./.venv . |
    tar -x -C "$folder/main" --keep-newer-files
if [[ -d ../shared ]]; then # the tests' data, where a checkout has them beside it
    ln -sfn "$(realpath ../shared)" "$folder/shared"
fi

cd "$folder/main"
FASTBP_SANITIZE=address,undefined python3 setup.py -q build_ext --inplace
export LD_PRELOAD="${libraries[0]}:${libraries[1]}"
# Too much memory is to be a MemoryError here too.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
# Without -s the reports would be swallowed.  How quick the import is, is no question here.
python3 -m pytest -s -p no:cacheprovider \
    --deselect tests/test_house.py::test_import_is_about_as_quick_as_numpys "$@"
