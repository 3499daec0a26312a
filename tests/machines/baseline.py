"""Instructions beyond x86-64's first level that run before a set is picked: `python baseline.py`.

Disassembles the extension modules of the fastbp that is imported.  In `isa` the functions of the
three objects of kernels.c are left out, which needs its symbols: a stripped module is refused.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

#: AVX and AVX-512 begin with v or k; the rest is SSE3 to SSE4.2, POPCNT, BMI, LZCNT and MOVBE.
#: tzcnt is left out: GCC writes bsf, which finds the same bit, with its prefix.
LATER = re.compile(
    r"v(?!err|erw|mcall|mlaunch|mresume)\w+|k(add|and|mov|not|or|shift|test|unpck|xnor|xor)\w*"
    r"|p(shufb|opcnt|ext|dep|test|hadd\w+|hsub\w+|madubsw|mulhrsw|sign[bwd]|abs[bwd])"
    r"|palignr|p(insr|extr)[bdq]|p(min|max)(sb|sd|uw|ud)|pmul(dq|ld)|p(mov)[sz]x\w+|packusdw"
    r"|pcmp(eqq|gtq|[ei]str[im])|pblend\w+|blend\w+|round[sp][sd]|dpp[sd]|mpsadbw|insertps"
    r"|extractps|movntdqa|crc32\w?|h(add|sub)p[sd]|addsubp[sd]|movs[hl]dup|movddup|lddqu|lzcnt"
    r"|movbe|andn|bextr|bls(i|r|msk)|bzhi|mulx|rorx|sarx|shlx|shrx|cmpxchg16b"
)
FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\s+(?:(?:lock|rep[nz]*|data16|bnd|notrack)\s+)*(\w+)")


def output(*command):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kernel_functions(module):
    """Addresses of the functions that come from kernels.c, by the symbol table's file names."""
    file, found = None, set()
    for line in output("readelf", "-sW", module).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] == "FILE":
            file = fields[7]
        elif len(fields) >= 8 and fields[3] == "FUNC" and file == "kernels.c":
            found.add(int(fields[1], 16))
    return found


def beyond_the_baseline(module):
    """(function, instruction) of each kind that an x86-64 processor of 2003 lacks."""
    left_out = kernel_functions(module) if module.name.startswith("isa.") else set()
    if module.name.startswith("isa.") and len(left_out) < 100:
        raise SystemExit(f"{module} expects the symbols of kernels.c; got {len(left_out)}.")
    found, function, looking = set(), None, True
    for line in output("objdump", "-d", "--no-show-raw-insn", module).splitlines():
        if start := FUNCTION.match(line):
            function, looking = start[2], int(start[1], 16) not in left_out
        elif looking and (match := INSTRUCTION.match(line)) and LATER.fullmatch(match[1]):
            found.add((function, match[1]))
    return sorted(found)


def modules():
    """The extension modules, found without importing them."""
    return sorted(Path(find_spec("fastbp").origin).parent.glob("_kernels/*.so"))


def main():
    """Print what is found in each module; returns the exit status."""
    found = {module: beyond_the_baseline(module) for module in modules()}
    for module, instructions in found.items():
        print(f"{module.name}: {instructions or 'x86-64 only'}")
    return 1 if any(found.values()) or not found else 0


if __name__ == "__main__":
    sys.exit(main())
