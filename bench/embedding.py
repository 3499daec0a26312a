"""Epochs of columns of categories in fastbp and in PyTorch: ``python -m bench.embedding``.

100,000 rows of 10 columns of 1,000 categories, rows of tables of 8 and of 16 numbers, a hidden
layer of 64, two classes, batches of 512; float32, with SGD and Adam.  fastbp trains by `fit`; PyTorch
by its eager loop, over batches that are already shuffled slices of tensors, in its quickest
spellings: one `nn.Embedding` of all tables with offsets, and ten, with Adam fused.  Both have to have
the same losses before anything is timed; the times are those of an epoch, taken in turn.
"""

import argparse
import time

import numpy as np

import fastbp
from bench import measure

ROWS, COLUMNS, SIZE, HIDDEN, CLASSES, BATCH = 100_000, 10, 1000, 64, 2, 512
WIDTHS = (8, 16)
OPTIMIZERS = ("sgd", "adam")
LR = {"sgd": 0.1, "adam": 0.001}
#: Of the losses of both sides' first epoch.
TOLERANCE = 1e-3


def data(rows=ROWS):
    """Categories and classes that depend on them."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, SIZE, (rows, COLUMNS))
    effects = rng.standard_normal((COLUMNS, SIZE))
    return x, (effects[np.arange(COLUMNS), x].sum(axis=1) > 0).astype(np.int64)


def network(width):
    """The network from which both sides begin."""
    return fastbp.Sequential(
        fastbp.Embeddings([SIZE] * COLUMNS, width, seed=0),
        fastbp.Linear(COLUMNS * width, HIDDEN, seed=1),
        fastbp.Relu(),
        fastbp.Linear(HIDDEN, CLASSES, seed=2),
        loss="softmax_cross_entropy",
    )


class Ours:
    """`fit`, without a shuffle, as the other side's rows are shuffled too."""

    def __init__(self, width, optimizer, x, t):
        self.net, self.x, self.t = network(width), x.astype(np.float32), t
        self.optimizer = {"sgd": fastbp.SGD, "adam": fastbp.Adam}[optimizer](lr=LR[optimizer])

    def epoch(self):
        """The epoch's mean loss."""
        options = {"epochs": 1, "batch_size": BATCH, "shuffle": False, "n_threads": 1}
        return self.net.fit(self.x, self.t, optimizer=self.optimizer, **options).train_loss[-1]


class Theirs:
    """PyTorch's eager loop, with one table of all categories or one for each column."""

    def __init__(self, width, optimizer, x, t, one_table):
        import torch
        from torch import nn

        torch.set_num_threads(1)
        self.torch, self.one_table = torch, one_table
        embeddings, first, _, last = network(width).layers
        tables = [torch.from_numpy(table.copy()) for table in embeddings.tables]
        tables = [torch.cat(tables)] if one_table else tables
        self.tables = nn.ModuleList([nn.Embedding.from_pretrained(table, freeze=False) for table in tables])
        self.rest = nn.Sequential(nn.Linear(*first.W.shape), nn.ReLU(), nn.Linear(*last.W.shape))
        with torch.no_grad():
            for linear, ours in ((self.rest[0], first), (self.rest[2], last)):
                linear.weight.copy_(torch.from_numpy(ours.W.T.copy()))
                linear.bias.copy_(torch.from_numpy(ours.b))
        self.offsets = torch.arange(COLUMNS) * SIZE
        parameters = [*self.tables.parameters(), *self.rest.parameters()]
        if optimizer == "sgd":
            self.optimizer = torch.optim.SGD(parameters, lr=LR["sgd"])
        else:
            self.optimizer = torch.optim.Adam(parameters, lr=LR["adam"], fused=True)
        self.x, self.t = torch.from_numpy(x), torch.from_numpy(t)

    def outputs(self, x):
        if self.one_table:
            return self.rest(self.tables[0](x + self.offsets).flatten(1))
        columns = [table(column) for table, column in zip(self.tables, x.unbind(1), strict=True)]
        return self.rest(self.torch.cat(columns, 1))

    def epoch(self):
        """The epoch's mean loss."""
        cross_entropy, total = self.torch.nn.functional.cross_entropy, 0.0
        for x, t in zip(self.x.split(BATCH), self.t.split(BATCH), strict=True):
            self.optimizer.zero_grad()
            loss = cross_entropy(self.outputs(x), t)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(x)
        return total / len(self.x)


def sides(width, optimizer, x, t):
    return {
        "fastbp": Ours(width, optimizer, x, t),
        "PyTorch, one table": Theirs(width, optimizer, x, t, one_table=True),
        "PyTorch, a table a column": Theirs(width, optimizer, x, t, one_table=False),
    }


def require_alike(losses):
    """Refuse sides that do not train alike."""
    for name, loss in losses.items():
        if abs(loss - losses["fastbp"]) > TOLERANCE * losses["fastbp"]:
            raise RuntimeError(f"bench.embedding expects the same losses of all sides; got {loss:.6f} of {name}.")


def run(rows=ROWS, rounds=5, widths=WIDTHS, optimizers=OPTIMIZERS):
    """A row for each width and optimiser: medians of the seconds of an epoch, by side."""
    x, t = data(rows)
    found = []
    for width in widths:
        for optimizer in optimizers:
            trained = sides(width, optimizer, x, t)
            require_alike({name: side.epoch() for name, side in trained.items()})
            taken = {name: [] for name in trained}
            for _ in range(rounds):
                for name, side in trained.items():
                    begin = time.perf_counter()
                    side.epoch()
                    taken[name].append(time.perf_counter() - begin)
            seconds = {name: float(np.median(times)) for name, times in taken.items()}
            found.append({"width": width, "optimizer": optimizer, **seconds})
    return found


def show(found):
    header = ["width, optimiser", *list(found[0])[2:], "ratio"]
    lines = []
    for row in found:
        ours, *theirs = list(row.values())[2:]
        cells = [measure.seconds_text(seconds) for seconds in (ours, *theirs)]
        lines.append([f"{row['width']}, {row['optimizer']}", *cells, f"{min(theirs) / ours:.1f}"])
    measure.print_table(header, lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.embedding", description=__doc__)
    measure.add_options(parser)
    options = measure.parsed(parser, arguments)
    import torch  # noqa: F401  # to be described

    measure.ready()
    show(run(4000, 2, (8,)) if options.quick else run())


if __name__ == "__main__":
    main()
