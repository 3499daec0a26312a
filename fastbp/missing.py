"""What programs ask PyTorch for and fastbp has not: a sentence for each, with what does it here."""

from __future__ import annotations

from typing import Any

_BEYOND = "networks here are multilayer perceptrons, of Linear layers and what stands between them"
_ONLY = "float32 and float64 on the CPU are all there is: leave it away"
_RULES = "Adam, AdamW, NAdam and RAdam are there, and a subclass of Optimizer may be another"

#: Of each module, names and what to do in their place.
_TABLES = {
    "fastbp": {
        "compile jit": "layers are compiled already: leave it away",
        "amp autocast GradScaler bfloat16": _ONLY,
        "func vmap": "write a loop over the rows, or the function for a batch",
        "distributions": "write the log-probability with log_softmax() or as "
        "-((x - mean) / std) ** 2 / 2 - std.log(), and draw with multinomial() or normal()",
        "linalg": "norm() is there, and numpy.linalg takes tensor.numpy()",
        "fft special sparse": "NumPy and SciPy take tensor.numpy()",
        "cdist": "write (x.unsqueeze(1) - y).norm(dim=2)",
        "dist": "write (x - y).norm()",
        "tensordot inner": "write einsum() or matmul()",
        "trace": "write x.diag().sum()",
        "tile": "write x.repeat()",
        "quantile kthvalue": "write x.sort() and an index",
        "std_mean var_mean": "write x.std() and x.mean(), or x.var() and x.mean()",
        "logit": "write log(p / (1 - p))",
        "logaddexp": "write logsumexp() of stack()",
        "column_stack": "write stack(tensors, 1) of vectors or cat(tensors, 1) of matrices",
        "isin searchsorted histc": "NumPy's function takes tensor.numpy()",
        "get_rng_state set_rng_state": "keep a Generator, or call manual_seed() again",
        "finfo iinfo": "numpy.finfo and numpy.iinfo take the name of a dtype",
        "set_default_device set_default_tensor_type": "set_default_dtype() sets the dtype, and the device is the CPU",
        "set_float32_matmul_precision": "products are float32 in full: leave it away",
        "lstm gru conv1d conv2d": _BEYOND,
    },
    "fastbp.nn": {
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d MaxPool1d MaxPool2d AvgPool1d "
        "AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d BatchNorm2d BatchNorm3d "
        "Dropout2d InstanceNorm1d InstanceNorm2d Upsample PixelShuffle ZeroPad2d": _BEYOND,
        "RNN LSTM GRU RNNCell LSTMCell GRUCell": _BEYOND + "; a cell is a Module of Linear layers, called in a loop",
        "Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
        "TransformerDecoderLayer MultiheadAttention": _BEYOND + "; attention is softmax() between two products",
        "GroupNorm RMSNorm": "LayerNorm and BatchNorm1d are there",
        "LazyLinear LazyBatchNorm1d": "write the layer with its number of inputs",
        "DataParallel parallel": "a model uses the threads of set_num_threads(): leave it away",
        "EmbeddingBag": "write Embedding, and mean(1) or sum(1) of its output",
        "Bilinear": "write einsum('bi,kij,bj->bk', x, weight, y)",
        "MultiMarginLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss SoftMarginLoss CTCLoss "
        "TripletMarginWithDistanceLoss NLLLoss2d": "write it as a function of tensors",
        "AlphaDropout Dropout1d": "Dropout is there",
        "Hardshrink Softshrink RReLU Softmax2d": "write it as a function of tensors",
    },
    "fastbp.cuda": {
        "amp": _ONLY,
        "synchronize current_device get_device_name set_device memory_allocated "
        "reset_peak_memory_stats": "there is no GPU: ask cuda.is_available() first",
    },
    "fastbp.nn.functional": {
        "conv1d conv2d max_pool1d max_pool2d avg_pool2d adaptive_avg_pool2d interpolate": _BEYOND,
        "scaled_dot_product_attention": "write softmax(q @ k.transpose(-2, -1) / d ** 0.5, -1) @ v",
        "gumbel_softmax": "write softmax((logits - (-rand_like(logits).log()).log()) / tau, -1)",
        "pad": "write cat() with zeros()",
        "group_norm rms_norm": "layer_norm() and batch_norm() are there",
        "embedding_bag": "write embedding(), and mean(1) or sum(1) of it",
        "bilinear": "write einsum('bi,kij,bj->bk', x, weight, y)",
    },
    "fastbp.nn.utils": {
        "weight_norm parametrizations parametrize": "write a Module whose forward calls "
        "functional.linear(x, g * v / v.norm(dim=1, keepdim=True), bias)",
        "spectral_norm": "write a Module whose forward divides the weight by u @ weight @ v, with u and v as buffers",
        "prune": "multiply weight.data by a mask after each step",
        "rnn": _BEYOND,
        "clip_grad_norm": "clip_grad_norm_() is there",
    },
    "fastbp.optim": {
        "LBFGS": "estimators.MLPClassifier(solver='lbfgs') has it",
        "Rprop ASGD Adafactor Muon SparseAdam": _RULES,
    },
    "fastbp.optim.lr_scheduler": {"CyclicLR": "OneCycleLR is there, and LambdaLR takes a function of the step"},
    "Module": {
        "register_full_backward_hook register_backward_hook register_full_backward_pre_hook": (
            "register_forward_hook() and, in it, output.register_hook() see the gradient"
        ),
        "register_forward_pre_hook": "write it into the first lines of forward()",
        "half bfloat16": _ONLY,
        "compile": "layers are compiled already: leave it away",
        "share_memory": "processes get a copy of the model: leave it away",
        "to_empty": "write the parameters with copy_()",
    },
    "fastbp.autograd": {
        "functional": "call grad() for each output",
        "gradcheck gradgradcheck": "fastbp.gradient_check() compares with differences",
        "set_detect_anomaly detect_anomaly": "look at isfinite() of losses and gradients",
        "profiler": "Python's cProfile and time.perf_counter are there",
    },
}
_CURES = {
    place: {name: cure for names, cure in table.items() for name in names.split()} for place, table in _TABLES.items()
}


def attribute_error(place: Any, name: Any, who: str | None = None) -> Any:
    """The error for a name that a module of Python has not, or `who`, a network's.

    Examples
    --------
    >>> print(attribute_error("fastbp.nn", "DataParallel"))
    fastbp.nn has no DataParallel: a model uses the threads of set_num_threads(): leave it away.
    >>> print(attribute_error("fastbp.nn", "Lienar"))
    module 'fastbp.nn' has no attribute 'Lienar'
    """
    cure = _CURES[place].get(name)
    if cure is not None:
        return AttributeError(f"{who or place} has no {name}: {cure}.")
    kind = f"{who!r} object" if who else f"module {place!r}"
    return AttributeError(f"{kind} has no attribute {name!r}")
