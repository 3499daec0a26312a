#!/usr/bin/env bash
# The package on an emulated ARM64 processor: aarch64.sh FOLDER [pytest's arguments].  Compiles the
# modules for the Python of Debian's ARM64 packages, which qemu-aarch64 runs, and has what is compiled
# compared with its twins there.  FOLDER keeps that system and its wheels for the next time.  Needs
# debootstrap (as root), aarch64-linux-gnu-gcc, qemu-aarch64, and setuptools, Cython and NumPy.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
mkdir -p "$1"
folder=$(realpath "$1")
shift
system=$folder/system site=$folder/site copy=$folder/copy

if [[ ! -e $folder/complete ]]; then
    rm -rf "$system" "$site"
    debootstrap --arch=arm64 --foreign --variant=minbase \
        --include=python3,libpython3-dev,libgomp1,libstdc++6 bookworm "$system" >/dev/null
    for package in "$system"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$system" --keep-directory-symlink
    done
fi
python=$(ls "$system"/usr/bin/python3.??)
version=${python##*/python}
if [[ ! -e $folder/complete ]]; then
    platforms=()
    for glibc in 17 24 26 27 28 31 34; do
        platforms+=(--platform "manylinux_2_${glibc}_aarch64")
    done
    python3 -m pip install --quiet --target "$site" "${platforms[@]}" --python-version "$version" \
        --only-binary=:all: numpy pytest hypothesis safetensors
    mkdir -p "$folder/sysconfig"
    cp "$system/usr/lib/python$version/_sysconfigdata__aarch64-linux-gnu.py" "$folder/sysconfig"
    touch "$folder/complete"
fi

rm -rf "$copy" && mkdir "$copy" # built anew: of another checkout, files may be older than objects
tar -c -C "$root" --exclude=./.git --exclude=./build --exclude='*.so' --exclude=./.venv . |
    tar -x -C "$copy"
cd "$copy"
compiler="aarch64-linux-gnu-gcc -I$system/usr/include/python$version -I$system/usr/include"
env _PYTHON_HOST_PLATFORM=linux-aarch64 PYTHONPATH="$folder/sysconfig" \
    _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__aarch64-linux-gnu \
    CC="$compiler" LDSHARED="aarch64-linux-gnu-gcc -shared" python3 setup.py -q build_ext --inplace

# A processor that NumPy's OpenBLAS knows: its kernels for the newest raise flags, of which NumPy
# warns.  Several threads of a step are tried by `make -C tests/native aarch64`.
on() { qemu-aarch64 -cpu cortex-a72 -L "$system" "$python" "$@"; }
export PYTHONPATH=$site:$copy OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
on tests/machines/train.py plain
tests=(tests/test_{vecmath,new_kernels,engine,layers,losses,autograd,optim_tensors,golden}.py)
[[ $# -gt 0 ]] || set -- "${tests[@]}" -k "not a_large_step"
on -m pytest -p no:cacheprovider -m "not slow" "$@" | tee "$folder/output"
echo "ARM64, CPython $version: $(tail -n 1 "$folder/output")"
