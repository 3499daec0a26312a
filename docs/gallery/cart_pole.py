"""
A pole that is kept upright
===========================

A pole stands on a cart, and at each moment the cart is pushed to the left or to the right.  A network gives the
chance of each push; fifty carts run by it at a time, and it is taught what the best ten of them did, until all are
good (the cross-entropy method).  On the left how long the carts lasted, on the right the pole's angle before and after.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Sequential, Tanh

LIMIT = 300  # steps of 0.02 s


def after(state, push):
    """The states a step later (Barto, Sutton and Anderson, 1983)."""
    _, speed, angle, turn = state.T
    sin, cos = np.sin(angle), np.cos(angle)
    force = (np.where(push, 10.0, -10.0) + 0.05 * turn**2 * sin) / 1.1
    fall = (9.8 * sin - cos * force) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    drive = force - 0.05 * fall * cos / 1.1
    return state + 0.02 * np.stack([speed, drive, turn, fall], axis=1)


def run(net, carts, rng):
    """States and pushes (steps, carts, ...), and how many steps each cart lasted."""
    state = rng.uniform(-0.05, 0.05, (carts, 4))
    states, pushes, lasted = [], [], np.zeros(carts, int)
    for step in range(LIMIT):
        push = rng.uniform(size=carts) < net.predict_proba(state)[:, 1]
        states.append(state)
        pushes.append(push)
        state = after(state, push)
        up = (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < np.pi / 15)
        lasted += up & (lasted == step)
        state = np.where((lasted == step + 1)[:, None], state, 0)
    return np.array(states), np.array(pushes), lasted


net = Sequential(
    Linear(4, 32, seed=0), Tanh(), Linear(32, 2, seed=1), loss="softmax_cross_entropy"
)
rng = np.random.default_rng(0)
before, history = run(net, 1, np.random.default_rng(1)), []
for _ in range(25):
    states, pushes, lasted = run(net, 50, rng)
    history.append(np.percentile(lasted, [10, 50, 90]))
    best = np.argsort(-lasted, kind="stable")[:10]
    kept = np.arange(LIMIT)[:, None] < lasted[best]
    x, t = states[:, best][kept], pushes[:, best][kept].astype(int)
    net.fit(x, t, epochs=5, batch_size=64, optimizer="adam", seed=0)
print(
    f"half of the carts last {history[0][1]:.0f} steps at first, {history[-1][1]:.0f} at the end"
)

low, middle, high = np.transpose(history)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.fill_between(range(25), low, high, color="#56B4E9", alpha=0.4)
left.plot(middle, color="#0072B2")
left.set(xlabel="rounds", ylabel="steps upright, median and 10 to 90 %")
for (states, _, lasted), colour, name in (
    (before, "#D55E00", "before"),
    (run(net, 1, np.random.default_rng(1)), "#0072B2", "after"),
):
    angle = np.degrees(states[: lasted[0], 0, 2])
    right.plot(0.02 * np.arange(len(angle)), angle, color=colour, label=name)
right.set(xlabel="seconds", ylabel="angle of the pole, degrees")
right.legend(frameon=False)
plt.show()
