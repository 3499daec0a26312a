"""Broken training scripts, as they are asked about on forums: the first sentence names the true cause."""

import numpy as np
import pytest

import fastbp
from fastbp import SGD, Adam, Affine, Linear, Relu, Sequential, Sigmoid, book, datasets, diagnose, nn

F = nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::fastbp.TrainingWarning")
FLOWERS, KINDS_OF_FLOWERS = datasets.load_iris()[0]
SCRIPTS = []


@pytest.fixture(autouse=True)
def _the_same_numbers_in_every_run():
    fastbp.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (of the book's networks)


def digits():
    """Ten noisy pictures of 784 grey pixels, many times over."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 10, 800)
    prototypes = rng.integers(0, 256, (10, 784)) * (rng.random((10, 784)) < 0.3)
    return np.clip(prototypes[t] + rng.normal(0, 20, (800, 784)), 0, 255).astype("uint8"), t


PIXELS, DIGITS = digits()
IMAGES = (PIXELS / 255).astype("float32")


def script(cause):
    """What `diagnose` has to say first, of one of several where they are the same cause."""

    def take(function):
        SCRIPTS.append(pytest.param(function, cause.split(), id=function.__name__))
        return function

    return take


def sequential(n_in, n_out, *hidden, activation=Relu, init="he", loss="softmax_cross_entropy"):
    layers = []
    for k, width in enumerate(hidden):
        layers += [Linear(n_in, width, init, seed=k), activation()]
        n_in = width
    return Sequential(*layers, Linear(n_in, n_out, "xavier", seed=99), loss=loss)


class Module(nn.Module):
    def __init__(self, forward, *widths):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(widths[0], widths[1]), nn.Linear(widths[1], widths[2])
        self.how = forward

    def forward(self, x):
        return self.how(self, x)


@script("inputs_not_normalised")
def raw_pixels_and_relu():
    net = sequential(784, 10, 100)
    net.fit(PIXELS, DIGITS, optimizer=SGD(lr=0.1), epochs=5, seed=0)
    return net.diagnose(PIXELS, DIGITS)


@script("inputs_not_normalised")
def raw_pixels_and_sigmoid():
    net = sequential(784, 10, 100, activation=Sigmoid)
    net.fit(PIXELS, DIGITS, optimizer=SGD(lr=0.1), epochs=5, seed=0)
    return net.diagnose(PIXELS, DIGITS)


@script("rate_too_low")
def a_rate_of_a_millionth():
    net = sequential(784, 10, 100)
    net.fit(IMAGES, DIGITS, optimizer=SGD(lr=1e-6), epochs=20, seed=0)
    return net.diagnose(IMAGES, DIGITS)


@script("rate_too_high")
def adam_at_one():
    return sequential(784, 10, 100).diagnose(IMAGES, DIGITS, optimizer=Adam(lr=1.0))


@script("dead_units rate_too_high")
def relu_at_two():
    net = sequential(784, 10, 100, 100)
    net.fit(IMAGES, DIGITS, optimizer=SGD(lr=2), epochs=5, seed=0)
    return net.diagnose(IMAGES, DIGITS)


@script("softmax_twice")
def softmax_layer_and_cross_entropy():
    model = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10), nn.Softmax(dim=1))
    return diagnose(model, IMAGES, DIGITS, nn.CrossEntropyLoss())


@script("softmax_twice")
def softmax_in_forward():
    model = Module(lambda m, x: F.softmax(m.fc2(F.relu(m.fc1(x))), dim=1), 784, 50, 10)
    return diagnose(model, IMAGES, DIGITS, F.cross_entropy)


@script("bounded_output")
def relu_on_the_logits():
    model = Module(lambda m, x: F.relu(m.fc2(F.relu(m.fc1(x)))), 784, 50, 10)
    return diagnose(model, IMAGES, DIGITS, nn.CrossEntropyLoss())


@script("sigmoid_twice")
def sigmoid_and_logits():
    model = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 1), nn.Sigmoid())
    return diagnose(model, FLOWERS, (KINDS_OF_FLOWERS > 0)[:, None].astype("f4"), nn.BCEWithLogitsLoss())


@script("log_softmax_missing")
def nll_of_logits():
    return diagnose(
        nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3)), FLOWERS, KINDS_OF_FLOWERS, nn.NLLLoss()
    )


@script("targets_not_scaled")
def prices_of_houses():
    x = np.random.default_rng(0).standard_normal((500, 8))
    t = 2e5 + 5e4 * x[:, :1]
    net = sequential(8, 1, 64, loss="squared_error")
    net.fit(x, t, epochs=50, seed=0)
    return net.diagnose(x, t)


@script("inputs_not_normalised")
def square_feet_and_years():
    rng = np.random.default_rng(0)
    x = np.c_[rng.integers(500, 4000, 500), rng.integers(1, 5, 500), rng.integers(1950, 2020, 500)].astype(float)
    t = (x[:, :1] - 2000) / 800
    net = sequential(3, 1, 64, loss="squared_error")
    net.fit(x, t, epochs=50, seed=0)
    return net.diagnose(x, t)


@script("labels_do_not_fit")
def targets_that_broadcast():
    x = np.random.default_rng(0).standard_normal((300, 3))
    return diagnose(nn.Sequential(nn.Linear(3, 20), nn.ReLU(), nn.Linear(20, 1)), x, x[:, 0], nn.MSELoss())


@script("bounded_output")
def sigmoid_at_the_end_of_a_regression():
    x = np.random.default_rng(0).standard_normal((300, 3))
    net = Sequential(Linear(3, 20, seed=0), Relu(), Linear(20, 1, seed=1), Sigmoid(), loss="squared_error")
    return net.diagnose(x, 2 * x[:, :1])


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([[0], [1], [1], [0.0]])


@script("symmetric_units")
def xor_from_zeros():
    layers = [Affine(np.zeros((2, 4)), np.zeros(4)), Sigmoid(), Affine(np.zeros((4, 1)), np.zeros(1))]
    net = Sequential(*layers, loss="sigmoid_cross_entropy")
    net.fit(*XOR, epochs=500, batch_size=4, optimizer=SGD(lr=1.0), seed=0)
    return net.diagnose(*XOR)


@script("no_activation")
def xor_without_activation():
    net = Sequential(Linear(2, 8, seed=0), Linear(8, 1, seed=1), loss="sigmoid_cross_entropy")
    net.fit(*XOR, epochs=500, batch_size=4, optimizer=SGD(lr=1.0), seed=0)
    return net.diagnose(*XOR)


@script("labels_shifted")
def labels_from_one():
    return sequential(4, 3, 10).diagnose(FLOWERS, KINDS_OF_FLOWERS + 1)


@script("softmax_of_one")
def one_output():
    return sequential(4, 1, 10).diagnose(FLOWERS, KINDS_OF_FLOWERS * 0)


@script("missing_classes")
def sorted_and_cut():
    order = np.argsort(KINDS_OF_FLOWERS, kind="stable")[:75]
    return sequential(4, 3, 10).diagnose(FLOWERS[order], KINDS_OF_FLOWERS[order])


@script("constant_inputs")
def one_row_overwritten():
    row, rows = np.zeros(4), []
    for flower in FLOWERS:
        row[:] = flower
        rows.append(row)
    return sequential(4, 3, 10).diagnose(np.array(rows), KINDS_OF_FLOWERS)


@script("inputs_not_finite")
def a_missing_cell():
    x = FLOWERS.copy()
    x[3, 2] = np.nan
    return sequential(4, 3, 10).diagnose(x, KINDS_OF_FLOWERS)


@script("forgotten_zero_grad")
def no_zero_grad():
    fastbp.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3))
    rule, criterion = fastbp.optim.SGD(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    x, t = fastbp.tensor(FLOWERS.astype("f4")), fastbp.tensor(KINDS_OF_FLOWERS)
    losses = []
    for _ in range(300):
        loss = criterion(model(x), t)
        loss.backward()
        rule.step()
        losses.append(loss.item())
    return diagnose(model, x, t, criterion, optimizer=rule, history=losses, batch_size=len(FLOWERS))


@script("rebound_weights")
def layers_in_a_list():
    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 20), nn.Linear(20, 3)
            self.hidden = [nn.Linear(20, 20) for _ in range(3)]

        def forward(self, x):
            x = F.relu(self.first(x))
            for layer in self.hidden:
                x = F.relu(layer(x))
            return self.last(x)

    model = Blocks()
    return diagnose(model, FLOWERS, KINDS_OF_FLOWERS, nn.CrossEntropyLoss(), optimizer=SGD(model.parameters(), lr=0.1))


@script("rebound_weights")
def the_books_update_with_another_array():
    net = book.TwoLayerNet(4, 10, 3)
    grads = net.gradient(FLOWERS, KINDS_OF_FLOWERS)
    for key in net.params:
        net.params[key] = net.params[key] - 0.1 * grads[key]
    return diagnose(net, FLOWERS, KINDS_OF_FLOWERS)


@script("rebound_weights")
def a_new_head_behind_the_optimizer():
    model = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3))
    rule = Adam(model.parameters())
    model[2] = nn.Linear(20, 3)
    return diagnose(model, FLOWERS, KINDS_OF_FLOWERS, nn.CrossEntropyLoss(), optimizer=rule)


@script("vanishing_gradients")
def ten_sigmoids():
    return sequential(784, 10, *[50] * 10, activation=Sigmoid, init="xavier").diagnose(IMAGES, DIGITS)


@script("vanishing_gradients")
def the_books_weights_of_a_hundredth():
    return diagnose(book.MultiLayerNet(784, [100] * 5, 10, weight_init_std=0.01), IMAGES, DIGITS)


@script("exploding_gradients")
def the_books_weights_of_one():
    return diagnose(book.MultiLayerNet(784, [100] * 5, 10, weight_init_std=1.0), IMAGES, DIGITS)


@script("saturated")
def the_books_sigmoids_with_weights_of_one():
    return diagnose(book.MultiLayerNet(784, [100] * 5, 10, activation="sigmoid", weight_init_std=1.0), IMAGES, DIGITS)


@script("guessing")
def rows_shuffled_without_their_targets():
    x = np.random.default_rng(0).permutation(IMAGES)
    net = sequential(784, 10, 5)
    net.fit(x, DIGITS, optimizer=SGD(lr=0.01), epochs=12, seed=0)
    return net.diagnose(x, DIGITS)


@script("dropout_at_evaluation")
def dropout_without_its_mode():
    model = Module(lambda m, x: m.fc2(F.dropout(F.relu(m.fc1(x)))), 4, 50, 3).eval()
    return diagnose(model, FLOWERS, KINDS_OF_FLOWERS, nn.CrossEntropyLoss())


@pytest.mark.parametrize("run, causes", SCRIPTS)
def test_the_first_sentence_names_the_cause(run, causes):
    found = run()
    assert found and found[0].kind in causes, found
