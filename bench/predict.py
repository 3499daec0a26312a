"""Prediction beside onnxruntime and NumPy: ``python -m bench.predict``.

`Sequential.predict` of four networks of ReLUs in float32, of one row to 100,000, in one thread.
onnxruntime runs the same weights as a graph of Gemm and Relu; NumPy works in place, in arrays made
beforehand, block by block where there are many rows.  All have to give the same outputs before
anything is timed.  ``--write`` stores the times and puts the table into docs/speed.md.
"""

import argparse
from functools import partial

import numpy as np

from bench import ROOT, measure, report
from bench.peers import network_of_fastbp
from bench.tasks import WORKLOADS, Task

RESULTS = ROOT / "bench" / "results" / "predict.json"
PAGE = ROOT / "docs" / "speed.md"
MARKS = "<!-- predict:begin -->", "<!-- predict:end -->"
NETWORKS = ("rl", "dlfs", "mnist512", "tab")
ROWS = (1, 32, 1000, 100_000)
#: Of the largest output.
TOLERANCE = 1e-5
#: Rows that NumPy takes at once: with more, its activations leave the cache.
BLOCK = 512
#: Seconds of a call from which on fewer samples do.
LONG = 0.1


def of_fastbp(task):
    return network_of_fastbp(task)[0].predict


def of_numpy(task):
    """A function of rows; the output, too, is an array made beforehand."""
    rows, block = len(task.x), min(len(task.x), BLOCK)
    *hidden, last = zip(task.params[::2], task.params[1::2], strict=True)
    spares = [np.empty((block, len(b)), task.dtype) for _, b in hidden]
    out = np.empty((rows, task.sizes[-1]), task.dtype)

    def predict(x):
        for start in range(0, rows, block):
            h, y = x[start : start + block], out[start : start + block]
            for (W, b), spare in zip(hidden, spares, strict=True):
                z = spare[: len(h)]
                np.dot(h, W, out=z)
                z += b
                h = np.maximum(z, 0, out=z)
            np.dot(h, last[0], out=y)
            y += last[1]
        return out

    return predict


def of_onnxruntime(task):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph(task), options, ["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def graph(task):
    """The network as ONNX: Gemm and Relu in turn."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, name = [], [], "x"
    pairs = list(zip(task.params[::2], task.params[1::2], strict=True))
    for k, pair in enumerate(pairs):
        weights += [numpy_helper.from_array(a, f"{of}{k}") for a, of in zip(pair, "Wb", strict=True)]
        nodes.append(helper.make_node("Gemm", [name, f"W{k}", f"b{k}"], [f"z{k}"]))
        name = f"z{k}"
        if k < len(pairs) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"h{k}"]))
            name = f"h{k}"
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, ["rows", size])
        for end, size in (("x", task.sizes[0]), (name, task.sizes[-1]))
    ]
    made = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


SIDES = {"fastbp": of_fastbp, "onnxruntime": of_onnxruntime, "NumPy": of_numpy}


def run(networks=NETWORKS, rows=ROWS, quick=False):
    """One row for each network and number of rows."""
    return [one(name, n, quick) for name in networks for n in rows]


def one(name, n, quick=False):
    task = Task(n, WORKLOADS[name][1])
    sides = {side: build(task) for side, build in SIDES.items()}
    outputs = {side: np.array(predict(task.x)) for side, predict in sides.items()}
    for side, output in outputs.items():
        require_alike(side, output, outputs["NumPy"])
    calls = {side: partial(predict, task.x) for side, predict in sides.items()}
    how = measure.repetitions(quick)
    if measure.calls_in(LONG, measure.Timer(calls["NumPy"])) == 1:
        how = how | {"samples": min(5, how["samples"])}
    return {"name": name, "rows": n, "sizes": task.sizes, "seconds": measure.timed(calls, **how)}


def require_alike(side, got, expected):
    apart = np.abs(got - expected).max() / np.abs(expected).max()
    if not apart <= TOLERANCE:
        raise ArithmeticError(
            f"bench.predict expects {side} to agree with NumPy to {TOLERANCE:g} of the largest "
            f"output; got a difference of {apart:.2g}."
        )


# --- the table ------------------------------------------------------------------------------


def ratio(row, side):
    return row["seconds"][side] / row["seconds"]["fastbp"]


HEADER = ["network", "sizes", "rows", *SIDES, "to onnxruntime", "to NumPy"]


def cells(row):
    times = [measure.seconds_text(row["seconds"][side]) for side in SIDES]
    ratios = [f"{ratio(row, side):.2f}" for side in ("onnxruntime", "NumPy")]
    return [row["name"], "-".join(map(str, row["sizes"])), f"{row['rows']:,}", *times, *ratios]


def lowest_text(rows):
    """The lowest ratios, in words."""
    parts = []
    for side in ("onnxruntime", "NumPy"):
        row = min(rows, key=lambda row: ratio(row, side))
        parts.append(f"{ratio(row, side):.2f} to {side} ({row['name']}, {row['rows']:,} rows)")
    return f"Lowest ratios: {', '.join(parts)}."


def markdown(results):
    rows = results["rows"]
    text = (
        "## Prediction\n\n`predict`, float32, ReLU. Measured on "
        f"{measure.described(results['machine'])}. Medians, all in turn in one process; "
        "onnxruntime with one thread, a graph of Gemm and Relu; NumPy in place, block by block. "
        f"Above 1, fastbp is quicker. {lowest_text(rows)}"
    )
    return f"{text}\n\n{report.table(HEADER, map(cells, rows))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description=__doc__)
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401  # to be described
    except ImportError as error:
        raise SystemExit(
            f"bench.predict expects onnx and onnxruntime, which pip install '.[bench]' brings; got no {error.name}."
        ) from None
    about = measure.ready(write=options.write)
    rows = ROWS[:-1] if options.quick else ROWS
    results = {"machine": about, "rows": run(rows=rows, quick=options.quick)}
    measure.print_table(HEADER, [cells(row) for row in results["rows"]])
    print(lowest_text(results["rows"]))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
