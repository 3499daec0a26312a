#!/usr/bin/env bash
# Builds a copy of the tree with address and undefined-behaviour sanitizer and runs pytest there;
# fails if a test fails or any process has a report:
#
#     tests/sanitized.sh                                   # the whole suite
#     tests/sanitized.sh -n 2                              # ... by two workers: 10 minutes
#     tests/sanitized.sh tests/test_kernels.py -k relu
#
# The copy is built in the folder FASTBP_SANITIZED, which is kept and not built again, or else in
# a temporary one.  Needs GCC's sanitizers, and setuptools, Cython and NumPy.
set -euo pipefail
cd "$(dirname "$0")/.."

# Tests that cannot hold here, and why.
not_here=(
    # How quick the import is, is no question here.
    tests/test_house.py::test_import_is_about_as_quick_as_numpys
    # The kernels' tests again under the other sets: `FASTBP_ISA=v3 tests/sanitized.sh
    # tests/test_kernels.py` does that, and `make -C tests/native asan` for all.
    tests/test_isa.py::test_kernel_tests_pass_under
    # What is freed is kept for a while by the sanitizer, so that memory grows by design.
    tests/test_long_runs.py::test_many_calls_of_partial_fit_keep_their_memory
    tests/test_processes.py::test_fits_and_errors_leak_no_memory
)

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
# The files keep their times, so that only what changed is built again; Cython's C comes along.
tar -c --exclude=./.git --exclude='./build/[!c]*' --exclude='*.so' --exclude=./.venv . |
    tar -x -C "$folder/main"
if [[ -d ../shared ]]; then # the tests' data, where a checkout has them beside it
    ln -sfn "$(realpath ../shared)" "$folder/shared"
fi

cd "$folder/main"
FASTBP_SANITIZE=address,undefined python3 setup.py -q build_ext --inplace
# The reports of every process, also of those that tests start and of pytest's workers, go into
# files.  Too much memory is to be a MemoryError here too; the interpreter's leaks are not ours.
report=$folder/report
rm -f "$report".*
status=0
LD_PRELOAD="${libraries[0]}:${libraries[1]}" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:log_path=$report \
    UBSAN_OPTIONS=print_stacktrace=1:log_path=$report \
    python3 -m pytest -p no:cacheprovider -m "not slow" "${not_here[@]/#/--deselect=}" "$@" |
    tee "$folder/output" || status=$?

found=0
for file in "$report".*; do
    # A process that was refused memory has a file too, with a warning.
    if [[ -e $file ]] && grep -qE 'ERROR: |runtime error: ' "$file"; then
        found=$((found + 1))
        cat "$file"
    fi
done
echo "sanitized: $(tail -n 1 "$folder/output"); $found reports"
((status == 0 && found == 0))
