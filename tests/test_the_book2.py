"""Scripts of *Deep Learning from Scratch 2*, chapters 1 to 4, with `fastbp.book2` as import."""
# ruff: noqa: F405, NPY002  (the book imports *, and draws from NumPy's global generator)

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import book2
from fastbp.book2 import *  # noqa: F403

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from bench.in_numpy import book2 as twin  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["MatMul", "Affine", "Sigmoid"])
def test_layers_have_the_books_lists(name, dtype):
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    x, W, b = (np.random.randn(*shape).astype(dtype) for shape in ((7, 4), (4, 3), (3,)))
    arrays = {"MatMul": (W,), "Affine": (W, b), "Sigmoid": ()}[name]
    layer, theirs = getattr(book2, name)(*arrays), getattr(twin, name)(*(each.copy() for each in arrays))
    assert len(layer.params) == len(layer.grads) == len(arrays)
    assert all(param is array for param, array in zip(layer.params, arrays, strict=True))
    kept = list(layer.grads)
    for _ in range(2):
        out, expected = layer.forward(x), theirs.forward(x)
        np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
        dout = np.random.randn(*out.shape).astype(dtype)
        given = dout.copy()
        np.testing.assert_allclose(layer.backward(dout), theirs.backward(dout), rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(dout, given)
        for grad, first, other in zip(layer.grads, kept, theirs.grads, strict=True):
            assert grad is first  # lists that a network has gathered stay the layer's
            np.testing.assert_allclose(grad, other, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (0,), ()], ids=str)
def test_embedding_adds_the_rows_of_the_same_word(shape, dtype):
    W = np.random.randn(5, 3).astype(dtype)
    layer, theirs = Embedding(W), twin.Embedding(W.copy())
    idx = np.random.randint(5, size=shape)
    np.testing.assert_array_equal(layer.forward(idx), theirs.forward(idx))
    dout = np.random.randn(*shape, 3).astype(dtype)
    assert layer.backward(dout) is None
    theirs.backward(dout)
    np.testing.assert_allclose(layer.grads[0], theirs.grads[0], rtol=1e-5)
    layer.params[0] -= layer.grads[0]
    assert layer.params[0] is W and (layer.forward(idx) == W[idx]).all()


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda W: W[::2], lambda W: W.astype(">f8")], ids="FSB")
def test_embedding_of_other_layouts(layout):
    W = layout(np.random.randn(6, 4))
    layer, idx = Embedding(W), np.array([2, 0, 2])
    np.testing.assert_array_equal(layer.forward(idx), W[idx])
    layer.backward(np.ones((3, 4)))
    np.testing.assert_array_equal(layer.grads[0][:, 0], [1, 0, 2, 0, 0, 0][: len(W)])


def test_losses_and_softmax_have_empty_lists():
    x, t = np.random.randn(5, 3), np.array([0, 2, 1, 1, 0])
    ours, theirs = SoftmaxWithLoss(), twin.SoftmaxWithLoss()
    for target in (t, np.eye(3, dtype="i4")[t]):
        assert ours.forward(x, target) == pytest.approx(theirs.forward(x, target), abs=1e-5)  # its 1e-7
        np.testing.assert_allclose(ours.backward(2), theirs.backward(2), rtol=1e-12)
    layer, dout = Softmax(), np.random.randn(5, 3)
    y = layer.forward(x)
    expected = y * (dout - (y * dout).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(layer.backward(dout), expected, rtol=1e-12)
    for each in (ours, layer, SigmoidWithLoss(), Dropout(), Relu()):
        assert each.params == each.grads == []


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"])
def test_optimizers_update_lists_as_they_do_dicts(name):
    ours = [np.random.randn(3, 2), np.random.randn(2)]
    by_name = {str(k): param.copy() for k, param in enumerate(ours)}
    arrays, one, other = list(ours), getattr(book2, name)(lr=0.1), getattr(book2, name)(lr=0.1)
    for _ in range(4):
        grads = [np.random.randn(*param.shape) for param in ours]
        one.update(ours, grads)
        other.update(by_name, {str(k): grad for k, grad in enumerate(grads)})
    for param, array, expected in zip(ours, arrays, by_name.values(), strict=True):
        assert param is array
        np.testing.assert_array_equal(param, expected)


def test_lists_of_numbers_and_lists_that_do_not_fit():
    params = [1.0, np.ones(2)]
    SGD(lr=0.5).update(params, [2.0, np.ones(2)])
    assert params[0] == 0.0 and params[1].tolist() == [0.5, 0.5]
    before = params[1].copy()
    for grads, match in (
        ([1.0], "expects a gradient for each of 2 parameters; got 1."),
        ([1.0, np.ones(3)], r"expects grads\[1\] of shape \(2,\)"),
        (None, "expects grads as a list of arrays"),
        ({0: 1.0, 1: np.ones(2)}, "expects grads as a list of arrays"),
    ):
        with pytest.raises((ValueError, TypeError), match=match):
            SGD(lr=0.5).update(params, grads)
    assert params[0] == 0.0 and (params[1] == before).all()


# --- chapter 1 ----------------------------------------------------------------------------------


def spiral(n=30, n_classes=3):
    """Arms of a spiral, as the book's data set has them."""
    x, t = np.zeros((n * n_classes, 2)), np.zeros((n * n_classes, n_classes), int)
    for j in range(n_classes):
        rate = np.arange(n) / n
        theta = j * 4.0 + 4.0 * rate + np.random.randn(n) * 0.2
        x[j * n : (j + 1) * n] = np.stack([rate * np.sin(theta), rate * np.cos(theta)], axis=1)
        t[j * n : (j + 1) * n, j] = 1
    return x, t


def test_forward_net():
    class TwoLayerNet:
        def __init__(self, input_size, hidden_size, output_size):
            I, H, O = input_size, hidden_size, output_size  # noqa: E741
            W1, b1, W2, b2 = np.random.randn(I, H), np.random.randn(H), np.random.randn(H, O), np.random.randn(O)
            self.layers = [Affine(W1, b1), Sigmoid(), Affine(W2, b2)]
            self.params = []
            for layer in self.layers:
                self.params += layer.params

        def predict(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x

    x = np.random.randn(10, 2)
    model = TwoLayerNet(2, 4, 3)
    W1, b1, W2, b2 = model.params
    np.testing.assert_allclose(model.predict(x), 1 / (1 + np.exp(-(x @ W1 + b1))) @ W2 + b2)


def test_train_custom_loop():
    x, t = spiral()
    model, theirs = (kind(input_size=2, hidden_size=10, output_size=3) for kind in (TwoLayerNet, twin.TwoLayerNet))
    for param, other in zip(model.params, theirs.params, strict=True):
        other[...] = param
    optimizer, twins_optimizer = SGD(lr=1.0), twin.SGD(lr=1.0)
    data_size, batch_size, loss_list = len(x), 30, []
    for _ in range(10):
        idx = np.random.permutation(data_size)
        x, t = x[idx], t[idx]
        for iters in range(data_size // batch_size):
            batch_x = x[iters * batch_size : (iters + 1) * batch_size]
            batch_t = t[iters * batch_size : (iters + 1) * batch_size]
            loss = model.forward(batch_x, batch_t)
            model.backward()
            optimizer.update(model.params, model.grads)
            loss_list.append(loss)
            assert loss == pytest.approx(theirs.forward(batch_x, batch_t), rel=1e-6)
            theirs.backward()
            twins_optimizer.update(theirs.params, theirs.grads)
    for param, other in zip(model.params, theirs.params, strict=True):
        np.testing.assert_allclose(param, other, rtol=1e-9, atol=1e-12)


def test_train_by_the_trainer(capsys):
    x, t = spiral()
    model, theirs = (kind(2, 10, 3) for kind in (TwoLayerNet, twin.TwoLayerNet))
    for param, other in zip(model.params, theirs.params, strict=True):
        other[...] = param
    state = np.random.get_state()
    trainer = Trainer(model, SGD(lr=1.0))
    trainer.fit(x, t, 300, 30, eval_interval=10)
    np.random.set_state(state)
    losses = twin.fit(theirs, twin.SGD(lr=1.0), x, t, 300, 30)
    for param, other in zip(model.params, theirs.params, strict=True):
        np.testing.assert_allclose(param, other, rtol=1e-6, atol=1e-8)
    assert len(trainer.loss_list) == 300 and trainer.current_epoch == 300
    assert trainer.loss_list[0] == pytest.approx(losses[0], rel=1e-6)
    assert trainer.loss_list[1] == pytest.approx(np.mean(losses[1:4]), rel=1e-5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 300 and re.fullmatch(r"\| epoch 1 \|  iter 1 / 3 \| time \d+\[s\] \| loss 1\.\d\d", lines[0])
    assert trainer.loss_list[-1] < 0.8 < 1 < trainer.loss_list[0]
    assert np.mean(model.predict(x).argmax(axis=1) == t.argmax(axis=1)) > 0.6


def test_the_trainer_draws_its_losses(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    trainer = Trainer(TwoLayerNet(2, 5, 3), SGD(lr=1.0))
    trainer.fit(*spiral(), max_epoch=2, eval_interval=1)
    trainer.plot(ylim=(0, 2))
    (line,) = pyplot.gca().lines
    np.testing.assert_array_equal(line.get_ydata(), trainer.loss_list)
    pyplot.close("all")


# --- chapters 2 to 4 ----------------------------------------------------------------------------

SIMPLE_CBOW = """
import numpy as np
from fastbp.book2 import MatMul, SoftmaxWithLoss


class SimpleCBOW:
    def __init__(self, vocab_size, hidden_size):
        V, H = vocab_size, hidden_size
        W_in = 0.01 * np.random.randn(V, H).astype('f')
        W_out = 0.01 * np.random.randn(H, V).astype('f')
        self.in_layer0 = MatMul(W_in)
        self.in_layer1 = MatMul(W_in)
        self.out_layer = MatMul(W_out)
        self.loss_layer = SoftmaxWithLoss()
        self.params, self.grads = [], []
        for layer in (self.in_layer0, self.in_layer1, self.out_layer):
            self.params += layer.params
            self.grads += layer.grads
        self.word_vecs = W_in

    def forward(self, contexts, target):
        h0 = self.in_layer0.forward(contexts[:, 0])
        h1 = self.in_layer1.forward(contexts[:, 1])
        h = (h0 + h1) * 0.5
        score = self.out_layer.forward(h)
        return self.loss_layer.forward(score, target)

    def backward(self, dout=1):
        ds = self.loss_layer.backward(dout)
        da = self.out_layer.backward(ds)
        da *= 0.5
        self.in_layer1.backward(da)
        self.in_layer0.backward(da)
        return None
"""


def simple_cbow(module, *sizes):
    """The book's model, with `module` as import."""
    names = types.ModuleType("simple_cbow")
    exec(SIMPLE_CBOW.replace("fastbp.book2", module), vars(names))
    np.random.seed(1)
    return names.SimpleCBOW(*sizes)


def test_word2vec_trains_simple_cbow():
    corpus, word_to_id, id_to_word = preprocess("You say goodbye and I say hello.")
    vocab_size = len(word_to_id)
    contexts, target = create_contexts_target(corpus, window_size=1)
    target, contexts = convert_one_hot(target, vocab_size), convert_one_hot(contexts, vocab_size)
    model, theirs = (simple_cbow(module, vocab_size, 5) for module in ("fastbp.book2", "bench.in_numpy.book2"))
    trainer = Trainer(model, Adam())
    np.random.seed(2)
    trainer.fit(contexts, target, 600, 3, eval_interval=None)
    np.random.seed(2)
    losses = twin.fit(theirs, twin.Adam(), contexts.astype("f"), target, 600, 3)
    assert model.forward(contexts, target) < 0.8 < losses[0]
    # Adam's eps is another, as the table of differences says, and the numbers are float32.
    np.testing.assert_allclose(model.word_vecs, theirs.word_vecs, atol=0.02)
    assert model.word_vecs.dtype == np.float32 and set(id_to_word) == set(range(7))


def test_cbow_by_embeddings_is_that_of_one_hot_rows():
    """Chapter 4: rows of W_in in the place of the product of one-hot rows."""
    W = np.random.randn(7, 5)
    corpus, _, _ = preprocess("You say goodbye and I say hello.")
    contexts, _ = create_contexts_target(corpus)
    dout = np.random.randn(len(contexts), 5)
    rows, product = Embedding(W), MatMul(W)
    np.testing.assert_allclose(
        rows.forward(contexts[:, 0]), product.forward(convert_one_hot(contexts[:, 0], 7)), rtol=1e-12
    )
    rows.backward(dout)
    product.backward(dout)
    np.testing.assert_allclose(rows.grads[0], product.grads[0], rtol=1e-12, atol=1e-14)


def test_gradients_are_clipped_in_place():
    grads = [np.random.randn(3, 2), np.random.randn(4)]
    norm = np.sqrt(sum(np.sum(grad**2) for grad in grads))
    expected = [grad * (0.25 / (norm + 1e-6)) for grad in grads]
    clip_grads(grads, 0.25)
    for grad, other in zip(grads, expected, strict=True):
        np.testing.assert_allclose(grad, other, rtol=1e-12)
    clip_grads(grads, 1.0)
    np.testing.assert_allclose(grads[0], expected[0], rtol=1e-12)
    model = TwoLayerNet(2, 5, 3)
    Trainer(model, SGD(lr=1.0)).fit(*spiral(), max_epoch=1, max_grad=1e-3, eval_interval=None)
    assert np.sqrt(sum(np.sum(grad**2) for grad in model.grads)) <= 1e-3


def test_contexts_of_a_wider_window():
    corpus = np.arange(10) % 4
    contexts, target = create_contexts_target(corpus, window_size=2)
    for row, word, place in zip(contexts, target, range(2, 8), strict=True):
        assert word == corpus[place]
        assert row.tolist() == [corpus[place + k] for k in (-2, -1, 1, 2)]
    assert convert_one_hot(contexts, 4).shape == (6, 4, 4)
    np.testing.assert_array_equal(convert_one_hot(contexts, 4).argmax(axis=2), contexts)


def test_the_lists_layers_stand_in_a_sequential_too():
    W = np.random.randn(4, 3)
    net = fastbp.Sequential(Affine(W, np.zeros(3)), loss="softmax_cross_entropy")
    x, t = np.random.randn(5, 4), np.array([0, 1, 2, 0, 1])
    assert net.gradient(x, t)["W1"].shape == (4, 3)
    assert fastbp.gradient_check(net, x, t)


X, T = np.ones((5, 2)), np.array([0, 1, 2, 2, 0])


def test_chapter_2_counts_words():
    """The matrix and the similarities of its text, and `ppmi` by the book's loop."""
    corpus, word_to_id, _ = preprocess("You say goodbye and I say hello.")
    C = create_co_matrix(corpus, 7)
    assert C.dtype == np.int32 and C.tolist()[:2] == [[0, 1, 0, 0, 0, 0, 0], [1, 0, 1, 0, 1, 1, 0]]
    assert cos_similarity(C[word_to_id["you"]], C[word_to_id["i"]]) == pytest.approx(0.7071067691154799)
    assert cos_similarity(np.array([2**20, 0]), np.array([2**20, 0], np.int32)) == pytest.approx(1)
    for window_size in (2, 3, 50):
        wide = np.zeros((7, 7), int)
        for i, word in enumerate(corpus):
            for j in range(max(i - window_size, 0), min(i + window_size + 1, len(corpus))):
                wide[word, corpus[j]] += i != j
        np.testing.assert_array_equal(create_co_matrix(corpus, 7, window_size), wide)
    expected, N, S = np.zeros(C.shape, np.float32), np.sum(C), np.sum(C, axis=0)
    for i in range(7):
        for j in range(7):
            expected[i, j] = max(0, np.log2(C[i, j] * N / (S[j] * S[i]) + 1e-8))
    np.testing.assert_allclose(ppmi(C), expected, rtol=1e-6)
    assert ppmi(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert create_co_matrix([], 2).tolist() == [[0, 0], [0, 0]] == create_co_matrix([1], 2).tolist()
    assert ppmi(C[:0, :0]).shape == (0, 0)


def test_chapter_2_prints_words_as_the_book_does(capsys):
    corpus, word_to_id, id_to_word = preprocess("You say goodbye and I say hello.")
    C = create_co_matrix(corpus, 7)
    before = C.copy()
    most_similar("you", word_to_id, id_to_word, C, top=3)
    most_similar("yours", word_to_id, id_to_word, C)
    analogy("you", "say", "i", word_to_id, id_to_word, C, top=1, answer="hello")
    analogy("you", "says", "i", word_to_id, id_to_word, C)
    most_similar("you", word_to_id, id_to_word, C, top=99)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "[query] you" and [line.split(":")[0] for line in lines[2:5]] == [" goodbye", " i", " hello"]
    assert lines[5] == "yours is not found" and lines[7] == "[analogy] you:say = i:?"
    assert lines[8].startswith("==>hello:") and lines[10] == "says is not found"
    assert len(lines[13:]) == 6
    np.testing.assert_array_equal(C, before)
    ppmi(C, verbose=True)
    assert capsys.readouterr().out == "100.0% done\n"


BAD = {
    "MatMul(np.ones(3))": "MatMul expects W of shape",
    "MatMul(np.ones((2, 3))).forward(np.ones((4, 3)))": "MatMul expects x with 2 features",
    "Embedding(np.ones((3, 2))).forward([3])": "expects idx from 0 to 2, as W has 3 rows; got 3",
    "Embedding(np.ones((3, 2))).forward([-1])": "got -1",
    "Embedding(np.ones((3, 2))).forward([0.5])": "expects idx of integers",
    "Embedding(np.ones((3, 2), int))": "Embedding expects W of dtype float32 or float64",
    "Softmax().backward(X)": "expects a call of forward first",
    "Embedding(X).backward(X)": "expects a call of forward first",
    "Trainer(None, SGD())": "expects model with params, grads",
    "Trainer(TwoLayerNet(2, 3, 3), 0.1)": "expects optimizer with update(params, grads)",
    "Trainer(TwoLayerNet(2, 3, 3), SGD()).fit(X, T[:3])": "expects x and t with as many rows",
    "Trainer(TwoLayerNet(2, 3, 3), SGD()).fit(X, T, batch_size=6)": "at least batch_size, 6; got (5, 2)",
    "Trainer(TwoLayerNet(2, 3, 3), SGD()).fit(X, T, batch_size=0)": "expects batch_size of at least 1",
    "TwoLayerNet(2, 0, 3)": "expects hidden_size of at least 1",
    "clip_grads([X], 0)": "expects max_norm above 0",
    "preprocess(3)": "expects text as a text",
    "create_contexts_target([0, 1])": "expects corpus of more than 2 words; got 2",
    "convert_one_hot([3], 3)": "expects corpus from 0 to 2",
    "create_co_matrix([0, 3], 3)": "create_co_matrix expects corpus from 0 to 2",
    "create_co_matrix([0.5], 3)": "expects corpus of integers",
    "create_co_matrix([[0]], 3)": "expects corpus of shape (n_words,); got shape (1, 1)",
    "create_co_matrix([0], 3, 0)": "expects window_size of at least 1",
    "cos_similarity([1, 2], [1])": "expects x and y as vectors of one length; got shapes (2,) and (1,)",
    "cos_similarity('a', [1])": "cos_similarity expects x",
    "most_similar('you', {'you': 0}, {0: 'you'}, np.ones((2, 2)))": "word_matrix with a row for each of 1 words",
    "most_similar('you', {'you': 0}, {0: 'you'}, np.ones((1, 2)), 0)": "expects top of at least 1",
    "analogy('a', 'b', 'c', None, None, X)": "analogy expects word_to_id",
    "ppmi(np.ones((2, 3)))": "ppmi expects C of shape (n_words, n_words); got shape (2, 3)",
    "ppmi([[1, -1], [0, 1]])": "ppmi expects C as counts",
    "ppmi([[1]], verbose='yes')": "ppmi expects verbose as True or False",
}


@pytest.mark.parametrize("call", BAD)
def test_bad_input_is_refused_in_one_sentence(call):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=re.escape(BAD[call])) as caught:
        eval(call)
    text = str(caught.value)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text


def test_star_import_brings_the_names_of_the_books_modules():
    assert {"cross_entropy_error", "relu", "sigmoid", "softmax"} <= set(book2.__all__)
    for name in book2.__all__:
        assert hasattr(book2, name)
