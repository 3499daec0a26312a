"""Small PyTorch programs as other people write them, run with only their imports changed.

Each runs with fastbp, and what it prints is compared with what it prints with PyTorch where that
is installed, else with what it printed there (golden/golden_programs.json, which
``python -m tests.test_programs`` writes).  `start` gives a module the same first weights in both.
"""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

STORED = Path(__file__).resolve().parent / "golden" / "golden_programs.json"
IMPORT = re.compile(r"^(import|from) torch\b", re.MULTILINE)
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")
#: Of printed numbers, after some steps of float32.
CLOSE = 1e-3

PROGRAMS = {
    "a line": """
import torch
import torch.nn as nn
import torch.optim as optim

X = torch.linspace(-1, 1, 50).view(-1, 1)
y = 3 * X + 2

class LinearRegression(nn.Module):
    def __init__(self, input_dim, output_dim):
        super(LinearRegression, self).__init__()
        self.linear = nn.Linear(input_dim, output_dim)

    def forward(self, x):
        return self.linear(x)

model = start(LinearRegression(1, 1))
print(model)
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
for epoch in range(60):
    loss = criterion(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 20 == 0:
        print("Epoch [{}/{}], Loss: {:.4f}".format(epoch + 1, 60, loss.item()))
[w, b] = model.parameters()
print(w[0][0].item(), b[0].item(), model.linear.weight)
print(model(X).detach().numpy().shape, model(X).data.squeeze().tolist()[:3])
""",
    "xor": """
import torch
from torch import nn
from torch.autograd import Variable

X = torch.Tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
Y = torch.Tensor([0, 1, 1, 0]).view(-1, 1)
model = start(nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 1)))
for m in model.modules():
    if isinstance(m, nn.Linear):
        m.weight.data.mul_(2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for i in range(200):
    j = i % 4
    x, y = Variable(X[j], requires_grad=False), Variable(Y[j])
    optimizer.zero_grad()
    loss = nn.MSELoss().forward(model(x), y)
    loss.backward()
    optimizer.step()
print(loss.data.numpy().round(3), (model(X) > 0.5).int().view(-1))
for name, param in model.named_parameters():
    print(name, param.size(), param.requires_grad)
""",
    "classes from loaders": """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
X = torch.FloatTensor(rng.standard_normal((60, 4)))
y = torch.LongTensor((X[:, 0] > 0).long() + (X[:, 1] > 0).long())

class Points(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.bn = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(p=0.0)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.fc1(x))))
        return F.log_softmax(self.fc2(x), dim=1)

model = start(Net()).to(device)
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-4)
scheduler = StepLR(optimizer, step_size=3, gamma=0.5)
for epoch in range(6):
    model.train()
    total, correct = 0.0, 0
    for inputs, labels in DataLoader(Points(X, y), batch_size=16):
        inputs, labels = inputs.to(device), labels.to(device)
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = nn.NLLLoss()(outputs, labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * inputs.size(0)
        _, predicted = torch.max(outputs.data, 1)
        correct += (predicted == labels).sum().item()
    scheduler.step()
    print(f"{epoch} {total / len(X):.4f} {correct} {scheduler.get_last_lr()[0]:.5f}")
model.eval()
cm = torch.zeros(3, 3, dtype=torch.int64)
with torch.no_grad():
    for x, t in DataLoader(TensorDataset(X, y), batch_size=25):
        for a, b in zip(t.view(-1), model(x).argmax(dim=1)):
            cm[a.long(), b.long()] += 1
print(cm, cm.diag().sum().item() / cm.sum().item(), model.bn.running_mean[:2])
""",
    "early stopping": """
import copy
import torch
from torch import nn, optim

X = torch.tensor(rng.standard_normal((80, 5)), dtype=torch.float32)
y = (X.sum(1, keepdim=True) > 0).float()
Xtr, Xva, ytr, yva = X[:60], X[60:], y[:60], y[60:]
model = start(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()))
loss_fn, best, bad = nn.BCELoss(), float("inf"), 0
optimizer = optim.RMSprop(model.parameters(), lr=0.05)
plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=1)
for epoch in range(40):
    model.train()
    for at in torch.arange(0, len(Xtr), 20):
        loss = loss_fn(model(Xtr[at : at + 20]), ytr[at : at + 20])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        p = model(Xva)
        val = loss_fn(p, yva)
        acc = ((p > 0.5) == yva).float().mean()
    plateau.step(val)
    if val < best:
        best, bad, weights = val, 0, copy.deepcopy(model.state_dict())
    else:
        bad += 1
        if bad == 3:
            break
model.load_state_dict(weights)
print(epoch, f"{best:.4f} {acc:.3f}", optimizer.param_groups[0]["lr"])
print(loss_fn(model(Xva), yva).item() == best.item(), model(Xva).round().sum())
""",
    "groups, frozen layers, clipping": """
import torch
import torch.nn as nn
from collections import OrderedDict

net = nn.Sequential(OrderedDict([("features", nn.Linear(6, 10)), ("act", nn.Tanh()),
                                 ("head", nn.Linear(10, 2))]))
start(net)
X = torch.tensor(rng.standard_normal((40, 6))).float()
y = (X[:, 0] > 0).long()
optimizer = torch.optim.SGD(
    [{"params": net.features.parameters()},
     {"params": net.head.parameters(), "lr": 1e-2, "weight_decay": 1e-3}], lr=1e-1, momentum=0.9)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]), label_smoothing=0.1)
for _ in range(10):
    optimizer.zero_grad(set_to_none=True)
    loss = criterion(net(X), y)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=0.2)
    optimizer.step()
print(loss.item(), norm)
for p in net.features.parameters():
    p.requires_grad = False
before = net.features.weight.clone()
adam = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()), lr=0.05)
for _ in range(5):
    adam.zero_grad()
    criterion(net(X), y).backward()
    nn.utils.clip_grad_value_(net.parameters(), 0.1)
    adam.step()
print(torch.equal(before, net.features.weight), net.head.bias)
adam.add_param_group({"params": net.features.parameters(), "lr": 1e-3})
for group in adam.param_groups:
    group["lr"] *= 0.1
print([round(group["lr"], 6) for group in adam.param_groups])
net.head = nn.Linear(10, 5)
net.last = nn.Linear(5, 4)
print(net(X).shape, net)
""",
    "initial values": """
import torch
import torch.nn as nn

def init_weights(m):
    if isinstance(m, nn.Linear):
        torch.nn.init.constant_(m.weight, 0.5)
        m.bias.data.fill_(0.01)

net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
x = torch.tensor([[1.0, 2.0, 3.0]])
net.apply(init_weights)
print(net(x))
with torch.no_grad():
    net[0].weight.copy_(torch.eye(4, 3))
    net[2].weight[0, 0] = 5.0
    net[2].bias[:] = torch.arange(2.0)
print(net(x), net[2].weight)
net[0].weight = nn.Parameter(torch.ones(4, 3) * 0.25)
net[2].weight.data = torch.full((2, 4), -0.5)
net[2].bias.data.zero_()
print(net(x), net[2].weight.data.norm(), net[0].weight.grad)
net.requires_grad_(False)
print(any(p.requires_grad for p in net.parameters()), [name for name, _ in net.named_modules()])
""",
    "checkpoint": """
import torch
import torch.nn as nn

X = torch.tensor(rng.standard_normal((20, 3)), dtype=torch.float)
Y = X.sum(1, keepdim=True)

def make():
    net = start(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)))
    opt = torch.optim.Adam(net.parameters(), lr=1e-2)
    return net, opt, torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)

def train(net, opt, sch):
    opt.zero_grad()
    loss = nn.functional.mse_loss(net(X), Y)
    loss.backward()
    opt.step()
    sch.step()
    return loss.item()

a = make()
for epoch in range(4):
    loss = train(*a)
torch.save({"epoch": epoch, "model": a[0].state_dict(), "opt": a[1].state_dict(),
            "sch": a[2].state_dict(), "loss": loss}, "checkpoint.pt")
b = make()
stored = torch.load("checkpoint.pt", map_location=torch.device("cpu"))
for part, name in zip(b, ("model", "opt", "sch")):
    part.load_state_dict(stored[name])
print(stored["epoch"], round(stored["loss"], 4), stored["opt"]["param_groups"][0]["lr"])
print([train(*a) == train(*b) for _ in range(3)], b[2].get_last_lr())
""",
    "by hand": """
import math
import torch

x = torch.linspace(-math.pi, math.pi, 200, dtype=torch.float)
y = torch.sin(x)
a, b = (torch.tensor(v, requires_grad=True) for v in (0.5, -0.5))
for t in range(100):
    loss = (a * x + b * x ** 3 - y).pow(2).sum()
    loss.backward()
    with torch.no_grad():
        a -= 1e-5 * a.grad
        b -= 1e-5 * b.grad
        a.grad = None
        b.grad.zero_()
print(t, loss.item(), f"y = {a.item():.4f} x + {b.item():.4f} x^3")
w = torch.tensor(rng.standard_normal((4, 3))).float()
h = torch.tensor(rng.standard_normal((5, 4))).float().mm(w)
grad = h.clone()
grad[h < 0] = 0
print(torch.equal(grad, h.clamp(min=0)), h.t().mm(grad).shape)
w.requires_grad_()
(w ** 2).sum().backward()
w.data -= 0.5 * w.grad.data
print(w.abs().max())
""",
    "deep q": """
import torch
import torch.nn.functional as F
from torch import nn, optim
import numpy as np

policy, target = (start(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)))
                  for _ in range(2))
target.load_state_dict(policy.state_dict())
optimizer = optim.AdamW(policy.parameters(), lr=1e-2)
for i in range(10):
    s, s2 = (torch.from_numpy(rng.standard_normal((8, 4))).float() for _ in range(2))
    action = policy(s).max(1).indices.view(-1, 1)
    done = torch.tensor([True, False] * 4, dtype=torch.bool)
    value = torch.zeros(8)
    with torch.no_grad():
        value[~done] = target(s2[~done]).max(1)[0]
    expected = value * 0.9 + s.sum(1)
    loss = nn.SmoothL1Loss()(policy(s).gather(1, action), expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    for p in policy.parameters():
        p.grad.data.clamp_(-1, 1)
    optimizer.step()
    for old, new in zip(target.parameters(), policy.parameters()):
        old.data.copy_(0.1 * new.data + 0.9 * old.data)
q, a = policy(s[:3]), torch.tensor([0, 1, 1])
print(loss.item(), target(s).mean())
print(q[range(3), a], q.gather(1, a.view(-1, 1)).squeeze(1), F.one_hot(a, 2))
print(np.argmax(policy(torch.FloatTensor(np.zeros(4))).data.numpy()))
""",
    "policy gradient": """
import torch
from torch import nn

actor = start(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), nn.Softmax(dim=-1)))
critic = start(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)))
optimizer = torch.optim.Adam(list(actor.parameters()) + list(critic.parameters()), lr=1e-2)
for episode in range(3):
    s, logs, values, rewards = torch.ones(3), [], [], []
    for t in range(6):
        probs = actor(s)
        action = int(probs.argmax())
        logs.append(torch.log(probs[action]))
        values.append(critic(s))
        s = 0.9 * s + 0.1 * action
        rewards.append(s.sum().item())
    G, returns = 0, []
    for r in rewards[::-1]:
        G = r + 0.9 * G
        returns.insert(0, G)
    returns = torch.tensor(returns)
    values = torch.cat(values)
    advantage = (returns - returns.mean()) / (returns.std() + 1e-6)
    loss = -(torch.stack(logs) * advantage).mean() + nn.functional.mse_loss(values, returns)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
    optimizer.step()
    print(episode, f"{loss.item():.4f}", values.detach().numpy().shape)
""",
    "module lists": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.1)
        return {"out": self.layers[-1](x) * self.scale, "h": x}

model = start(MLP([5, 8, 8, 3]))
seen = {}
hook = model.layers[0].register_forward_hook(lambda m, i, o: seen.update(first=o.detach()))
X = torch.tensor(rng.standard_normal((30, 5))).float()
t = torch.tensor(rng.integers(0, 3, 30))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
for _ in range(10):
    out = model(X)["out"]
    l2 = sum(p.pow(2).sum() for p in model.parameters())
    loss = F.cross_entropy(out, t) + 1e-3 * l2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
hook.remove()
print(loss, model.calls, model.scale, seen["first"].shape, list(model.state_dict()))
print(model)
""",
    "losses": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class FocalLoss(nn.Module):
    def forward(self, inputs, targets):
        ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
        return ((1 - torch.exp(-ce)) ** 2 * ce).mean()

x = torch.tensor(rng.standard_normal((6, 3))).float().requires_grad_()
t = torch.tensor([[0.0, 1, 0], [1, 1, 0]] * 3)
c = torch.tensor([0, 1, 2, 2, 1, 0])
for loss in (FocalLoss()(x, t), torch.sqrt(F.mse_loss(x, t) + 1e-6), F.cross_entropy(x, c),
             nn.CrossEntropyLoss(ignore_index=2)(x, c), F.cross_entropy(x, c - 1, ignore_index=-1),
             F.cross_entropy(x, F.one_hot(c, 3).float()), nn.HuberLoss(delta=0.5)(x, t),
             nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0]))(x, t),
             torch.mean(torch.log(torch.cosh(x - t))), F.l1_loss(x, t, reduction="sum"),
             -torch.log(x.softmax(1))[range(6), c].mean(), x.cumsum(axis=0).pow(2).mean()):
    x.grad = None
    loss.backward()
    print(f"{loss.item():.5f} {x.grad.abs().sum():.5f}")
""",
    "flowers in folds": """
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torch.utils.data.dataset import Dataset
from torch.utils.data.sampler import SubsetRandomSampler, SequentialSampler

class Flowers(Dataset):
    def __init__(self, n, transform=None):
        self.labels = rng.integers(0, 3, n)
        self.x = (rng.standard_normal((n, 4)) + self.labels[:, None]).astype(np.float32)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        sample = {"x": self.x[idx], "label": self.labels[idx]}
        if self.transform:
            sample["x"] = self.transform(sample["x"])
        return sample

data = Flowers(60, transform=lambda x: torch.from_numpy(x) / 2)
for fold, held in enumerate(np.split(np.arange(60), 3)):
    kept = [i for i in range(60) if i not in held]
    model = start(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(Subset(data, kept), batch_size=8, num_workers=0, pin_memory=False)
    for epoch in range(5):
        for batch in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(batch["x"]), batch["label"])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        right = 0
        for batch in DataLoader(data, batch_size=7, sampler=SubsetRandomSampler(held)):
            right += (model(batch["x"]).argmax(1) == batch["label"]).sum().item()
    print(fold, len(loader), f"{loss.item():.4f}", right, batch["x"].dtype, batch["label"].dtype)
""",
    "average of weights": """
import copy
import torch
import torch.nn as nn

class EMA:
    def __init__(self, model, decay):
        self.module = copy.deepcopy(model)
        self.module.eval()
        self.decay = decay
        for p in self.module.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for ema, p in zip(self.module.state_dict().values(), model.state_dict().values()):
            if ema.dtype.is_floating_point:
                ema.copy_(self.decay * ema + (1 - self.decay) * p)
            else:
                ema.copy_(p)

x = torch.tensor(rng.standard_normal((32, 6))).float()
y = (x[:, :1] * 2 - x[:, 1:2]).tanh()
net = start(nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Linear(12, 1)))
ema = EMA(net, 0.9)
opt = torch.optim.AdamW(net.parameters(), lr=1e-2)
for step in range(20):
    opt.zero_grad()
    loss = nn.MSELoss()(net(x), y)
    loss.backward()
    opt.step()
    ema.update(net)
print(f"{loss.item():.5f} {nn.MSELoss()(ema.module(x), y).item():.5f}")
print(any(p.requires_grad for p in ema.module.parameters()), ema.module[1].num_batches_tracked)
""",
    "warm up": """
import math
import torch
from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR
from torch.optim.lr_scheduler import ExponentialLR, ChainedScheduler, ReduceLROnPlateau, OneCycleLR

def cosine(optimizer, warm, total):
    def rate(step):
        if step < warm:
            return float(step) / float(max(1, warm))
        share = float(step - warm) / float(max(1, total - warm))
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * share)))
    return LambdaLR(optimizer, rate)

x = torch.tensor(rng.standard_normal((20, 3))).float()
y = x.sum(1, keepdim=True)
makers = {
    "lambda": lambda o: cosine(o, 3, 12),
    "sequence": lambda o: SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=4), CosineAnnealingLR(o, 8)], milestones=[4]),
    "chain": lambda o: ChainedScheduler([LinearLR(o, 0.5, total_iters=4), ExponentialLR(o, 0.9)]),
    "cycle": lambda o: OneCycleLR(o, max_lr=0.1, steps_per_epoch=4, epochs=4),
    "plateau": lambda o: ReduceLROnPlateau(o, "min", factor=0.5, patience=1),
}
for name, make in makers.items():
    model = start(nn.Linear(3, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for step in range(12):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if name == "plateau":
            scheduler.step(loss.item())
        else:
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    print(name, f"{loss.item():.5f}", [f"{rate:.5f}" for rate in rates])
""",
    "unfrozen later": """
import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import lr_scheduler

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x))

net = start(Net())
for param in net.body.parameters():
    param.requires_grad = False
optimizer = optim.SGD(filter(lambda p: p.requires_grad, net.parameters()), lr=0.1, momentum=0.9)
scheduler = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
x = torch.tensor(rng.standard_normal((16, 5)), dtype=torch.float32)
t = torch.tensor(rng.integers(0, 2, 16))
before = net.body[0].weight.clone()
for epoch in range(8):
    if epoch == 4:
        print(torch.equal(before, net.body[0].weight), net.body[0].weight.grad)
        for param in net.body.parameters():
            param.requires_grad = True
        optimizer.add_param_group({"params": net.body.parameters(), "lr": 0.01, "name": "body"})
    loss = nn.functional.cross_entropy(net(x), t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    print(epoch, f"{loss.item():.5f}", [f"{g['lr']:.5f}" for g in optimizer.param_groups])
print(torch.equal(before, net.body[0].weight), len(optimizer.param_groups))
""",
    "no decay for some": """
import torch
import torch.nn as nn

model = start(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.SiLU(), nn.Linear(6, 1)))
decay, no_decay = [], []
for name, param in model.named_parameters():
    if name.endswith(".bias") or param.ndim == 1:
        no_decay.append(param)
    else:
        decay.append(param)
groups = [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}]
x = torch.tensor(rng.standard_normal((12, 4))).float()
y = x.pow(2).sum(1, keepdim=True)
for optimizer in (torch.optim.AdamW(groups, lr=0.01), torch.optim.Adam(model.named_parameters()),
                  torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9, alpha=0.9),
                  torch.optim.Adagrad(model.parameters(), lr=0.05, lr_decay=0.01)):
    for step in range(10):
        optimizer.zero_grad()
        loss = nn.functional.smooth_l1_loss(model(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        nn.utils.clip_grad_value_(model.parameters(), clip_value=0.5)
        optimizer.step()
    print(len(optimizer.state), f"{loss.item():.5f} {norm.item():.5f}")
print(optimizer.state_dict()["param_groups"][0]["params"], len(groups[0]["params"]))
""",
    "hooks that look": """
import torch
import torch.nn as nn

model = start(nn.Sequential(
    nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)))
activations, grads = {}, {}

def look(name):
    def hook(module, inputs, output):
        activations[name] = output.detach()
        if output.requires_grad:
            output.register_hook(lambda grad: grads.__setitem__(name, grad))
    return hook

handles = [m.register_forward_hook(look(n)) for n, m in model.named_modules() if n]
x = torch.tensor(rng.standard_normal((6, 3))).float()
model(x).sum().backward()
for name in activations:
    print(name, tuple(activations[name].shape), f"{activations[name].abs().mean():.5f}",
          f"{grads[name].abs().mean():.5f}")
for handle in handles:
    handle.remove()
activations.clear()
model(x)
print(activations, sum(p.numel() for p in model.parameters()))
print([isinstance(m, nn.Linear) for m in model.children()], [n for n, _ in model.named_children()])
""",
    "surgery": """
import copy
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return x + self.act(self.fc(x))

model = nn.Sequential(Block(4), Block(4), nn.Linear(4, 2))
start(model)
x = torch.tensor(rng.standard_normal((5, 4))).float()
print(model(x).sum().item())

def replace(module):
    for name, child in list(module.named_children()):
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.Tanh())
        else:
            replace(child)

replace(model)
print(model)
print(model(x).sum().item())
model[2] = nn.Identity()
print(model(x).shape, len(list(model.parameters())))
tail = nn.Sequential(*list(model.children())[:-1], start(nn.Linear(4, 1, bias=False)))
print(tail(x).shape, [n for n, _ in tail.named_parameters()])
twin = copy.deepcopy(tail)
with torch.no_grad():
    twin[0].fc.weight.zero_()
print(tail[0].fc.weight.abs().sum().item() > 0, twin(x).mean().item())
del model[2]
model.append(start(nn.Linear(4, 3)))
print(len(model), model(x).shape, "1.fc.weight" in model.state_dict())
missing = model.load_state_dict({k: v for k, v in tail.state_dict().items() if k[0] == "0"},
                                strict=False)
print(missing.missing_keys, missing.unexpected_keys)
""",
    "noisy layers": """
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter

class NoisyLinear(nn.Module):
    def __init__(self, in_features, out_features, std_init=0.5):
        super(NoisyLinear, self).__init__()
        self.in_features, self.out_features, self.std_init = in_features, out_features, std_init
        self.weight_mu = Parameter(torch.empty(out_features, in_features))
        self.weight_sigma = Parameter(torch.empty(out_features, in_features))
        self.register_buffer("weight_epsilon", torch.empty(out_features, in_features))
        self.bias_mu = Parameter(torch.Tensor(out_features))
        self.bias_sigma = Parameter(torch.Tensor(out_features))
        self.register_buffer("bias_epsilon", torch.Tensor(out_features))
        self.reset_parameters()

    def reset_parameters(self):
        bound = 1 / math.sqrt(self.in_features)
        self.weight_mu.data.uniform_(-bound, bound)
        self.weight_sigma.data.fill_(self.std_init / math.sqrt(self.in_features))
        self.bias_mu.data.uniform_(-bound, bound)
        self.bias_sigma.data.fill_(self.std_init / math.sqrt(self.out_features))

    def scale_noise(self, size):
        x = torch.tensor(rng.standard_normal(size)).float()
        return x.sign().mul_(x.abs().sqrt_())

    def reset_noise(self):
        epsilon_in = self.scale_noise(self.in_features)
        epsilon_out = self.scale_noise(self.out_features)
        self.weight_epsilon.copy_(epsilon_out.outer(epsilon_in))
        self.bias_epsilon.copy_(epsilon_out)

    def forward(self, x):
        if not self.training:
            return F.linear(x, self.weight_mu, self.bias_mu)
        return F.linear(x, self.weight_mu + self.weight_sigma * self.weight_epsilon,
                        self.bias_mu + self.bias_sigma * self.bias_epsilon)

net = start(nn.Sequential(NoisyLinear(4, 8), nn.ReLU(), NoisyLinear(8, 2)))
target = {k: v.clone() for k, v in net.state_dict().items()}
print(sorted(target))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
state = torch.tensor(rng.standard_normal((10, 4))).float()
action = torch.tensor(rng.integers(0, 2, (10, 1)))
for step in range(10):
    for layer in net.modules():
        if isinstance(layer, NoisyLinear):
            layer.reset_noise()
    q = net(state).gather(1, action).squeeze(1)
    loss = F.smooth_l1_loss(q, state.mean(1))
    optimizer.zero_grad()
    loss.backward()
    for param in net.parameters():
        param.grad.data.clamp_(-1, 1)
    optimizer.step()
print(f"{loss.item():.5f}", f"{net.eval()(state).mean().item():.5f}")
print(f"{(net[0].weight_sigma - target['0.weight_sigma']).abs().sum().item():.4f}")
""",
    "masked layers": """
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

class MaskedLinear(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", torch.from_numpy(mask.astype(np.uint8)).float())
        self.weight = nn.Parameter(torch.empty(mask.shape))
        self.bias = nn.Parameter(torch.zeros(mask.shape[0]))

    def forward(self, x):
        return F.linear(x, self.mask * self.weight, self.bias)

class MADE(nn.Module):
    def __init__(self, n, hidden):
        super().__init__()
        degree = np.arange(hidden) % (n - 1)
        self.net = nn.Sequential(
            MaskedLinear(degree[:, None] >= np.arange(n)[None]), nn.ReLU(),
            MaskedLinear(np.arange(n)[:, None] > degree[None]))

    def forward(self, x):
        return self.net(x)

model = start(MADE(5, 12))
x = torch.tensor(rng.integers(0, 2, (30, 5))).float()
x[:, 1] = x[:, 0]
opt = torch.optim.Adam(model.parameters(), 1e-2, weight_decay=1e-4)
for epoch in range(30):
    loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"{loss.item():.4f}", list(model.state_dict()))
for i in range(5):
    probe = torch.zeros(1, 5, requires_grad=True)
    model(probe)[0, i].backward()
    print(i, (probe.grad[0] != 0).nonzero().flatten().tolist() if probe.grad is not None else [])
""",
    "variational": """
import torch
from torch import nn
from torch.nn import functional as F

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(16, 2)
        self.fc3, self.fc4 = nn.Linear(2, 16), nn.Linear(16, 8)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.tensor(rng.standard_normal(tuple(std.shape))).to(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 8))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar

def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 8), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD

model = start(VAE())
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data = torch.tensor(rng.random((40, 8))).float().round()
for epoch in range(5):
    train_loss = 0
    for batch in data.split(16):
        optimizer.zero_grad()
        loss = loss_function(*[model(batch)[0], batch, *model(batch)[1:]])
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(data):.4f}")
with torch.no_grad():
    print(model.decode(torch.zeros(1, 2)).round(decimals=2))
""",
    "adversaries": """
import torch
import torch.nn as nn

G = start(nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)))
D = start(nn.Sequential(nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid()))
criterion = nn.BCELoss()
optimizerD = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(G.parameters(), lr=0.01, betas=(0.5, 0.999))
for step in range(15):
    real = torch.tensor(rng.standard_normal((16, 1)) * 0.5 + 2).float()
    noise = torch.tensor(rng.standard_normal((16, 2))).float()
    label = torch.full((16,), 1.0)
    D.zero_grad()
    errD_real = criterion(D(real).view(-1), label)
    errD_real.backward()
    fake = G(noise)
    label.fill_(0.0)
    errD_fake = criterion(D(fake.detach()).view(-1), label)
    errD_fake.backward()
    optimizerD.step()
    G.zero_grad()
    label.fill_(1.0)
    errG = criterion(D(fake).view(-1), label)
    errG.backward()
    D_G_z2 = D(fake).mean().item()
    optimizerG.step()
print(f"{errD_real.item():.4f} {errD_fake.item():.4f} {errG.item():.4f} {D_G_z2:.4f}")
""",
    "bandit": """
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

policy = start(nn.Linear(3, 4, bias=False))
optimizer = torch.optim.RMSprop(policy.parameters(), lr=0.02)
baseline = 0.0
for episode in range(30):
    log_probs, rewards, entropies = [], [], []
    for t in range(4):
        state = F.one_hot(torch.tensor(t % 3), 3).float()
        probs = F.softmax(policy(state), dim=-1)
        p = probs.detach().numpy().astype(np.float64)
        action = int(rng.choice(4, p=p / p.sum()))
        log_probs.append(torch.log(probs[action]))
        entropies.append(-(probs * probs.log()).sum())
        rewards.append(float(action == t % 3))
    returns = torch.tensor(np.cumsum(rewards[::-1])[::-1].copy(), dtype=torch.float32)
    loss = -(torch.stack(log_probs) * (returns - baseline)).sum() - 0.01 * sum(entropies)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    baseline = 0.9 * baseline + 0.1 * returns.mean().item()
print(f"{loss.item():.4f} {baseline:.4f}", policy.weight.argmax(0))
""",
    "twins": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, a, b):
        return self.net(a), self.net(b)

class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=2.0):
        super(ContrastiveLoss, self).__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        distance = (output1 - output2 + 1e-6).pow(2).sum(1, keepdim=True).sqrt()
        return torch.mean((1 - label) * torch.pow(distance, 2)
                          + label * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2))

model, criterion = start(Siamese()), ContrastiveLoss(1.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
a, b = (torch.tensor(rng.standard_normal((20, 6))).float() for _ in range(2))
label = torch.tensor(rng.integers(0, 2, (20, 1))).float()
for epoch in range(20):
    optimizer.zero_grad()
    loss = criterion(*model(a, b), label)
    loss.backward()
    optimizer.step()
anchor, positive, negative = a[:5], a[:5] + 0.1, b[:5]
e = [model.net(x) for x in (anchor, positive, negative)]
triplet = F.relu((e[0] - e[1]).norm(dim=1) - (e[0] - e[2]).norm(dim=1) + 0.5).mean()
print(f"{loss.item():.5f} {triplet.item():.5f}")
""",
    "tied weights": """
import torch
from torch import nn
from torch.nn import functional as F

class Tied(nn.Module):
    def __init__(self, n, h):
        super().__init__()
        self.encoder = nn.Linear(n, h)
        self.decoder_bias = nn.Parameter(torch.zeros(n))

    def forward(self, x):
        h = torch.sigmoid(self.encoder(x))
        return F.linear(h, self.encoder.weight.t(), self.decoder_bias)

model = start(Tied(7, 3))
x = torch.tensor(rng.random((25, 7))).float()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for epoch in range(25):
    noisy = x * torch.tensor(rng.integers(0, 2, (25, 7))).float()
    loss = F.mse_loss(model(noisy), x) + 1e-3 * model.encoder.weight.abs().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}", [tuple(p.shape) for p in model.parameters()])

class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 5)
        self.out = nn.Linear(5, 9, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, ids):
        return self.out(self.embed(ids).mean(1))

lm = start(LanguageModel())
ids, t = torch.tensor(rng.integers(0, 9, (30, 4))), torch.tensor(rng.integers(0, 9, 30))
optimizer = torch.optim.SGD(lm.parameters(), lr=0.5)
for _ in range(10):
    optimizer.zero_grad()
    loss = F.cross_entropy(lm(ids), t)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}", len(list(lm.parameters())), lm.out.weight is lm.embed.weight,
      list(lm.state_dict()))
""",
    "several tasks": """
import torch
import torch.nn as nn

class MultiTask(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(10, n) for name, n in tasks.items()})
        self.log_vars = nn.ParameterDict({k: nn.Parameter(torch.zeros(1)) for k in tasks})

    def forward(self, x):
        h = self.shared(x)
        return {name: head(h) for name, head in self.heads.items()}

model = start(nn.ModuleList([MultiTask({"kind": 3, "size": 1})]))[0]
criteria = {"kind": nn.CrossEntropyLoss(label_smoothing=0.1), "size": nn.MSELoss()}
x = torch.tensor(rng.standard_normal((24, 6))).float()
targets = {"kind": torch.tensor(rng.integers(0, 3, 24)), "size": x[:, :1]}
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(15):
    outputs = model(x)
    losses = {k: criteria[k](outputs[k], targets[k]) for k in criteria}
    total = sum(torch.exp(-model.log_vars[k]) * losses[k] + model.log_vars[k] for k in losses)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
print({k: round(v.item(), 4) for k, v in losses.items()}, f"{total.item():.4f}")
print(list(dict(model.named_parameters())))
""",
    "mixed up": """
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

def mixup_data(x, y, lam, index):
    return lam * x + (1 - lam) * x[index, :], y, y[index]

def mixup_criterion(criterion, pred, y_a, y_b, lam):
    return lam * criterion(pred, y_a) + (1 - lam) * criterion(pred, y_b)

class LabelSmoothing(nn.Module):
    def __init__(self, smoothing=0.1):
        super().__init__()
        self.confidence, self.smoothing = 1.0 - smoothing, smoothing

    def forward(self, x, target):
        logprobs = F.log_softmax(x, dim=-1)
        nll_loss = -logprobs.gather(dim=-1, index=target.unsqueeze(1)).squeeze(1)
        return (self.confidence * nll_loss - self.smoothing * logprobs.mean(dim=-1)).mean()

model = start(nn.Sequential(nn.Linear(4, 12), nn.Hardswish(), nn.Linear(12, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4,
                            nesterov=True)
x, y = torch.tensor(rng.standard_normal((30, 4))).float(), torch.tensor(rng.integers(0, 3, 30))
smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
for criterion in (nn.CrossEntropyLoss(), LabelSmoothing(), smooth):
    for step in range(8):
        lam, index = rng.beta(0.4, 0.4), torch.from_numpy(rng.permutation(30))
        inputs, a, b = mixup_data(x, y, lam, index)
        loss = mixup_criterion(criterion, model(inputs), a, b, lam)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f} {criterion(model(x), y).item():.4f}")
""",
    "teacher and pupil": """
import torch
import torch.nn as nn
import torch.nn.functional as F

teacher = start(nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Linear(20, 4))).eval()
student = start(nn.Linear(5, 4))
for p in teacher.parameters():
    p.requires_grad = False
x, y = torch.tensor(rng.standard_normal((32, 5))).float(), torch.tensor(rng.integers(0, 4, 32))
T, alpha = 4.0, 0.7
kd = nn.KLDivLoss(reduction="batchmean")
optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
for epoch in range(20):
    with torch.no_grad():
        soft = F.softmax(teacher(x) / T, dim=1)
    logits = student(x)
    loss = alpha * T * T * kd(F.log_softmax(logits / T, dim=1), soft)
    loss = loss + (1 - alpha) * F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}", [p.grad for p in teacher.parameters()])
logs = logits.log_softmax(1), teacher(x).log_softmax(1)
print(f"{F.kl_div(*logs, log_target=True, reduction='sum').item():.4f}")
models = [start(nn.Linear(5, 4)) for _ in range(3)]
with torch.inference_mode():
    votes = torch.stack([m(x).softmax(-1) for m in models])
    print(votes.shape, votes.mean(0).argmax(-1)[:8].tolist(), f"{votes.std(0).mean().item():.5f}")
""",
    "bags of words": """
import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import Counter

text = "the cat sat on the mat the dog sat on the log a cat and a dog".split()
counts = Counter(text)
vocab = {w: i + 1 for i, w in enumerate(sorted(counts, key=lambda w: (-counts[w], w)))}
ids = [vocab[w] for w in text]

class CBOW(nn.Module):
    def __init__(self, n, dim):
        super().__init__()
        self.embeddings = nn.Embedding(n, dim, padding_idx=0)
        self.linear = nn.Linear(dim, n)

    def forward(self, inputs):
        mask = (inputs != 0).unsqueeze(-1).float()
        e = (self.embeddings(inputs) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return F.log_softmax(self.linear(e), dim=1)

padded = [0, 0, *ids, 0, 0]
context = torch.tensor([[padded[i + k] for k in (0, 1, 3, 4)] for i in range(len(ids))])
target = torch.tensor(ids)
model = start(CBOW(len(vocab) + 1, 6))
loss_function = nn.NLLLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for epoch in range(10):
    total = 0
    for c, t in zip(context.split(4), target.split(4)):
        model.zero_grad()
        loss = loss_function(model(c), t)
        loss.backward()
        optimizer.step()
        total += loss.item()
print(f"{total:.4f}", vocab["the"], model.embeddings.weight.grad[0].abs().sum().item())

center, outer = nn.Embedding(10, 4), nn.Embedding(10, 4)
start(center), start(outer)
opt = torch.optim.Adagrad(list(center.parameters()) + list(outer.parameters()), lr=0.1)
for step in range(10):
    c, o, neg = (torch.tensor(rng.integers(0, 10, s)) for s in (8, 8, (8, 3)))
    v, u, n = center(c), outer(o), outer(neg)
    others = F.logsigmoid(-torch.bmm(n, v.unsqueeze(2)).squeeze(2)).sum(1)
    loss = -(F.logsigmoid((v * u).sum(1)) + others).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"{loss.item():.5f}", F.softmax(center.weight @ outer.weight.T, dim=1).shape)
""",
    "factors": """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class MF(nn.Module):
    def __init__(self, n_users, n_items, k=3):
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, k), nn.Embedding(n_items, k)
        self.user_bias, self.item_bias = nn.Embedding(n_users, 1), nn.Embedding(n_items, 1)
        self.mean = nn.Parameter(torch.FloatTensor([3.0]), requires_grad=False)

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1)
        return dot + self.user_bias(u).squeeze(-1) + self.item_bias(i).squeeze(-1) + self.mean

users, items = torch.tensor(rng.integers(0, 6, 50)), torch.tensor(rng.integers(0, 8, 50))
ratings = torch.tensor(rng.integers(1, 6, 50)).float()
model = MF(6, 8)
for name, p in model.named_parameters():
    if p.requires_grad:
        nn.init.constant_(p, 0.1) if "bias" in name else start(getattr(model, name.split(".")[0]))
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
loader = DataLoader(TensorDataset(users, items, ratings), batch_size=10, drop_last=True)
for epoch in range(6):
    running = 0.0
    for u, i, r in loader:
        loss = nn.functional.mse_loss(model(u, i), r)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(r)
    print(epoch, f"{running / len(loader.dataset):.4f}")
print(model.mean, sum(p.numel() for p in model.parameters()))
""",
    "own rules": """
import torch
import torch.nn as nn
from torch.optim.optimizer import Optimizer
from torch.optim.lr_scheduler import LRScheduler

class Lion(Optimizer):
    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[p]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p)
                beta1, beta2 = group["betas"]
                update = state["exp_avg"] * beta1 + p.grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                state["exp_avg"].mul_(beta2).add_(p.grad, alpha=1 - beta2)
        return loss

class Lookahead(Optimizer):
    def __init__(self, optimizer, k=5, alpha=0.5):
        self.optimizer, self.k, self.alpha, self.count = optimizer, k, alpha, 0
        self.param_groups = optimizer.param_groups
        self.state = optimizer.state
        self.defaults = optimizer.defaults
        self.slow = [[p.clone().detach() for p in g["params"]] for g in self.param_groups]

    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        self.count += 1
        if self.count % self.k == 0:
            for group, slow in zip(self.param_groups, self.slow):
                for p, q in zip(group["params"], slow):
                    q.data.add_(p.data - q.data, alpha=self.alpha)
                    p.data.copy_(q.data)
        return loss

    def zero_grad(self):
        self.optimizer.zero_grad()

class Harmonic(LRScheduler):
    def __init__(self, optimizer, power, last_epoch=-1):
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [base / (1 + self.last_epoch) ** self.power for base in self.base_lrs]

x = torch.tensor(rng.standard_normal((20, 4))).float()
y = x @ torch.tensor([[1.0], [-2], [0.5], [3]])
for make in (lambda p: Lion(p, weight_decay=0.01),
             lambda p: Lookahead(torch.optim.SGD(p, lr=0.05))):
    model = start(nn.Linear(4, 1))
    optimizer = make(model.parameters())
    scheduler = Harmonic(optimizer if isinstance(optimizer, Lion) else optimizer.optimizer, 0.5)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    for step in range(12):
        loss = optimizer.step(closure)
        scheduler.step()
    print(type(optimizer).__name__, f"{loss.item():.5f}", f"{scheduler.get_last_lr()[0]:.5f}",
          scheduler.last_epoch)
""",
    "gathered gradients": """
import torch
import torch.nn as nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.nn.utils.clip_grad import clip_grad_norm_

class Scaled(nn.MSELoss):
    def __init__(self, scale, **options):
        super().__init__(**options)
        self.scale = scale

    def forward(self, input, target):
        return self.scale * super().forward(input, target)

def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.constant_(m.weight, 0.1)
        m.bias.data.fill_(0.01)

model = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 2))
model.apply(init_weights)
criterion = Scaled(0.5, reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = (torch.tensor(rng.standard_normal((32, n))).float() for n in (3, 2))
accumulation = 4
for epoch in range(3):
    optimizer.zero_grad()
    for i, (inputs, labels) in enumerate(zip(x.chunk(8), y.chunk(8))):
        loss = criterion(model(inputs), labels) / accumulation
        loss.backward()
        if (i + 1) % accumulation == 0:
            norm = clip_grad_norm_(model.parameters(), max_norm=1.0, norm_type=2)
            optimizer.step()
            optimizer.zero_grad()
    print(f"{loss.item():.5f} {norm:.5f}")
vector = parameters_to_vector(model.parameters())
vector_to_parameters(vector.detach() * 0.5, model.parameters())
criterion.reduction = "mean"
print(vector.shape, f"{vector.norm().item():.5f} {criterion(model(x), y).item():.5f}")
loss = criterion(model(x), y)
grads = torch.autograd.grad(loss, list(model.parameters()))
print([f"{nn.utils.get_total_norm(grads, p).item():.5f}" for p in (1, 2.0, float("inf"))])
""",
    "operators": """
import torch
import torch.nn as nn

class DeepONet(nn.Module):
    def __init__(self, m, p):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(m, 16), nn.Tanh(), nn.Linear(16, p))
        self.trunk = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, p), nn.Tanh())
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, u, y):
        return torch.matmul(self.branch(u), self.trunk(y).T) + self.bias

sensors = torch.linspace(0, 1, 10)
a = torch.tensor(rng.standard_normal((12, 1))).float()
u = a * torch.sin(3.0 * sensors)[None, :]
y = torch.linspace(0, 1, 15).unsqueeze(1)
s = a * (1 - torch.cos(3.0 * y.T)) / 3
model = start(DeepONet(10, 8))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[10, 20], gamma=0.3)
for it in range(30):
    optimizer.zero_grad()
    loss = torch.mean((model(u, y) - s) ** 2)
    loss.backward()
    optimizer.step()
    scheduler.step()
print(f"{loss.item():.6f} {scheduler.get_last_lr()[0]:.5f}")
ts = torch.linspace(0, 1, 11).view(-1, 1)
ts.requires_grad_(True)
out = model(u[:1], ts)
slope, = torch.autograd.grad(out, ts, grad_outputs=torch.ones_like(out))
print(slope.shape, f"{slope.mean().item():.4f}")
""",
    "gradients of one's own": """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function

class GradReverse(Function):
    @staticmethod
    def forward(ctx, x, lambd):
        ctx.lambd = lambd
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.lambd, None

class BinarizeSTE(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign()

    @staticmethod
    def backward(ctx, grad_output):
        input, = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input.abs() > 1] = 0
        return grad_input

class Domains(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = start(nn.Linear(4, 8))
        self.label, self.domain = start(nn.Linear(8, 3)), start(nn.Linear(8, 2))

    def forward(self, x, alpha):
        h = torch.tanh(self.features(x))
        return self.label(BinarizeSTE.apply(h)), self.domain(GradReverse.apply(h, alpha))

model = Domains()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
x = torch.tensor(rng.standard_normal((24, 4))).float()
y, d = torch.tensor(rng.integers(0, 3, 24)), torch.tensor(rng.integers(0, 2, 24))
for i in range(10):
    alpha = 2.0 / (1.0 + torch.exp(torch.tensor(-10 * i / 10.0)).item()) - 1
    class_output, domain_output = model(x, alpha)
    loss = F.cross_entropy(class_output, y) + F.cross_entropy(domain_output, d)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}", domain_output.grad_fn is not None, BinarizeSTE.apply(x).requires_grad)
print(GradReverse.apply(model.features(x), 1.0).sum())
""",
    "sharpness aware": """
import torch
import torch.nn as nn

class SAM(torch.optim.Optimizer):
    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        assert rho >= 0.0, f"Invalid rho, should be non-negative: {rho}"
        defaults = dict(rho=rho, **kwargs)
        super(SAM, self).__init__(params, defaults)
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups
        self.defaults.update(self.base_optimizer.defaults)

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        grads = [p.grad.norm(p=2) for g in self.param_groups for p in g["params"]
                 if p.grad is not None]
        norm = torch.norm(torch.stack(grads), p=2)
        for group in self.param_groups:
            scale = group["rho"] / (norm + 1e-12)
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.state[p]["old_p"] = p.data.clone()
                p.add_(p.grad * scale.to(p))
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

net = start(nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)))
x = torch.tensor(rng.standard_normal((20, 3))).float()
y = x[:, :1] * x[:, 1:2]
optimizer = SAM(net.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9, rho=0.1)
for step in range(12):
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.first_step(zero_grad=True)
    nn.functional.mse_loss(net(x), y).backward()
    optimizer.second_step(zero_grad=True)
print(f"{loss.item():.5f}", sorted(optimizer.param_groups[0])[-2:], optimizer.defaults["rho"])
""",
    "adam by hand": """
import math
import torch
from torch.optim.optimizer import Optimizer

class AdamWClone(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        if not 0.0 <= lr:
            raise ValueError("Invalid learning rate: {}".format(lr))
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def step(self, closure=None):
        loss = None if closure is None else closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad.data
                if grad.is_sparse:
                    raise RuntimeError("Adam does not support sparse gradients")
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p.data)
                    state["exp_avg_sq"] = torch.zeros_like(p.data)
                state["step"] += 1
                state["exp_avg"].lerp_(grad, 1 - beta1)
                state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                denom = state["exp_avg_sq"].sqrt().add_(group["eps"])
                correction = math.sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                p.data.addcdiv_(state["exp_avg"], denom, value=-group["lr"] * correction)
        return loss

x = torch.tensor(rng.standard_normal((20, 3))).float()
net = start(torch.nn.Linear(3, 1))
optimizer = AdamWClone(net.parameters(), lr=0.05, weight_decay=0.01)
target = [p.detach().clone() for p in net.parameters()]
for step in range(20):
    optimizer.zero_grad()
    loss = (net(x) - 1).pow(2).mean()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, p in zip(target, net.parameters()):
            slow.lerp_(p, 0.1)
print(f"{loss.item():.5f}", target, sorted(optimizer.state_dict()["state"][0]))
""",
    "codes": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class VectorQuantizer(nn.Module):
    def __init__(self, n, dim, commitment_cost=0.25):
        super().__init__()
        self._embedding = start(nn.Embedding(n, dim))
        self._n, self._commitment_cost = n, commitment_cost

    def forward(self, inputs):
        distances = (torch.sum(inputs**2, dim=1, keepdim=True)
                     + torch.sum(self._embedding.weight**2, dim=1)
                     - 2 * torch.matmul(inputs, self._embedding.weight.t()))
        indices = torch.argmin(distances, dim=1).unsqueeze(1)
        encodings = torch.zeros(indices.shape[0], self._n, device=inputs.device)
        encodings.scatter_(1, indices, 1)
        quantized = torch.matmul(encodings, self._embedding.weight).view(inputs.shape)
        loss = F.mse_loss(quantized, inputs.detach())
        loss = loss + self._commitment_cost * F.mse_loss(quantized.detach(), inputs)
        probs = torch.mean(encodings, dim=0)
        perplexity = torch.exp(-torch.sum(probs * torch.log(probs + 1e-10)))
        return loss, inputs + (quantized - inputs).detach(), perplexity, indices

encoder, decoder, vq = start(nn.Linear(6, 3)), start(nn.Linear(3, 6)), VectorQuantizer(5, 3)
params = [*encoder.parameters(), *vq.parameters(), *decoder.parameters()]
optimizer = torch.optim.Adam(params, lr=1e-2)
x = torch.tensor(rng.standard_normal((30, 6))).float()
for epoch in range(15):
    vq_loss, quantized, perplexity, indices = vq(encoder(x))
    loss = F.mse_loss(decoder(quantized), x) + vq_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f} {perplexity.item():.4f}")
counts = torch.zeros(5).scatter_add_(0, indices.squeeze(1), torch.ones(30))
sums = torch.zeros(5, 3).index_add_(0, indices.squeeze(1), quantized.detach())
print(counts, sums / counts.clamp_min(1).unsqueeze(1))
print(torch.addmm(torch.zeros(3), x, encoder.weight.t(), alpha=0.5).shape)
""",
    "distances to learn": """
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = start(nn.Sequential(nn.Linear(6, 12), nn.LayerNorm(12), nn.PReLU()))
        self.head = start(nn.Linear(12, 6))
        self.glu = nn.GLU(dim=1)

    def forward(self, x):
        return self.glu(self.head(self.body(x)))

model = Net()
print(model)
losses = {"triplet": nn.TripletMarginLoss(margin=1.0, p=2),
          "cosine": nn.CosineEmbeddingLoss(margin=0.2),
          "ranking": nn.MarginRankingLoss(margin=0.5), "hinge": nn.HingeEmbeddingLoss()}
a, p, n = (torch.tensor(rng.standard_normal((16, 6))).float() for _ in range(3))
y = torch.tensor(rng.choice([-1.0, 1.0], 16)).float()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for epoch in range(10):
    ea, ep, en = model(a), model(p), model(n)
    parts = {"triplet": losses["triplet"](ea, ep, en), "cosine": losses["cosine"](ea, ep, y),
             "ranking": losses["ranking"](ea.sum(1), ep.sum(1), y),
             "hinge": losses["hinge"](nn.functional.pairwise_distance(ea, ep), y)}
    loss = sum(parts.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print({k: f"{v.item():.4f}" for k, v in parts.items()}, model.body[2].weight)
print(nn.CosineSimilarity(dim=1)(ea, ep)[:3], nn.PairwiseDistance(p=2)(ea, en)[:3])

spread = start(nn.Linear(6, 2))
optimizer = torch.optim.Adam(spread.parameters(), lr=0.05)
gaussian, poisson = nn.GaussianNLLLoss(), nn.PoissonNLLLoss()
counts = torch.tensor(rng.poisson(2.0, 16)).float()
for epoch in range(10):
    mean, logvar = spread(a).split(1, dim=1)
    loss = gaussian(mean.squeeze(1), counts, logvar.squeeze(1).exp())
    loss = loss + poisson(mean, counts[:, None])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
""",
    "attention by letters": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = start(nn.Linear(dim, 3 * dim, bias=False)), start(nn.Linear(dim, dim))
        self.register_buffer("mask", torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1))

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (t.reshape(b, n, self.heads, -1) for t in self.qkv(x).chunk(3, dim=-1))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * (d // self.heads) ** -0.5
        scores = scores.masked_fill(self.mask, float("-inf"))
        return self.out(torch.einsum("bhij,bjhd->bihd", F.softmax(scores, -1), v).flatten(2))

net = nn.Sequential(Attention(8, 2), nn.LayerNorm(8), start(nn.Linear(8, 8)))
x = torch.tensor(rng.standard_normal((3, 5, 8))).float()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, betas=(0.9, 0.95))
for step in range(6):
    loss = (net(x) - x.roll(1, 1)).pow(2).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
W = torch.tensor(rng.standard_normal((2, 8, 8))).float()
print(f"{loss.item():.5f}", torch.einsum("bi,kij,bj->bk", x[:, 0], W, x[:, 1]))
print(torch.einsum("ii", W[0]), torch.einsum("kii->ki", W).shape, f"{torch.pi:.4f}")
print(list(net[0].state_dict()), type(net.state_dict()).__name__)
""",
    "averages by the library": """
import torch
import torch.nn as nn
from torch.optim.swa_utils import AveragedModel, SWALR, get_ema_multi_avg_fn, update_bn

model = start(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)))
swa_model = AveragedModel(model)
ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
swa_scheduler = SWALR(optimizer, anneal_strategy="linear", anneal_epochs=3, swa_lr=0.05)
x = torch.tensor(rng.standard_normal((32, 4))).float()
y = x[:, :1] * x[:, 1:2]
loader = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)]
for epoch in range(12):
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        ema_model.update_parameters(model)
    if epoch > 6:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    else:
        scheduler.step()
    print(epoch, f"{optimizer.param_groups[0]['lr']:.5f}")
update_bn(loader, swa_model)
swa_model.eval()
print(f"{nn.functional.mse_loss(swa_model(x), y).item():.5f}", swa_model.n_averaged)
print(ema_model(x).mean(), swa_model.module[1].running_var, list(swa_model.state_dict())[:2])
""",
}


def start_with(torch, rng):
    """start(module): the module, its weights drawn by NumPy."""

    def start(module):
        with torch.no_grad():
            for p in module.parameters():
                bound = p.shape[-1] ** -0.5
                p.copy_(torch.tensor(rng.uniform(-bound, bound, tuple(p.shape)).astype("f4")))
        return module

    return start


def run(program, library):
    """What a program prints with "torch" or "fastbp", in the current folder."""
    torch = __import__(library)
    rng = np.random.default_rng(0)
    if library == "fastbp":
        program = re.sub(
            r"^import fastbp$", "import fastbp as torch", IMPORT.sub(r"\1 fastbp", program), flags=re.MULTILINE
        )
    names = {"__name__": "program", "rng": rng, "start": start_with(torch, rng)}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "program", "exec"), names)
    return out.getvalue().replace("torch.", "fastbp.")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_it_prints_with_pytorch(name, tmp_path, monkeypatch):
    if name == "checkpoint":
        pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    try:
        expected = run(PROGRAMS[name], "torch")
    except ModuleNotFoundError:
        expected = json.loads(STORED.read_text("utf-8"))[name]
    got = run(PROGRAMS[name], "fastbp")
    assert NUMBER.sub("#", got) == NUMBER.sub("#", expected)
    a, b = (np.array(NUMBER.findall(text), float) for text in (got, expected))
    np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)


def test_every_program_has_stored_results():
    assert json.loads(STORED.read_text("utf-8")).keys() == PROGRAMS.keys()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        results = {name: run(program, "torch") for name, program in PROGRAMS.items()}
    STORED.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
