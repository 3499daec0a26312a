#!/usr/bin/env bash
# Every check there is, in one command.  Each section runs to its end, then a table tells which
# passed, which failed, and which were not run and why.  The exit status is 1 if one failed.
#
#     tests/run_full.sh              everything: an hour and more
#     tests/run_full.sh lint isa     these sections
#
# It runs the working tree with `python3`, which needs the extras of '.[dev]', setuptools and
# Cython.  Sections whose tool, script or processor is missing are not run.
# shellcheck disable=SC2317  # the sections are called by their names
set -euo pipefail
cd "$(dirname "$0")/.."

SECTIONS=(build lint suite slow oldest isa native tsan aarch64 asan planted sanitized valgrind
    drawn fuzz machines long)
# What has to hold under each instruction set: the kernels, and one step.
ISA_TESTS=(tests/test_kernels.py tests/test_kernels_of_training.py tests/test_vecmath.py
    tests/test_engine.py)
# Valgrind is some forty times slower: every kernel, steps, tensors and optimisers, by their quickest
# tests, since `make -C tests/native valgrind` has every border.
VALGRIND_TESTS=(tests/test_kernels.py tests/test_kernels_of_training.py tests/test_engine.py
    tests/test_autograd.py tests/test_optim_tensors.py)
FOR_VALGRIND='held or only_touch or may_write_over or with_other_numbers or empty_axis or without_dx
    or no_elements or batch_norm_equals or normalisation_anywhere or mixed_in
    or clipped_steps or weighted_losses or smaller_batches or penalty_counts or in_place or views
    or reused or node_of or where_they_lie or share_one_state or loop_learns'

reason_file=$(mktemp)
trap 'rm -rf "$reason_file"' EXIT

# not_run WHY: ends a section that cannot be run here
not_run() {
    printf '%s' "$*" >"$reason_file"
    exit 77
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || not_run "$tool is not installed"
    done
}

pytest() { python3 -m pytest "$@"; }

section_build() { python3 setup.py -q build_ext --inplace; }

section_lint() {
    need ruff mypy cython-lint shellcheck
    ruff check .
    ruff format --check .
    mypy
    cython-lint fastbp/_kernels
    shellcheck .ci/run tests/*.sh tests/*/*.sh
}

section_suite() { pytest -m "not slow"; }

section_slow() {
    local status=0
    pytest -m slow --ignore=tests/test_long_runs.py || status=$?
    [[ $status != 5 ]] || not_run "no test is marked slow"
    return "$status"
}

section_isa() {
    local name
    for name in $(python3 -c "from fastbp._kernels import isa; print(*isa.usable())"); do
        echo "--- FASTBP_ISA=$name"
        FASTBP_ISA=$name pytest "${ISA_TESTS[@]}" -k "not pass_under"
    done
}

section_native() { need make cc && make -C tests/native native; }

section_tsan() { need make cc && make -C tests/native tsan; }

section_aarch64() { need make aarch64-linux-gnu-gcc qemu-aarch64 && make -C tests/native aarch64; }

section_asan() { need make cc && make -C tests/native asan; }

section_planted() { need make cc && make -C tests/native planted; }

section_sanitized() { need gcc && tests/sanitized.sh -n 2; }

section_valgrind() {
    need valgrind
    make -C tests/native valgrind
    python3 tests/memcheck.py "${VALGRIND_TESTS[@]}" -k "${FOR_VALGRIND//$'\n'/}"
}

section_drawn() { pytest tests/test_fuzz_*.py --hypothesis-profile=full -n "$(nproc)"; }

section_fuzz() {
    python3 -c "import atheris" 2>/dev/null || not_run "atheris is not installed"
    python3 tests/fuzz/fuzz_files.py -max_total_time=60
}

section_oldest() {
    local folder
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # this folder
    trap "rm -rf '$folder'" EXIT
    python3 -m venv "$folder"
    export PIP_CONSTRAINT=$PWD/tests/oldest.txt
    "$folder/bin/pip" install --quiet '.[test]'
    "$folder/bin/python" -P -m pytest -p no:cacheprovider -m "not slow"
}

section_machines() {
    [[ -x tests/machines/run.sh ]] || not_run "there is no tests/machines/run.sh"
    tests/machines/run.sh
}

section_long() {
    [[ -e tests/test_long_runs.py ]] || not_run "there is no tests/test_long_runs.py"
    pytest -m slow tests/test_long_runs.py -n "$(nproc)"
}

chosen=("$@")
((${#chosen[@]})) || chosen=("${SECTIONS[@]}")
for name in "${chosen[@]}"; do
    if ! declare -F "section_$name" >/dev/null; then
        echo "run_full.sh expects sections of: ${SECTIONS[*]}; got $name." >&2
        exit 2
    fi
done

table=()
failed=0
for name in "${chosen[@]}"; do
    printf '\n=== %s\n' "$name"
    : >"$reason_file"
    start=$SECONDS
    set +e
    (
        set -e
        "section_$name"
    )
    status=$?
    set -e
    case $status in
    0) verdict=passed ;;
    77) verdict="not run: $(<"$reason_file")" ;;
    *)
        verdict=FAILED
        failed=1
        ;;
    esac
    table+=("$(printf '%-10s %5d s  %s' "$name" $((SECONDS - start)) "$verdict")")
done
printf '\n=== table\n'
printf '%s\n' "${table[@]}"
exit "$failed"
