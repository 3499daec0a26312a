"""
Words that are like each other
==============================

A network that guesses a word's neighbours from the word.  Words with the same neighbours get alike rows in its table,
although it knows nothing but their order in a toy text of a few hundred sentences: people, animals, food, places and
what they do find together.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Embeddings, Linear, Sequential

KINDS = {
    "person": "king queen girl boy teacher",
    "animal": "dog cat horse bird fox",
    "food": "bread apple cheese soup rice",
    "place": "castle school garden forest kitchen",
    "speak": "says tells asks",
    "eat": "eats likes wants",
    "go": "walks runs goes",
}
SENTENCES = (
    "the person eat some food",
    "the person go to the place",
    "the animal go in the place",
    "the person speak a word to the person",
    "the animal eat the food",
    "a person in the place",
)
rng = np.random.default_rng(0)
words = {kind: names.split() for kind, names in KINDS.items()}
pairs = []
for _ in range(1500):
    sentence = [
        rng.choice(words[word]) if word in words else word
        for word in SENTENCES[rng.integers(len(SENTENCES))].split()
    ]
    pairs += [
        (sentence[i], sentence[j])
        for i in range(len(sentence))
        for j in range(max(i - 2, 0), min(i + 3, len(sentence)))
        if i != j
    ]
vocabulary = sorted({word for pair in pairs for word in pair})
x, t = np.searchsorted(vocabulary, np.array(pairs)).T
net = Sequential(
    Embeddings([len(vocabulary)], widths=8, init=0.1, seed=0),
    Linear(8, len(vocabulary), seed=1),
    loss="softmax_cross_entropy",
)
net.fit(x[:, np.newaxis], t, epochs=15, batch_size=64, seed=0)

vectors = dict(zip(vocabulary, net.layers[0].tables[0], strict=True))
drawn = {word: kind for kind, names in words.items() for word in names}
table = np.array([vectors[word] / np.linalg.norm(vectors[word]) for word in drawn])
for word in ("dog", "castle", "eats"):
    near = np.argsort(-table @ table[list(drawn).index(word)], kind="stable")[1:3]
    print(f"{word:>6} is like", ", ".join(list(drawn)[k] for k in near))

centred = table - table.mean(axis=0)
plane = centred @ np.linalg.svd(centred)[2][:2].T  # the two main axes
figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
for kind, colour in zip(words, plt.cm.Dark2.colors, strict=False):
    which = np.array([drawn[word] == kind for word in drawn])
    axes.scatter(*plane[which].T, color=colour, s=12)
    lines = "\n".join(words[kind])
    middle = plane[which].mean(axis=0)
    axes.annotate(
        lines, middle, (8, 0), textcoords="offset points", color=colour, va="center"
    )
axes.margins(0.15)
plt.show()
