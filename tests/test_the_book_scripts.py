"""Whole scripts as the book's readers write them, with nothing changed but their imports.

The texts have the book's imports; what `fastbp.book` and `fastbp.book2` stand for is exchanged before
they run.  Fewer iterations than the book's, and small images in MNIST's files.
"""

import re

import numpy as np
import pytest

#: The modules of the first volume's repository, and of the second's.
FIRST = (
    r"common\.(?:functions|gradient|layers|optimizer|trainer|util|multi_layer_net|multi_layer_net_extend)"
    r"|dataset\.mnist|two_layer_net|layer_naive"
)
SECOND = r"common\.(?:layers|functions|optimizer|trainer|util)|two_layer_net"


def exchanged(text, modules, ours):
    """The script with fastbp's module in its imports."""
    changed, n = re.subn(rf"^(\s*from )(?:{modules})( import )", rf"\1{ours}\2", text, flags=re.M)
    assert n, "the script has one of the book's imports"
    return changed


@pytest.fixture
def run_script(easy_images, monkeypatch, tmp_path):
    """run_script(text, modules, ours): the names that a script leaves."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setenv("FASTBP_DATA", str(easy_images))
    monkeypatch.chdir(tmp_path)

    def run(text, modules=FIRST, ours="fastbp.book"):
        names = {"__name__": "__main__"}
        np.random.seed(0)  # noqa: NPY002
        exec(compile(exchanged(text, modules, ours), "script", "exec"), names)
        pyplot.close("all")
        return names

    return run


TRAIN_NEURALNET = """
import sys, os
import numpy as np
import matplotlib.pyplot as plt
from dataset.mnist import load_mnist
from two_layer_net import TwoLayerNet

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
iters_num = 200
train_size = x_train.shape[0]
batch_size = 50
learning_rate = 0.1
train_loss_list, train_acc_list, test_acc_list = [], [], []
iter_per_epoch = max(train_size / batch_size, 1)
for i in range(iters_num):
    batch_mask = np.random.choice(train_size, batch_size)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]
    grad = network.gradient(x_batch, t_batch)
    for key in ('W1', 'b1', 'W2', 'b2'):
        network.params[key] -= learning_rate * grad[key]
    loss = network.loss(x_batch, t_batch)
    train_loss_list.append(loss)
    if i % iter_per_epoch == 0:
        train_acc_list.append(network.accuracy(x_train, t_train))
        test_acc_list.append(network.accuracy(x_test, t_test))
x = np.arange(len(train_acc_list))
plt.plot(x, train_acc_list, label='train acc')
plt.plot(x, test_acc_list, label='test acc', linestyle='--')
plt.legend(loc='lower right')
plt.show()
"""

#: two_layer_net.py of chapter 5, as a reader's own file over the book's layers.
OWN_TWO_LAYER_NET = """
import numpy as np
from collections import OrderedDict
from common.layers import *
from common.gradient import numerical_gradient
from dataset.mnist import load_mnist


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {}
        self.params['W1'] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params['b1'] = np.zeros(hidden_size)
        self.params['W2'] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params['b2'] = np.zeros(output_size)
        self.layers = OrderedDict()
        self.layers['Affine1'] = Affine(self.params['W1'], self.params['b1'])
        self.layers['Relu1'] = Relu()
        self.layers['Affine2'] = Affine(self.params['W2'], self.params['b2'])
        self.lastLayer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)
        grads = {}
        for key in ('W1', 'b1', 'W2', 'b2'):
            grads[key] = numerical_gradient(loss_W, self.params[key])
        return grads

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.lastLayer.backward(1)
        layers = list(self.layers.values())
        layers.reverse()
        for layer in layers:
            dout = layer.backward(dout)
        grads = {}
        grads['W1'], grads['b1'] = self.layers['Affine1'].dW, self.layers['Affine1'].db
        grads['W2'], grads['b2'] = self.layers['Affine2'].dW, self.layers['Affine2'].db
        return grads


(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=3, output_size=10)
x_batch, t_batch = x_train[:3], t_train[:3]
grad_numerical = network.numerical_gradient(x_batch, t_batch)
grad_backprop = network.gradient(x_batch, t_batch)
diffs = {}
for key in grad_numerical.keys():
    diffs[key] = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
    print(key + ':' + str(diffs[key]))
"""

GRADIENT_SIMPLENET = """
import numpy as np
from common.functions import softmax, cross_entropy_error
from common.gradient import numerical_gradient


class simpleNet:
    def __init__(self):
        self.W = np.random.randn(2, 3)

    def predict(self, x):
        return np.dot(x, self.W)

    def loss(self, x, t):
        z = self.predict(x)
        y = softmax(z)
        loss = cross_entropy_error(y, t)
        return loss


x = np.array([0.6, 0.9])
t = np.array([0, 0, 1])
net = simpleNet()
f = lambda w: net.loss(x, t)
dW = numerical_gradient(f, net.W)
print(dW)
"""

BUY_APPLE_ORANGE = """
from layer_naive import *

apple, apple_num, orange, orange_num, tax = 100, 2, 150, 3, 1.1
mul_apple_layer = MulLayer()
mul_orange_layer = MulLayer()
add_apple_orange_layer = AddLayer()
mul_tax_layer = MulLayer()
apple_price = mul_apple_layer.forward(apple, apple_num)
orange_price = mul_orange_layer.forward(orange, orange_num)
all_price = add_apple_orange_layer.forward(apple_price, orange_price)
price = mul_tax_layer.forward(all_price, tax)
dprice = 1
dall_price, dtax = mul_tax_layer.backward(dprice)
dapple_price, dorange_price = add_apple_orange_layer.backward(dall_price)
dorange, dorange_num = mul_orange_layer.backward(dorange_price)
dapple, dapple_num = mul_apple_layer.backward(dapple_price)
print("price:", int(price))
print("dApple:", dapple, "dApple_num:", int(dapple_num), "dOrange:", dorange)
print("dOrange_num:", int(dorange_num), "dTax:", dtax)
"""

OPTIMIZER_COMPARE_NAIVE = """
import numpy as np
import matplotlib.pyplot as plt
from collections import OrderedDict
from common.optimizer import *

def f(x, y):
    return x**2 / 20.0 + y**2

def df(x, y):
    return x / 10.0, 2.0 * y

init_pos = (-7.0, 2.0)
params = {}
params['x'], params['y'] = init_pos[0], init_pos[1]
grads = {}
grads['x'], grads['y'] = 0, 0
optimizers = OrderedDict()
optimizers["SGD"] = SGD(lr=0.95)
optimizers["Momentum"] = Momentum(lr=0.1)
optimizers["AdaGrad"] = AdaGrad(lr=1.5)
optimizers["Adam"] = Adam(lr=0.3)
ends = {}
idx = 1
for key in optimizers:
    optimizer = optimizers[key]
    x_history, y_history = [], []
    params['x'], params['y'] = init_pos[0], init_pos[1]
    for i in range(30):
        x_history.append(params['x'])
        y_history.append(params['y'])
        grads['x'], grads['y'] = df(params['x'], params['y'])
        optimizer.update(params, grads)
    ends[key] = f(params['x'], params['y'])
    X, Y = np.meshgrid(np.arange(-10, 10, 0.5), np.arange(-5, 5, 0.5))
    plt.subplot(2, 2, idx)
    idx += 1
    plt.plot(x_history, y_history, 'o-', color="red")
    plt.contour(X, Y, f(X, Y))
plt.show()
"""

OPTIMIZER_COMPARE_MNIST = """
import matplotlib.pyplot as plt
import numpy as np
from dataset.mnist import load_mnist
from common.util import smooth_curve
from common.multi_layer_net import MultiLayerNet
from common.optimizer import *

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
train_size, batch_size, max_iterations = x_train.shape[0], 64, 30
optimizers = {}
optimizers['SGD'] = SGD()
optimizers['Momentum'] = Momentum()
optimizers['AdaGrad'] = AdaGrad()
optimizers['Adam'] = Adam()
networks, train_loss = {}, {}
for key in optimizers.keys():
    networks[key] = MultiLayerNet(input_size=784, hidden_size_list=[30, 30, 30, 30], output_size=10)
    train_loss[key] = []
for i in range(max_iterations):
    batch_mask = np.random.choice(train_size, batch_size)
    x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
    for key in optimizers.keys():
        grads = networks[key].gradient(x_batch, t_batch)
        optimizers[key].update(networks[key].params, grads)
        loss = networks[key].loss(x_batch, t_batch)
        train_loss[key].append(loss)
markers = {"SGD": "o", "Momentum": "x", "AdaGrad": "s", "Adam": "D"}
for key in optimizers.keys():
    plt.plot(np.arange(max_iterations), smooth_curve(train_loss[key]), marker=markers[key], markevery=100, label=key)
plt.legend()
plt.show()
"""

WEIGHT_INIT_COMPARE = """
import numpy as np
from dataset.mnist import load_mnist
from common.util import smooth_curve
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
weight_init_types = {'std=0.01': 0.01, 'Xavier': 'sigmoid', 'He': 'relu'}
optimizer = SGD(lr=0.05)
networks, train_loss = {}, {}
for key, weight_type in weight_init_types.items():
    networks[key] = MultiLayerNet(input_size=784, hidden_size_list=[30, 30, 30, 30],
                                  output_size=10, weight_init_std=weight_type)
    train_loss[key] = []
for i in range(60):
    batch_mask = np.random.choice(x_train.shape[0], 64)
    x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
    for key in weight_init_types.keys():
        grads = networks[key].gradient(x_batch, t_batch)
        optimizer.update(networks[key].params, grads)
        train_loss[key].append(networks[key].loss(x_batch, t_batch))
"""

WEIGHT_INIT_ACTIVATION_HISTOGRAM = """
import numpy as np
import matplotlib.pyplot as plt
from common.functions import sigmoid, relu

input_data = np.random.randn(1000, 100)
node_num, hidden_layer_size = 100, 5
activations = {}
x = input_data
for i in range(hidden_layer_size):
    if i != 0:
        x = activations[i - 1]
    w = np.random.randn(node_num, node_num) * np.sqrt(1.0 / node_num)
    a = np.dot(x, w)
    z = sigmoid(a)
    activations[i] = z
for i, a in activations.items():
    plt.subplot(1, len(activations), i + 1)
    plt.title(str(i + 1) + "-layer")
    plt.hist(a.flatten(), 30, range=(0, 1))
plt.show()
"""

BATCH_NORM_TEST = """
import numpy as np
from dataset.mnist import load_mnist
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.optimizer import SGD, Adam

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = x_train[:300], t_train[:300]
max_epochs, train_size, batch_size, learning_rate = 8, 300, 100, 0.01


def train(weight_init_std):
    bn_network = MultiLayerNetExtend(input_size=784, hidden_size_list=[30, 30, 30, 30, 30], output_size=10,
                                     weight_init_std=weight_init_std, use_batchnorm=True)
    network = MultiLayerNetExtend(input_size=784, hidden_size_list=[30, 30, 30, 30, 30], output_size=10,
                                  weight_init_std=weight_init_std)
    optimizer = SGD(lr=learning_rate)
    train_acc_list, bn_train_acc_list = [], []
    iter_per_epoch = max(train_size / batch_size, 1)
    epoch_cnt = 0
    for i in range(1000000000):
        batch_mask = np.random.choice(train_size, batch_size)
        x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
        for _network in (bn_network, network):
            grads = _network.gradient(x_batch, t_batch)
            optimizer.update(_network.params, grads)
        if i % iter_per_epoch == 0:
            train_acc_list.append(network.accuracy(x_train, t_train))
            bn_train_acc_list.append(bn_network.accuracy(x_train, t_train))
            epoch_cnt += 1
            if epoch_cnt >= max_epochs:
                break
    return train_acc_list, bn_train_acc_list


train_acc_list, bn_train_acc_list = train(0.05)
"""

OVERFIT_DROPOUT = """
from dataset.mnist import load_mnist
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.trainer import Trainer

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = x_train[:300], t_train[:300]
use_dropout, dropout_ratio = True, 0.2
network = MultiLayerNetExtend(input_size=784, hidden_size_list=[30, 30, 30], output_size=10,
                              use_dropout=use_dropout, dropout_ration=dropout_ratio)
trainer = Trainer(network, x_train, t_train, x_test, t_test, epochs=5, mini_batch_size=100,
                  optimizer='sgd', optimizer_param={'lr': 0.01}, verbose=True)
trainer.train()
train_acc_list, test_acc_list = trainer.train_acc_list, trainer.test_acc_list
"""

OVERFIT_WEIGHT_DECAY = """
import numpy as np
from dataset.mnist import load_mnist
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = x_train[:300], t_train[:300]
weight_decay_lambda = 0.1
network = MultiLayerNet(input_size=784, hidden_size_list=[30, 30, 30], output_size=10,
                        weight_decay_lambda=weight_decay_lambda)
optimizer = SGD(lr=0.01)
norms = []
for i in range(60):
    batch_mask = np.random.choice(300, 100)
    grads = network.gradient(x_train[batch_mask], t_train[batch_mask])
    optimizer.update(network.params, grads)
    norms.append(np.sum(network.params['W1'] ** 2))
"""

HYPERPARAMETER_OPTIMIZATION = """
import numpy as np
import matplotlib.pyplot as plt
from dataset.mnist import load_mnist
from common.multi_layer_net import MultiLayerNet
from common.util import shuffle_dataset
from common.trainer import Trainer

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
validation_num = int(x_train.shape[0] * 0.20)
x_train, t_train = shuffle_dataset(x_train, t_train)
x_val, t_val = x_train[:validation_num], t_train[:validation_num]
x_train, t_train = x_train[validation_num:], t_train[validation_num:]


def __train(lr, weight_decay, epocs=3):
    network = MultiLayerNet(input_size=784, hidden_size_list=[30, 30], output_size=10,
                            weight_decay_lambda=weight_decay)
    trainer = Trainer(network, x_train, t_train, x_val, t_val, epochs=epocs, mini_batch_size=100,
                      optimizer='sgd', optimizer_param={'lr': lr}, verbose=False)
    trainer.train()
    return trainer.test_acc_list, trainer.train_acc_list


results_val, results_train = {}, {}
for _ in range(4):
    weight_decay = 10 ** np.random.uniform(-8, -4)
    lr = 10 ** np.random.uniform(-6, -2)
    val_acc_list, train_acc_list = __train(lr, weight_decay)
    key = "lr:" + str(lr) + ", weight decay:" + str(weight_decay)
    results_val[key] = val_acc_list
    results_train[key] = train_acc_list
ranking = sorted(results_val.items(), key=lambda x: x[1][-1], reverse=True)
for key, val_acc_list in ranking:
    plt.plot(np.arange(len(val_acc_list)), val_acc_list)
    plt.plot(np.arange(len(results_train[key])), results_train[key], "--")
plt.show()
"""

TRAIN_OF_THE_SECOND = """
import numpy as np
from common.optimizer import SGD
from common.trainer import Trainer
from two_layer_net import TwoLayerNet

max_epoch, batch_size, hidden_size, learning_rate = 30, 30, 10, 1.0
x = np.random.randn(90, 2)
t = np.eye(3, dtype=int)[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)]
model = TwoLayerNet(input_size=2, hidden_size=hidden_size, output_size=3)
optimizer = SGD(lr=learning_rate)
trainer = Trainer(model, optimizer)
trainer.fit(x, t, max_epoch, batch_size, eval_interval=10)
trainer.plot()
"""


def test_train_neuralnet(run_script):
    names = run_script(TRAIN_NEURALNET)
    assert names["train_loss_list"][0] > 2 > names["train_loss_list"][-1]
    assert names["test_acc_list"][-1] > 0.9 and len(names["train_acc_list"]) == 20


def test_a_two_layer_net_of_ones_own_and_its_gradient_check(run_script, capsys):
    names = run_script(OWN_TWO_LAYER_NET)
    assert max(names["diffs"].values()) < 1e-8
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["W1", "b1", "W2", "b2"]


def test_gradient_simplenet(run_script):
    names = run_script(GRADIENT_SIMPLENET)
    e = np.exp(names["x"] @ names["net"].W)
    np.testing.assert_allclose(names["dW"], np.outer(names["x"], e / e.sum() - names["t"]), atol=1e-7)


def test_buy_apple_orange(run_script, capsys):
    run_script(BUY_APPLE_ORANGE)
    assert capsys.readouterr().out.splitlines() == [
        "price: 715",
        "dApple: 2.2 dApple_num: 110 dOrange: 3.3000000000000003",
        "dOrange_num: 165 dTax: 650",
    ]


def test_optimizer_compare_naive(run_script):
    ends = run_script(OPTIMIZER_COMPARE_NAIVE)["ends"]
    assert list(ends) == ["SGD", "Momentum", "AdaGrad", "Adam"] and max(ends.values()) < 1.0


def test_optimizer_compare_mnist(run_script):
    for losses in run_script(OPTIMIZER_COMPARE_MNIST)["train_loss"].values():
        assert len(losses) == 30 and losses[-1] < losses[0]


def test_weight_init_compare(run_script):
    losses = run_script(WEIGHT_INIT_COMPARE)["train_loss"]
    assert losses["He"][-1] < 0.7 * losses["He"][0]
    assert abs(losses["std=0.01"][-1] - np.log(10)) < 0.1  # learns nothing, as in the book's figure


def test_weight_init_activation_histogram(run_script):
    activations = run_script(WEIGHT_INIT_ACTIVATION_HISTOGRAM)["activations"]
    assert len(activations) == 5 and all(0.05 < a.std() < 0.3 for a in activations.values())


def test_batch_norm_test(run_script):
    names = run_script(BATCH_NORM_TEST)
    assert len(names["bn_train_acc_list"]) == 8
    assert names["bn_train_acc_list"][-1] > names["train_acc_list"][-1]


def test_overfit_dropout(run_script, capsys):
    names = run_script(OVERFIT_DROPOUT)
    assert len(names["train_acc_list"]) == len(names["test_acc_list"]) == 5
    assert "=============== Final Test Accuracy ===============" in capsys.readouterr().out


def test_overfit_weight_decay(run_script):
    norms = run_script(OVERFIT_WEIGHT_DECAY)["norms"]
    assert norms[-1] < norms[0]


def test_hyperparameter_optimization(run_script):
    names = run_script(HYPERPARAMETER_OPTIMIZATION)
    assert len(names["ranking"]) == 4 and all(len(curve) == 3 for curve in names["results_val"].values())


def test_train_of_the_second_volume(run_script, capsys):
    names = run_script(TRAIN_OF_THE_SECOND, SECOND, "fastbp.book2")
    assert names["trainer"].loss_list[-1] < names["trainer"].loss_list[0]
    assert capsys.readouterr().out.startswith("| epoch 1 |  iter 1 / 3 | time 0[s] | loss 1.")
