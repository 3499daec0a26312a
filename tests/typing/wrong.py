"""Wrong uses, of which type checkers have to find each; never run.  An ignore too many is an error as well."""

import numpy as np

import fastbp
from fastbp import SGD, EarlyStopping, Linear, Sequential, Trainer

x, t = np.ones((4, 2)), np.zeros(4, int)
net = Sequential(Linear(2, 2), loss="softmax_cross_entropy")

net.fit(x, t, epoch=3)  # type: ignore[arg-type]
net.fit(x, t, epochs="3")  # type: ignore[arg-type]
net.fit(x, t, batch_size=2.5)  # type: ignore[arg-type]
net.fit(x, t, rows="some")  # type: ignore[arg-type]
net.fit(x, t, optimizer=0.1)  # type: ignore[arg-type]
net.fit(x, t, early_stopping=EarlyStopping)  # type: ignore[arg-type]
net.fit(x, t, 3)  # type: ignore[call-arg]
losses = net.fit(x, t).train_losses  # type: ignore[attr-defined]
EarlyStopping(patience="two")  # type: ignore[arg-type]
SGD(learning_rate=0.1)  # type: ignore[call-arg]
SGD(lr="fast")  # type: ignore[arg-type]
Trainer(net, SGD(lr=0.1), batches=3)  # type: ignore[call-arg]
Trainer(net, SGD(lr=0.1), batch_size="all")  # type: ignore[arg-type]
Linear(2)  # type: ignore[call-arg]
fastbp.zeros(2, dtyp=fastbp.float32)  # type: ignore[call-arg]
fastbp.zeros(2, requires_grad="no")  # type: ignore[arg-type]
fastbp.tensor([1.0]).sum(dimension=0)  # type: ignore[call-arg]
fastbp.tensor([1.0], grad=True)  # type: ignore[call-arg]
fastbp.ones(2).detatch()  # type: ignore[attr-defined]
fastbp.tensors([1.0])  # type: ignore[attr-defined]
