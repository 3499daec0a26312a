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
        program = re.sub(r"^import fastbp$", "import fastbp as torch",
                         IMPORT.sub(r"\1 fastbp", program), flags=re.MULTILINE)  # fmt: skip
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
