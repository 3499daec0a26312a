"""One epoch in each library, as its good users write it: rows in a given order, batch by batch.

`EPOCHS[name](task)` builds it: (epoch, weights).  ``epoch()`` trains on the task's batches, in the
order in which `fit` takes them, and returns the first batch's loss.  The libraries whose step is
called from Python have a loop over `bench.peers`; fastbp has `fit`, and JAX one compiled function
for all steps.  What the loops and JAX do not pay for and `fit` does: drawing the order, checking
what the user hands in, and the sums of loss and accuracy.
"""

from functools import partial

from bench import peers


def of_fastbp(task):
    net, optimizer = peers.network_of_fastbp(task)

    def epoch():
        history = net.fit(
            task.x, task.t, epochs=1, batch_size=task.batch, optimizer=optimizer, seed=0, n_threads=task.threads
        )
        return history.batch_loss[0][0]

    return epoch, lambda: list(net.params.values())


def looped(build, take, order_of, task):
    """An epoch of steps; `take` gathers a batch's rows, which `order_of` names."""
    step, weights, x, t = build(task)
    order = order_of(task.order)

    def epoch():
        first, *others = order
        loss = step(take(x, first), take(t, first))
        for rows in others:
            step(take(x, rows), take(t, rows))
        return loss

    return epoch, weights


def of_numpy(task):
    return looped(peers.of_numpy, lambda a, rows: a.take(rows, axis=0), list, task)


def of_torch(build, task):
    import torch

    return looped(build, lambda a, rows: a.index_select(0, rows), lambda order: list(torch.from_numpy(order)), task)


def of_jax(task):
    """`lax.scan` over the batches, whose rows are gathered inside; weights and states donated."""
    update, state, weights, x, t = peers.jax_update(task)
    import jax
    import jax.numpy as jnp

    order = jnp.asarray(task.order, "int32")

    @partial(jax.jit, donate_argnums=0)
    def scan(state, order, x, t):
        def body(state, rows):
            batch = (a.at[rows].get(mode="promise_in_bounds") for a in (x, t))
            return update(state, *batch)

        return jax.lax.scan(body, state, order)

    def epoch():
        state[0], losses = scan(state[0], order, x, t)
        return losses.block_until_ready()[0]

    return epoch, weights


#: In the order of the tables.
EPOCHS = {
    "fastbp": of_fastbp,
    "NumPy": of_numpy,
    "PyTorch": partial(of_torch, peers.of_torch),
    "PyTorch unlocked": partial(of_torch, peers.of_torch_unlocked),
    "PyTorch bf16": partial(of_torch, peers.of_torch_bf16),
    "torch.compile": partial(of_torch, peers.of_torch_compile),
    "JAX": of_jax,
}
#: What is unlike `peers.HOW`.
HOW = peers.HOW | {"JAX": "an epoch one jit of `lax.scan`, rows gathered inside, weights donated"}
