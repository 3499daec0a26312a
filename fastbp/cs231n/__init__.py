"""The modules of the course CS231n: in a program's imports ``cs231n.`` becomes ``fastbp.cs231n.``.

`layers` has the functions that give ``(out, cache)``, `layer_utils` some of them in a row, `optim` the
update rules, `classifiers.fc_net` the fully connected networks, `solver` their training, and
`gradient_check` numerical gradients.  Convolutions, pooling and recurrent layers are not there.

What is random draws from NumPy's global generator, as in the course, so that ``np.random.seed`` holds.
"""
