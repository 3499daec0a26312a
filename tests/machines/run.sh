#!/usr/bin/env bash
# All checks of machines, each to its end, then a table of their last lines: run.sh [folder] [python].
# python has the fastbp under test, in place or installed; what is made is left in the folder.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
folder=${1:-$(mktemp -d)}
python=${2:-python3}
home=$("$python" -c 'import fastbp, pathlib; print(pathlib.Path(fastbp.__file__).parents[1])') || exit 1
mkdir -p "$folder"
summary=()
failed=0

check() { # name, program it needs, command...
    local name=$1 needs=$2 verdict=ok said
    shift 2
    printf '\n=== %s\n' "$name"
    if ! type -P "$needs" >/dev/null; then
        verdict="not run" said="no $needs"
    else
        "$@" 2>&1 | tee "$folder/said.txt" || verdict=FAILED failed=1
        said=$(tail -n 1 "$folder/said.txt")
    fi
    summary+=("$(printf '%-8s %-24s %s' "$verdict" "$name" "$said")")
}

check "training run" "$python" env PYTHONPATH="$home" "$python" "$here/train.py"
check "no instruction too new" objdump env PYTHONPATH="$home" "$python" "$here/baseline.py"
check "emulated processors" qemu-x86_64 "$here/emulated.sh" "$python"
check "other compilers" clang "$here/compilers.sh" "$folder/compilers"
check "package on ARM64" debootstrap "$here/aarch64.sh" "$folder/aarch64"
check "wheel" "$python" "$here/wheel.sh" "$folder/wheel" "$python"
if "$python" -c 'import sys; sys.exit(sys._is_gil_enabled())' 2>/dev/null; then
    check "free-threaded" "$python" env PYTHONPATH="$home" "$python" "$here/free_threaded.py"
fi

printf '\n=== summary; what was made is in %s\n' "$folder"
printf '%s\n' "${summary[@]}"
exit $failed
