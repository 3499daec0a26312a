"""Many small networks at once, beside `jax.vmap`: ``python -m bench.sweeps [--write]``.

Each network has first weights of its own, and all have the same rows, some epochs of them.  fastbp
trains each by a `fit`, one after the other and in a pool of threads; JAX trains all as one: a jit
of `lax.scan` over the steps, whose step is mapped over the networks by `vmap`.  The weights of all
networks have to agree before anything is timed.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial

import numpy as np

from bench import ROOT, measure, peers, report
from bench.tasks import Task

RESULTS = ROOT / "bench" / "results" / "sweeps.json"
PAGE = ROOT / "docs" / "sweeps.md"
MARKS = "<!-- sweeps:begin -->", "<!-- sweeps:end -->"
NETWORKS = 64
#: Sizes and batches; a softmax and a squared error.
CASES = [((8, 16, 1), 32), ((8, 16, 1), 256), ((20, 64, 64, 3), 32), ((20, 64, 64, 3), 256)]
ROWS, EPOCHS = 1024, 10
#: Of the largest weight, after an epoch: later ones part, as ReLUs do.
TOLERANCE = 1e-5


def tasks_of(sizes, batch, networks, rows=ROWS, threads=1):
    """The same rows for each network, and other first weights."""
    shared = Task(batch, sizes, lr=0.01, batches=rows // batch, threads=threads)
    rng, tasks = np.random.default_rng(1), []
    for _ in range(networks):
        task = copy(shared)
        task.params = [(p + 0.1 * rng.standard_normal(p.shape)).astype(p.dtype) for p in shared.params]
        tasks.append(task)
    return tasks


def of_fastbp(tasks, epochs, each=map):
    """`each(function, networks)` is a map."""
    pairs = [peers.network_of_fastbp(task) for task in tasks]

    def fit(pair):
        net, optimizer = pair
        task = tasks[0]
        net.fit(
            task.x,
            task.t,
            epochs=epochs,
            batch_size=task.batch,
            optimizer=optimizer,
            shuffle=False,
            n_threads=1,
            seed=0,
        )

    return lambda: list(each(fit, pairs)), lambda: [list(net.params.values()) for net, _ in pairs]


def of_jax(tasks, epochs):
    first = tasks[0]
    update, state, _, x, t = peers.jax_update(first)
    import jax
    import jax.numpy as jnp

    step = jax.vmap(update, in_axes=((0, None, None, None), None, None), out_axes=((0, None, None, None), 0))
    params = [jnp.stack(arrays) for arrays in zip(*(task.params for task in tasks), strict=True)]
    state = [(params, *state[0][1:])]
    order = jnp.arange(len(first.x), dtype="int32").reshape(first.batches, first.batch)

    @partial(jax.jit, donate_argnums=0)
    def train(state, x, t):
        def body(state, rows):
            return step(state, *(a.at[rows].get(mode="promise_in_bounds") for a in (x, t)))

        def epoch(state, _):
            return jax.lax.scan(body, state, order)

        return jax.lax.scan(epoch, state, length=epochs)

    def run():
        state[0], losses = train(state[0], x, t)
        losses.block_until_ready()

    return run, lambda: [[np.asarray(p[k]) for p in state[0][0]] for k in range(len(tasks))]


def one(sizes, batch, threads, networks=NETWORKS, rows=ROWS, epochs=EPOCHS, **how):
    """A row of the table; ArithmeticError where the weights differ."""
    tasks = tasks_of(sizes, batch, networks, rows, threads)
    with ThreadPoolExecutor(threads) as pool:
        builders = {
            "in turn": partial(of_fastbp, each=map),
            "in threads": partial(of_fastbp, each=pool.map),
            "JAX": of_jax,
        }
        require_alike({side: build(tasks, 1) for side, build in builders.items()})
        seconds = measure.timed({side: build(tasks, epochs)[0] for side, build in builders.items()}, **how)
    return {"sizes": sizes, "batch": batch, "steps": networks * epochs * tasks[0].batches, "seconds": seconds}


def require_alike(sides):
    """Train each side, and refuse weights that are not those of the first one."""
    weights = {}
    for side, (run, weights_of) in sides.items():
        run()
        weights[side] = weights_of()
    expected = next(iter(weights.values()))
    for side, networks in weights.items():
        for k, (ours, theirs) in enumerate(zip(networks, expected, strict=True)):
            largest = max(np.abs(p).max() for p in theirs)
            apart = max(np.abs(p - q).max() for p, q in zip(ours, theirs, strict=True)) / largest
            if not apart <= TOLERANCE:
                raise ArithmeticError(
                    f"bench.sweeps expects {side} to train each network to the weights of the others, to "
                    f"{TOLERANCE:g} of the largest; got a difference of {apart:.2g} in network {k}."
                )


# --- the table ------------------------------------------------------------------------------

HEADER = ["sizes", "batch", "in turn", "in threads", "JAX", "to JAX, in turn", "in threads"]


def cells(row):
    """Times of one step of one network."""
    seconds = {side: time / row["steps"] for side, time in row["seconds"].items()}
    ratios = [f"{seconds['JAX'] / seconds[side]:.2f}" for side in ("in turn", "in threads")]
    return ["-".join(map(str, row["sizes"])), str(row["batch"]), *map(measure.seconds_text, seconds.values()), *ratios]


def markdown(results):
    text = (
        f"A step of one of {NETWORKS} networks, float32, SGD, ReLU, {EPOCHS} epochs of {ROWS:,} rows. Measured on "
        f"{measure.described(results['machine'])}. fastbp: a `fit` for each network, in turn and in a pool of as many "
        "threads as there are cores; JAX: one jit of `lax.scan` over the steps, mapped over the networks by `vmap`, "
        "weights donated, compiled beforehand. Medians, all in turn in one process. Above 1, fastbp is quicker."
    )
    return f"{text}\n\n{report.table(HEADER, map(cells, results['rows']))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.sweeps", description=__doc__)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--threads", type=int, default=cores, help="of the pool, and of JAX (default: the cores)")
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    about = measure.ready(threads=options.threads, write=options.write)
    quick = {"samples": 2, "seconds": 1e-3, "networks": 4, "rows": 512}
    how = quick if options.quick else {"samples": 5, "seconds": 0.01}
    rows = [one(sizes, batch, options.threads, **how) for sizes, batch in CASES]
    measure.print_table(HEADER, [cells(row) for row in rows])
    if options.write:
        results = {"machine": about, "rows": rows}
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
