#!/usr/bin/env bash
# A training run on emulated processors: emulated.sh [python]; needs qemu-x86_64 (qemu-user).
# Each gets the set named beside it, and NumPy's numbers; those without x86-64-v2 get an ImportError.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
python=$(type -P "${1:-python3}") # emulated, it is not looked for on the PATH
home=$("$python" -c 'import fastbp, pathlib; print(pathlib.Path(fastbp.__file__).parents[1])') || exit 1
export PYTHONPATH=$home OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
export OPENBLAS_CORETYPE=NEHALEM # NumPy's OpenBLAS takes AVX2 to mean FMA, and crashes
unset FASTBP_ISA
right=0 all=0 runs=()

on() { qemu-x86_64 -cpu "$1" "$python" -W ignore "${@:2}" 2>&1 | grep -v "TCG doesn't support"; }

while read -r cpu set; do
    if [[ $set == refused ]]; then
        said=$(on "$cpu" -c 'import fastbp' | tail -1)
        [[ $said == "ImportError: fastbp expects an x86-64-v2 processor"* ]]
    else
        said=$(on "$cpu" "$here/train.py" "$set")
    fi && { verdict=ok right=$((right + 1)) runs+=("${said##*$'\n'}"); } || verdict=FAILED
    all=$((all + 1))
    printf '%-7s %-18s %-8s %s\n' "$verdict" "$cpu" "$set" "${said##*$'\n'}"
done <<'CPUS'
Nehalem v2
Westmere v2
Haswell v3
max v3
Haswell,-avx2 v2
Haswell,-fma v2
Haswell,-movbe v2
Haswell,-abm v2
Haswell,-xsave v2
Nehalem,-popcnt refused
core2duo refused
qemu64 refused
CPUS

errors=$(printf '%s\n' "${runs[@]}" | "$python" -c '
import json, sys
runs = [json.loads(line) for line in sys.stdin if line[0] == "{"]
worst = [(d, max((run[d] for run in runs), default=0)) for d in ("float32", "float64")]
print(*(f"{dtype} within {error:.1e}" for dtype, error in worst), sep=", ")')
echo "$right of $all processors right; $errors"
((right == all))
