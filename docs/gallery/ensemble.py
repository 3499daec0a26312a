"""
What a network does not know
============================

Twenty networks that differ in their first weights alone agree where there were rows, and disagree where there
were none: the spread of an ensemble is a measure of what is not known.  Threads train them beside each other.
"""

from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Sequential, Tanh

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-4, -1, 60), rng.uniform(1.5, 4, 60)])
x = x[:, np.newaxis].astype("float32")
t = (np.sin(x) + 0.1 * rng.normal(size=x.shape)).astype("float32")


def trained(seed):
    """One network of the ensemble."""
    net = Sequential(
        Linear(1, 50, seed=seed),
        Tanh(),
        Linear(50, 1, seed=seed + 100),
        loss="squared_error",
    )
    net.fit(x, t, epochs=500, batch_size=30, optimizer="adam", seed=seed)
    return net


with ThreadPoolExecutor() as pool:
    nets = list(pool.map(trained, range(20)))

places = np.linspace(-6, 6, 200, dtype="float32")[:, np.newaxis]
curves = np.stack([net.predict(places)[:, 0] for net in nets])
mean, spread = curves.mean(axis=0), curves.std(axis=0)
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.fill_between(
    places[:, 0], mean - 2 * spread, mean + 2 * spread, color="#56B4E9", alpha=0.4
)
axes.plot(places, mean, color="#0072B2")
axes.scatter(x, t, s=10, color="black")
axes.set_ylim(-3, 3)
plt.show()
