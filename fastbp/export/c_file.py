"""A program of steps as one file of C99."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, files
from fastbp.export import activations, steps

if TYPE_CHECKING:
    from fastbp._typing import Path

#: Columns of W are filled up to a multiple of this, so that compilers make vectors of their loop.
_LANES = 4
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def to_c(
    model: Any,
    path: Path | None = None,
    name: str = "model",
    *,
    shape: Sequence[int] | None = None,
    probabilities: bool = False,
    preprocessing: Any = None,
    classes: Sequence[str] | None = None,
) -> str:
    """A network as one file of C99 in float32, which needs math.h alone and allocates nothing.

    Parameters
    ----------
    model : Sequential, MLPClassifier or MLPRegressor
        It computes as in evaluation mode; parameters of float64 are rounded to float32.
    path : str, os.PathLike or None
        Where the text is written too, whole or not at all.
    name : str
        What its names begin with: letters of ASCII, digits and underscores.
    shape, probabilities, preprocessing, classes
        As `to_onnx` takes them.  Beside preprocessing the rows are of doubles, and the outputs too; so they
        are of an estimator of float64 that prepares its rows.

    Returns
    -------
    str
        With ``void NAME_predict(const float *x, float *y)`` for one sample, and NAME_INPUTS and
        NAME_OUTPUTS as macros.

    Raises
    ------
    TypeError
        For a layer, a method or a hook of a user's own.
    ValueError
        As `to_onnx`, for a name that is none in C, and for parameters that overflow float32.
    OSError
        For a path that cannot be written.

    Notes
    -----
    Numbers agree with `predict` to 1e-5 of the largest output.

    Examples
    --------
    >>> from fastbp import Linear, Sequential, Sigmoid
    >>> from fastbp.export import to_c
    >>> text = to_c(Sequential(Linear(2, 1, init="zeros"), Sigmoid()), name="gate")
    >>> print(text[text.rindex("void") :], end="")
    void gate_predict(const float *x, float *y)
    {
        float a[4];
        int i, j;
        /* affine: 1 */
        for (j = 0; j < 4; j++) a[j] = gate_b1[j];
        for (i = 0; i < 2; i++)
            for (j = 0; j < 4; j++) a[j] += x[i] * gate_W1[i][j];
        for (i = 0; i < 1; i++) a[i] = gate_sigmoid(a[i]);
        for (i = 0; i < 1; i++) y[i] = a[i];
    }
    """
    who = "to_c"
    if path is not None:
        checks.path_to_write(who, path)
    checks.instance(who, "name", name, str, "a str")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{who} expects name of letters, digits and underscores, a letter first; got {name!r}.")
    program = steps.read(who, model, shape, probabilities, preprocessing, classes)
    text = _Text(who, program, name).written()
    if path is not None:
        files.write_whole(path, text.encode())
    return text


def identifier(text: str) -> str:
    """A name in C that looks like a text, as that of a file."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if _NAME.fullmatch(name) else f"model_{name}".rstrip("_")


def _number(value):
    """A double as C has it."""
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


def _float(value):
    """A float as C has it, to the bit."""
    return _number(value) if math.isinf(value) else f"{float(np.float32(value)):#.9g}f"


def _floats(row):
    """Floats as C has them, to the bit, 8 on a line."""
    cut = [row[k : k + 8].tolist() for k in range(0, len(row), 8)]
    return ",\n     ".join(", ".join(["%#.9gf"] * len(some)) % tuple(some) for some in cut)


def _comment(text):
    """A text in a comment, which it may not end."""
    return re.sub(r"[^ -~]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _string(text):
    """A text as C has it: UTF-8, and octal escapes of what is not plain."""
    plain = "".join(chr(c) if 32 <= c < 127 and c not in b'"\\?' else f"\\{c:03o}" for c in text.encode())
    return f'"{plain}"'


class _Text:
    """The parts of a file in the making."""

    def __init__(self, who: str, program: Any, name: Any) -> None:
        self.who, self.program, self.name = who, program, name
        self.arrays: list[str] = []
        self.functions: dict[str, str] = {}
        self.body: list[str] = []
        self.counts: dict[str, int] = {}
        self.now, self.free = "x", ["a", "b"]  # the array that has the values, and those that may take others
        self.widths: dict[str, int] = {"a": 0, "b": 0}

    def line(self, text: Any) -> Any:
        self.body.append(f"    {text}")

    def array(self, name: Any, array: Any, padded: bool = False) -> Any:
        """A constant array of floats; its name."""
        with np.errstate(over="ignore"):
            array = np.asarray(array).astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"{self.who} expects parameters within float32; got some beyond.")
        self.counts[name] = self.counts.get(name, 0) + 1
        name = f"{self.name}_{name}{self.counts[name]}"
        rows = array.reshape(-1, array.shape[-1]) if padded else array.reshape(1, -1)
        if padded:
            rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % _LANES)))
        lines = []
        for row in rows:
            text = _floats(row)
            lines.append(f"    {{{text}}}" if padded else f"     {text}")
        size = f"[{rows.shape[0]}][{rows.shape[1]}]" if padded else f"[{rows.shape[1]}]"
        self.arrays.append(f"static const float {name}{size} = {{\n" + ",\n".join(lines) + "\n};\n")
        return name

    def into_other(self, size: Any) -> Any:
        """The array for a step's outputs, which is not that of its inputs."""
        target = next(name for name in self.free if name != self.now)
        self.widths[target] = max(self.widths[target], size)
        return target

    def into_own(self, size: Any) -> None:
        """Bring the values where they may be overwritten."""
        if self.now == "x":
            target = self.into_other(size)
            self.line(f"for (i = 0; i < {size}; i++) {target}[i] = x[i];")
            self.now = target

    def each(self, size: Any, expression: Any) -> Any:
        """One value after the other; `v` in the expression is `now[i]`."""
        self.into_own(size)
        self.line(f"for (i = 0; i < {size}; i++) {self.now}[i] = {expression.replace('@', f'{self.now}[i]')};")

    def written(self) -> Any:
        program = self.program
        columns = program.preprocessing
        n_in, n_out = math.prod(program.shapes[0]), math.prod(program.shapes[-1])
        if columns is not None:
            n_in = columns.n_columns
            _prepare(self, columns)
        for step, shape, result in zip(program.steps, program.shapes, program.shapes[1:], strict=False):
            if not isinstance(step, steps.Activation):  # whose function says it
                self.line(f"/* {type(step).__name__.lower()}: {' x '.join(map(str, result))} */")
            _WRITERS[type(step)](self, step, shape, result)
        real = "double" if columns is not None and program.of_rows == np.float64 else "float"
        if columns is None:
            self.line(f"for (i = 0; i < {n_out}; i++) y[i] = {self.now}[i];")
        else:
            _restore(self, columns, n_out)
        name, upper = self.name, self.name.upper()
        signature = f"void {name}_predict(const {real} *x, {real} *y)"
        used = "\n".join(self.body)
        variables = [v for v in ("i", "j", "k") if re.search(rf"\b{v}\b", used)]
        declared = [f"    float {a}[{width}];" for a, width in self.widths.items() if width]
        declared += [f"    int {', '.join(variables)};"] if variables else []
        names = ""
        if program.classes:
            listed = ", ".join(map(_string, program.classes))
            names = f"const char *const {name}_classes[{len(program.classes)}] = {{{listed}}};\n\n"
        listed = ", ".join(map(_comment, columns.columns)) if columns is not None and columns.columns else ""
        return (
            f"/* A network of fastbp {sys.modules['fastbp'].__version__}: {program.summary()}.\n\n"
            f"   {signature};\n\n"
            f"   computes y, {upper}_OUTPUTS numbers, of x, {upper}_INPUTS numbers"
            + (f": {listed}" if listed else "")
            + ".\n   It allocates and keeps nothing, so that threads may call it at once.  Compile it with\n"
            "   cc -std=c99 -O2 (-O3 -march=native is faster, -ffast-math may not be used), link with -lm. */\n\n"
            f"#include <math.h>\n\n#define {upper}_INPUTS {n_in}\n#define {upper}_OUTPUTS {n_out}\n\n"
            + names
            + "\n".join([*self.arrays, ""] if self.arrays else [])
            + "".join(f"{text}\n\n" for text in self.functions.values())
            + f"{signature};\n\n{signature}\n{{\n"
            + "\n".join(declared + self.body)
            + "\n}\n"
        )


# --- each step ------------------------------------------------------------------------------


def _affine(text, step, shape, result):
    n_in, n_out = step.W.shape
    padded = n_out + -n_out % _LANES
    W = text.array("W", step.W, padded=True)
    b = None if step.b is None else text.array("b", np.pad(step.b, (0, padded - n_out)))
    rows = math.prod(shape[:-1])
    source, target = text.now, text.into_other(rows * n_out + padded - n_out)
    indent = ""
    if rows > 1:
        text.line(f"for (k = 0; k < {rows}; k++) {{")
        indent = "    "
        text.line(f"    const float *in = {source} + k * {n_in};")
        text.line(f"    float *out = {target} + k * {n_out};")
        source, target, own = "in", "out", target
    start = "0" if b is None else f"{b}[j]"
    text.line(f"{indent}for (j = 0; j < {padded}; j++) {target}[j] = {start};")
    unrolled = n_in - n_in % 4
    if unrolled:
        terms = " + ".join(f"{source}[i + {r}] * {W}[i + {r}][j]" for r in range(4)).replace("i + 0", "i")
        text.line(f"{indent}for (i = 0; i < {unrolled}; i += 4)")
        text.line(f"{indent}    for (j = 0; j < {padded}; j++) {target}[j] += {terms};")
    if n_in % 4:
        text.line(f"{indent}for (i = {unrolled}; i < {n_in}; i++)")
        text.line(f"{indent}    for (j = 0; j < {padded}; j++) {target}[j] += {source}[i] * {W}[i][j];")
    if rows > 1:
        text.line("}")
        target = own
    text.now = target


def _embed(text, step, shape, result):
    """-1, which gives NaN, is what is no category."""
    place = f"{text.name}_category"
    text.functions[place] = (
        f"static int {place}(float x, int n)\n{{\n    return x >= 0 && x < n && x == floorf(x) ? (int)x : -1;\n}}"
    )
    source, target = text.now, text.into_other(math.prod(result))
    n, begin = len(step.sizes), 0
    for column, table in enumerate(step.tables):
        size, width = table.shape
        own = f"{text.array('E', table)}[k * {width} + i]"
        text.line(f"k = {place}({source}[{column}], {size});")
        text.line(f"for (i = 0; i < {width}; i++) {target}[{begin} + i] = k < 0 ? NAN : {own};")
        begin += width
    if n < shape[0]:
        text.line(f"for (i = 0; i < {shape[0] - n}; i++) {target}[{begin} + i] = {source}[{n} + i];")
    text.now = target


def _index(array, shape):
    """How a constant that is broadcast to a sample is read at place i."""
    size = math.prod(shape)
    if array.size == size:
        return "[i]"
    return "[0]" if array.size == 1 else f"[i / {size // array.size}]"


def _scale(text, step, shape, result):
    place = _index(step.factor, shape)
    mean, factor, shift = (text.array(n, a) for n, a in zip(step._fields, step, strict=True))
    text.each(math.prod(shape), f"(@ - {mean}{place}) * {factor}{place} + {shift}{place}")


def _function(text, name, expression):
    """A function of one number in the file, under a name that its expression has alone."""
    for count in itertools.count(1):
        own = f"{text.name}_{name}{count if count > 1 else ''}"
        whole = f"static float {own}(float x)\n{{\n    return {expression};\n}}"
        if text.functions.setdefault(own, whole) == whole:
            return own


def _activation(text, step, shape, result):
    numbers = dict(zip("ab", step.numbers, strict=False))
    expression = re.sub(r"\b[ab]\b", lambda found: _float(numbers[found[0]]), activations.ROWS[step.name].c)
    text.each(math.prod(shape), f"{_function(text, step.name, expression)}(@)")


def _exp(text, step, shape, result):
    text.each(math.prod(shape), "expf(@)")


def _slope(text, step, shape, result):
    slope = text.array("slope", step.slope) + _index(step.slope, shape)
    text.each(math.prod(shape), f"@ > 0 ? @ : {slope} * @")


def _normal(text, step, shape, result):
    n, total = step.factor.size, math.prod(shape)
    text.into_own(total)
    factor, shift = text.array("factor", step.factor), text.array("shift", step.shift)
    for line in (
        f"for (k = 0; k < {total}; k += {n}) {{",
        f"    float *v = {text.now} + k;",
        "    float mean = 0, square = 0;",
        f"    for (i = 0; i < {n}; i++) mean += v[i];",
        f"    mean /= {n};",
        f"    for (i = 0; i < {n}; i++) square += (v[i] - mean) * (v[i] - mean);",
        f"    square = sqrtf(square / {n} + {_float(step.eps)});",
        f"    for (i = 0; i < {n}; i++) v[i] = (v[i] - mean) / square * {factor}[i] + {shift}[i];",
        "}",
    ):
        text.line(line)


def _over(shape, axis):
    """Of an axis: how many blocks there are before it, its length, and the distance of two elements."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _softmax(text, step, shape, result):
    blocks, n, apart = _over(shape, step.axis)
    text.into_own(math.prod(shape))
    at = f"v[i * {apart}]" if apart > 1 else "v[i]"
    start = f"k / {apart} * {n * apart} + k % {apart}" if apart > 1 else f"k * {n}"
    last = f"{at} -= logf(sum);" if step.logarithm else f"{at} /= sum;"
    each = f"    for (i = 0; i < {n}; i++)"
    take = f"sum += expf({at} -= most);" if step.logarithm else f"sum += {at} = expf({at} - most);"
    for line in (
        f"for (k = 0; k < {blocks * apart}; k++) {{",
        f"    float *v = {text.now} + {start};",
        "    float most = v[0], sum = 0;",
        f"{each} most = {at} > most ? {at} : most;",
        f"{each} {take}",
        *(["    sum = logf(sum);"] if step.logarithm else []),
        f"{each} {last.replace('logf(sum)', 'sum')}",
        "}",
    ):
        text.line(line)


def _gate(text, step, shape, result):
    blocks, n, apart = _over(shape, step.axis)
    half = n // 2 * apart
    source, target = text.now, text.into_other(math.prod(result))
    gate = _function(text, "sigmoid", activations.ROWS["sigmoid"].c)
    text.line(f"for (k = 0; k < {blocks}; k++)")
    own, other = f"{source}[2 * k * {half} + i]", f"{source}[(2 * k + 1) * {half} + i]"
    text.line(f"    for (i = 0; i < {half}; i++) {target}[k * {half} + i] = {own} * {gate}({other});")
    text.now = target


def _reshape(text, step, shape, result):
    text.body.pop()  # numbers stay where they are


def _each(text, step, shape, result):
    n = math.prod(result)
    target = text.into_other(n)
    text.line(f"for (i = 0; i < {n}; i++) {target}[i] = {text.now}[i * {step.k}];")
    text.now = target


def _sort(text, step, shape, result):
    n, total = shape[-1], math.prod(shape)
    text.into_own(total)
    for line in (
        f"for (k = 0; k < {total}; k += {n})",
        f"    for (i = 1; i < {n}; i++) {{",
        f"        float *v = {text.now} + k, own = v[i];",
        "        for (j = i; j > 0 && v[j - 1] > own; j--) v[j] = v[j - 1];",
        "        v[j] = own;",
        "    }",
    ):
        text.line(line)


def _both(text, step, shape, result):
    target = text.into_other(2)
    text.line(f"{target}[0] = 1 - {text.now}[0];")
    text.line(f"{target}[1] = {text.now}[0];")
    text.now = target


_WRITERS = {
    steps.Affine: _affine,
    steps.Embed: _embed,
    steps.Scale: _scale,
    steps.Activation: _activation,
    steps.Exp: _exp,
    steps.Slope: _slope,
    steps.Normal: _normal,
    steps.Softmax: _softmax,
    steps.Gate: _gate,
    steps.Reshape: _reshape,
    steps.Each: _each,
    steps.Sort: _sort,
    steps.Both: _both,
}


# --- columns --------------------------------------------------------------------------------


def _prepare(text, columns):
    target = text.into_other(len(columns.features))
    for place, feature in enumerate(columns.features):
        value = f"x[{feature.column}]"
        if feature.indicator:
            value = f"(isnan({value}) ? 1.0 : 0.0)"
        elif feature.equals is not None:
            value = f"({value} == {_number(feature.equals)} ? 1.0 : 0.0)"
        elif feature.missing is not None:
            own = value
            if feature.categories is not None:
                own = f"({value} >= 0 && {value} < {feature.categories} && {value} == floor({value}) ? {value} : -1.0)"
            value = f"(isnan({value}) ? {_number(feature.missing)} : {own})"
        if feature.shift:
            value = f"({value} - ({_number(feature.shift)}))"
        if feature.scale != 1:
            value = f"{value} / {_number(feature.scale)}"
        comment = f" /* {_comment(columns.columns[feature.column])} */" if columns.columns else ""
        text.line(f"{target}[{place}] = (float)({value});{comment}")
    text.now = target


def _restore(text, columns, n_out):
    shift, scale = (np.broadcast_to(np.ravel(one), (n_out,)) for one in columns[2:])
    for place in range(n_out):
        value = f"{text.now}[{place}]"
        if scale[place] != 1:
            value += f" * {_number(scale[place])}"
        if shift[place]:
            value += f" + {_number(shift[place])}"
        text.line(f"y[{place}] = {value};")
