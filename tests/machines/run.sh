#!/usr/bin/env bash
# All checks of machines, each to its end, then a line for each: run.sh [folder] [python].
# python has the fastbp under test, in place or installed; what is made is left in the folder.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
folder=${1:-$(mktemp -d)}
python=${2:-python3}
mkdir -p "$folder"
summary=()
failed=0

check() { # name, program it needs, command...
    local name=$1 needs=$2 verdict=ok
    shift 2
    printf '\n=== %s\n' "$name"
    if ! type -P "$needs" >/dev/null; then
        verdict="missing $needs"
    elif ! "$@"; then
        verdict=FAILED failed=1
    fi
    summary+=("$name: $verdict")
}

check "training run" "$python" "$python" "$here/train.py"
check "no instruction too new" objdump "$python" "$here/baseline.py"
check "emulated processors" qemu-x86_64 "$here/emulated.sh" "$python"
check "other compilers" clang "$here/compilers.sh" "$folder/compilers"
check "wheel" patchelf "$here/wheel.sh" "$folder/wheel" "$python"
if "$python" -c 'import sys; sys.exit(sys._is_gil_enabled())' 2>/dev/null; then
    check "free-threaded" "$python" "$python" "$here/free_threaded.py"
fi

printf '\n=== summary, in %s\n' "$folder"
printf '%s\n' "${summary[@]}"
exit $failed
