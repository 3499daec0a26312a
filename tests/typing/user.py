"""What a user writes, clean for type checkers; tests/test_types.py asks them, and runs it."""

from typing import Any

import numpy as np

import fastbp
from fastbp import SGD, Adam, EarlyStopping, History, Linear, Sequential, Tensor, Trainer, nn
from fastbp.layers import BatchNorm1d, Dropout, Relu, SoftmaxWithLoss
from fastbp.optim import AdamW
from fastbp.optim.lr_scheduler import StepLR

x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
t = (x.sum(axis=1) > 0).astype(np.int64)

# A network as the book writes it.
net = Sequential(Linear(4, 8, seed=0), BatchNorm1d(8), Relu(), Dropout(0.1), Linear(8, 2), loss=SoftmaxWithLoss())
seen: list[float] = []


def look(network: Any, history: History) -> bool:
    seen.append(history.train_loss[-1])
    return False


history = net.fit(
    x,
    t,
    epochs=3,
    optimizer=AdamW(lr=0.01, weight_decay=0.1),
    batch_size=16,
    validation_split=0.25,
    class_weight="balanced",
    early_stopping=EarlyStopping(patience=2),
    callbacks=[look],
    clip_norm=1.0,
    seed=0,
)
losses: list[float] = history.train_loss
score: float = net.accuracy(x, t)
trainer = Trainer(net, SGD(lr=0.1, momentum=0.9), batch_size=64)
step: float = trainer.step(x, t)
trainer.close()


# And as PyTorch's users do.
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 2)

    def forward(self, rows: Tensor) -> Tensor:
        hidden: Tensor = fastbp.relu(self.first(rows))
        out: Tensor = self.second(hidden)
        return out


model = Net()
optimizer = Adam(model.parameters(), lr=1e-2)
schedule = StepLR(optimizer, step_size=10)
rows, targets = fastbp.tensor(x), fastbp.from_numpy(t)
for _ in range(2):
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(model(rows), targets)
    loss.backward()
    optimizer.step()
    schedule.step()
zeros: Tensor = fastbp.zeros(2, 3, dtype=fastbp.float64)
total: Tensor = (zeros + 1).sum(dim=1, keepdim=True)
array: np.ndarray[Any, Any] = total.detach().numpy()
with fastbp.no_grad():
    values = fastbp.cat([zeros, fastbp.ones(2, 3)], dim=0).reshape(4, 3).T
