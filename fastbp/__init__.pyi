"""The names of fastbp, of which many are loaded on demand; tests/init_stub.py writes this file."""

from fastbp import autograd as autograd
from fastbp import backend as backend
from fastbp import book as book
from fastbp import book2 as book2
from fastbp import cs231n as cs231n
from fastbp import datasets as datasets
from fastbp import diagnosis as diagnosis
from fastbp import estimators as estimators
from fastbp import export as export
from fastbp import graph as graph
from fastbp import init as init
from fastbp import layers as layers
from fastbp import losses as losses
from fastbp import network as network
from fastbp import nn as nn
from fastbp import optim as optim
from fastbp import plots as plots
from fastbp import reference as reference
from fastbp import tables as tables
from fastbp import training as training
from fastbp import utils as utils
from fastbp.autograd import BoolTensor as BoolTensor
from fastbp.autograd import ByteTensor as ByteTensor
from fastbp.autograd import DoubleTensor as DoubleTensor
from fastbp.autograd import FloatTensor as FloatTensor
from fastbp.autograd import Generator as Generator
from fastbp.autograd import IntTensor as IntTensor
from fastbp.autograd import LongTensor as LongTensor
from fastbp.autograd import Size as Size
from fastbp.autograd import Tensor as Tensor
from fastbp.autograd import abs as abs
from fastbp.autograd import absolute as absolute
from fastbp.autograd import acos as acos
from fastbp.autograd import add as add
from fastbp.autograd import addcdiv as addcdiv
from fastbp.autograd import addcmul as addcmul
from fastbp.autograd import addmm as addmm
from fastbp.autograd import all as all
from fastbp.autograd import allclose as allclose
from fastbp.autograd import amax as amax
from fastbp.autograd import amin as amin
from fastbp.autograd import any as any
from fastbp.autograd import arange as arange
from fastbp.autograd import arccos as arccos
from fastbp.autograd import arcsin as arcsin
from fastbp.autograd import arctan as arctan
from fastbp.autograd import argmax as argmax
from fastbp.autograd import argmin as argmin
from fastbp.autograd import argsort as argsort
from fastbp.autograd import as_tensor as as_tensor
from fastbp.autograd import asin as asin
from fastbp.autograd import atan as atan
from fastbp.autograd import atan2 as atan2
from fastbp.autograd import backends as backends
from fastbp.autograd import bernoulli as bernoulli
from fastbp.autograd import bincount as bincount
from fastbp.autograd import bitwise_and as bitwise_and
from fastbp.autograd import bitwise_not as bitwise_not
from fastbp.autograd import bitwise_or as bitwise_or
from fastbp.autograd import bitwise_xor as bitwise_xor
from fastbp.autograd import bmm as bmm
from fastbp.autograd import bool as bool
from fastbp.autograd import broadcast_to as broadcast_to
from fastbp.autograd import cat as cat
from fastbp.autograd import ceil as ceil
from fastbp.autograd import chunk as chunk
from fastbp.autograd import clamp as clamp
from fastbp.autograd import clamp_max as clamp_max
from fastbp.autograd import clamp_min as clamp_min
from fastbp.autograd import clip as clip
from fastbp.autograd import clone as clone
from fastbp.autograd import concat as concat
from fastbp.autograd import concatenate as concatenate
from fastbp.autograd import cos as cos
from fastbp.autograd import cosh as cosh
from fastbp.autograd import count_nonzero as count_nonzero
from fastbp.autograd import cuda as cuda
from fastbp.autograd import cumprod as cumprod
from fastbp.autograd import cumsum as cumsum
from fastbp.autograd import default_generator as default_generator
from fastbp.autograd import device as device
from fastbp.autograd import diag as diag
from fastbp.autograd import div as div
from fastbp.autograd import divide as divide
from fastbp.autograd import dot as dot
from fastbp.autograd import double as double
from fastbp.autograd import dtype as dtype
from fastbp.autograd import e as e
from fastbp.autograd import einsum as einsum
from fastbp.autograd import empty as empty
from fastbp.autograd import empty_like as empty_like
from fastbp.autograd import enable_grad as enable_grad
from fastbp.autograd import eq as eq
from fastbp.autograd import equal as equal
from fastbp.autograd import erf as erf
from fastbp.autograd import exp as exp
from fastbp.autograd import exp2 as exp2
from fastbp.autograd import expm1 as expm1
from fastbp.autograd import eye as eye
from fastbp.autograd import flatten as flatten
from fastbp.autograd import flip as flip
from fastbp.autograd import float as float
from fastbp.autograd import float16 as float16
from fastbp.autograd import float32 as float32
from fastbp.autograd import float64 as float64
from fastbp.autograd import floor as floor
from fastbp.autograd import floor_divide as floor_divide
from fastbp.autograd import fmod as fmod
from fastbp.autograd import frac as frac
from fastbp.autograd import from_numpy as from_numpy
from fastbp.autograd import full as full
from fastbp.autograd import full_like as full_like
from fastbp.autograd import gather as gather
from fastbp.autograd import ge as ge
from fastbp.autograd import get_default_dtype as get_default_dtype
from fastbp.autograd import greater as greater
from fastbp.autograd import greater_equal as greater_equal
from fastbp.autograd import gt as gt
from fastbp.autograd import half as half
from fastbp.autograd import heaviside as heaviside
from fastbp.autograd import hstack as hstack
from fastbp.autograd import index_add as index_add
from fastbp.autograd import index_select as index_select
from fastbp.autograd import inf as inf
from fastbp.autograd import inference_mode as inference_mode
from fastbp.autograd import initial_seed as initial_seed
from fastbp.autograd import int as int
from fastbp.autograd import int16 as int16
from fastbp.autograd import int32 as int32
from fastbp.autograd import int64 as int64
from fastbp.autograd import int8 as int8
from fastbp.autograd import is_grad_enabled as is_grad_enabled
from fastbp.autograd import is_tensor as is_tensor
from fastbp.autograd import isclose as isclose
from fastbp.autograd import isfinite as isfinite
from fastbp.autograd import isinf as isinf
from fastbp.autograd import isnan as isnan
from fastbp.autograd import le as le
from fastbp.autograd import lerp as lerp
from fastbp.autograd import less as less
from fastbp.autograd import less_equal as less_equal
from fastbp.autograd import linspace as linspace
from fastbp.autograd import log as log
from fastbp.autograd import log10 as log10
from fastbp.autograd import log1p as log1p
from fastbp.autograd import log2 as log2
from fastbp.autograd import log_softmax as log_softmax
from fastbp.autograd import logical_and as logical_and
from fastbp.autograd import logical_not as logical_not
from fastbp.autograd import logical_or as logical_or
from fastbp.autograd import logical_xor as logical_xor
from fastbp.autograd import logspace as logspace
from fastbp.autograd import logsumexp as logsumexp
from fastbp.autograd import long as long
from fastbp.autograd import lt as lt
from fastbp.autograd import manual_seed as manual_seed
from fastbp.autograd import masked_fill as masked_fill
from fastbp.autograd import masked_select as masked_select
from fastbp.autograd import matmul as matmul
from fastbp.autograd import max as max
from fastbp.autograd import maximum as maximum
from fastbp.autograd import mean as mean
from fastbp.autograd import median as median
from fastbp.autograd import meshgrid as meshgrid
from fastbp.autograd import min as min
from fastbp.autograd import minimum as minimum
from fastbp.autograd import mm as mm
from fastbp.autograd import movedim as movedim
from fastbp.autograd import mul as mul
from fastbp.autograd import multinomial as multinomial
from fastbp.autograd import multiply as multiply
from fastbp.autograd import mv as mv
from fastbp.autograd import nan as nan
from fastbp.autograd import nan_to_num as nan_to_num
from fastbp.autograd import narrow as narrow
from fastbp.autograd import ne as ne
from fastbp.autograd import neg as neg
from fastbp.autograd import negative as negative
from fastbp.autograd import no_grad as no_grad
from fastbp.autograd import nonzero as nonzero
from fastbp.autograd import norm as norm
from fastbp.autograd import normal as normal
from fastbp.autograd import not_equal as not_equal
from fastbp.autograd import numel as numel
from fastbp.autograd import ones as ones
from fastbp.autograd import ones_like as ones_like
from fastbp.autograd import outer as outer
from fastbp.autograd import permute as permute
from fastbp.autograd import pi as pi
from fastbp.autograd import positive as positive
from fastbp.autograd import pow as pow
from fastbp.autograd import prod as prod
from fastbp.autograd import promote_types as promote_types
from fastbp.autograd import rand as rand
from fastbp.autograd import rand_like as rand_like
from fastbp.autograd import randint as randint
from fastbp.autograd import randint_like as randint_like
from fastbp.autograd import randn as randn
from fastbp.autograd import randn_like as randn_like
from fastbp.autograd import randperm as randperm
from fastbp.autograd import ravel as ravel
from fastbp.autograd import reciprocal as reciprocal
from fastbp.autograd import relu as relu
from fastbp.autograd import remainder as remainder
from fastbp.autograd import repeat_interleave as repeat_interleave
from fastbp.autograd import reshape as reshape
from fastbp.autograd import roll as roll
from fastbp.autograd import round as round
from fastbp.autograd import rsqrt as rsqrt
from fastbp.autograd import rsub as rsub
from fastbp.autograd import scatter as scatter
from fastbp.autograd import scatter_add as scatter_add
from fastbp.autograd import seed as seed
from fastbp.autograd import select as select
from fastbp.autograd import set_default_dtype as set_default_dtype
from fastbp.autograd import set_grad_enabled as set_grad_enabled
from fastbp.autograd import set_printoptions as set_printoptions
from fastbp.autograd import short as short
from fastbp.autograd import sigmoid as sigmoid
from fastbp.autograd import sign as sign
from fastbp.autograd import sin as sin
from fastbp.autograd import sinh as sinh
from fastbp.autograd import softmax as softmax
from fastbp.autograd import sort as sort
from fastbp.autograd import split as split
from fastbp.autograd import sqrt as sqrt
from fastbp.autograd import square as square
from fastbp.autograd import squeeze as squeeze
from fastbp.autograd import stack as stack
from fastbp.autograd import std as std
from fastbp.autograd import sub as sub
from fastbp.autograd import subtract as subtract
from fastbp.autograd import sum as sum
from fastbp.autograd import swapaxes as swapaxes
from fastbp.autograd import t as t
from fastbp.autograd import take as take
from fastbp.autograd import tan as tan
from fastbp.autograd import tanh as tanh
from fastbp.autograd import tensor as tensor
from fastbp.autograd import topk as topk
from fastbp.autograd import transpose as transpose
from fastbp.autograd import tril as tril
from fastbp.autograd import triu as triu
from fastbp.autograd import true_divide as true_divide
from fastbp.autograd import trunc as trunc
from fastbp.autograd import uint8 as uint8
from fastbp.autograd import unbind as unbind
from fastbp.autograd import unflatten as unflatten
from fastbp.autograd import unique as unique
from fastbp.autograd import unsqueeze as unsqueeze
from fastbp.autograd import use_deterministic_algorithms as use_deterministic_algorithms
from fastbp.autograd import var as var
from fastbp.autograd import vstack as vstack
from fastbp.autograd import where as where
from fastbp.autograd import zeros as zeros
from fastbp.autograd import zeros_like as zeros_like
from fastbp.backend import use as use
from fastbp.communicators import Communicator as Communicator
from fastbp.diagnosis import Diagnosis as Diagnosis
from fastbp.diagnosis import TrainingWarning as TrainingWarning
from fastbp.diagnosis import diagnose as diagnose
from fastbp.files import load as load
from fastbp.files import save as save
from fastbp.gradcheck import gradient_check as gradient_check
from fastbp.gradcheck import numerical_gradient as numerical_gradient
from fastbp.layers.activations import Gelu as Gelu
from fastbp.layers.activations import Identity as Identity
from fastbp.layers.activations import LeakyRelu as LeakyRelu
from fastbp.layers.activations import ReLU as ReLU
from fastbp.layers.activations import Relu as Relu
from fastbp.layers.activations import Sigmoid as Sigmoid
from fastbp.layers.activations import Softplus as Softplus
from fastbp.layers.activations import Tanh as Tanh
from fastbp.layers.affine import Affine as Affine
from fastbp.layers.affine import Linear as Linear
from fastbp.layers.arithmetic import AddLayer as AddLayer
from fastbp.layers.arithmetic import MulLayer as MulLayer
from fastbp.layers.base import Layer as Layer
from fastbp.layers.dropout import Dropout as Dropout
from fastbp.layers.embedding import Embeddings as Embeddings
from fastbp.layers.flatten import Flatten as Flatten
from fastbp.layers.normalization import BatchNorm1d as BatchNorm1d
from fastbp.layers.normalization import BatchNormalization as BatchNormalization
from fastbp.losses.binary import FocalLoss as FocalLoss
from fastbp.losses.binary import HingeLoss as HingeLoss
from fastbp.losses.binary import SigmoidWithLoss as SigmoidWithLoss
from fastbp.losses.classes import SoftmaxWithLoss as SoftmaxWithLoss
from fastbp.losses.classes import cross_entropy_error as cross_entropy_error
from fastbp.losses.numbers import GaussianLoss as GaussianLoss
from fastbp.losses.numbers import HuberLoss as HuberLoss
from fastbp.losses.numbers import LogCoshLoss as LogCoshLoss
from fastbp.losses.numbers import MeanAbsoluteError as MeanAbsoluteError
from fastbp.losses.numbers import MeanSquaredError as MeanSquaredError
from fastbp.losses.numbers import PoissonLoss as PoissonLoss
from fastbp.losses.numbers import QuantileLoss as QuantileLoss
from fastbp.losses.tasks import MultiTaskLoss as MultiTaskLoss
from fastbp.network import Sequential as Sequential
from fastbp.optim.clipping import clip_by_norm as clip_by_norm
from fastbp.optim.clipping import clip_by_value as clip_by_value
from fastbp.optim.optimizer import Optimizer as Optimizer
from fastbp.optim.rules import AdaGrad as AdaGrad
from fastbp.optim.rules import Adadelta as Adadelta
from fastbp.optim.rules import Adagrad as Adagrad
from fastbp.optim.rules import Adam as Adam
from fastbp.optim.rules import AdamW as AdamW
from fastbp.optim.rules import Adamax as Adamax
from fastbp.optim.rules import Lion as Lion
from fastbp.optim.rules import Momentum as Momentum
from fastbp.optim.rules import NAdam as NAdam
from fastbp.optim.rules import Nesterov as Nesterov
from fastbp.optim.rules import RAdam as RAdam
from fastbp.optim.rules import RMSprop as RMSprop
from fastbp.optim.rules import SGD as SGD
from fastbp.optim.schedules import CosineDecay as CosineDecay
from fastbp.optim.schedules import InverseScaling as InverseScaling
from fastbp.optim.schedules import StepDecay as StepDecay
from fastbp.optim.schedules import WarmUp as WarmUp
from fastbp.summaries import summary as summary
from fastbp.table_model import TableModel as TableModel
from fastbp.threads import set_num_threads as set_num_threads
from fastbp.training.history import EarlyStopping as EarlyStopping
from fastbp.training.history import History as History
from fastbp.training.ranks import RankError as RankError
from fastbp.training.rates import lr_finder as lr_finder
from fastbp.training.trainer import Trainer as Trainer
from fastbp.tuning import tune as tune

__version__: str
__all__ = [
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AddLayer",
    "Affine",
    "BatchNorm1d",
    "BatchNormalization",
    "Communicator",
    "CosineDecay",
    "Diagnosis",
    "Dropout",
    "EarlyStopping",
    "Embeddings",
    "Flatten",
    "FocalLoss",
    "GaussianLoss",
    "Gelu",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "InverseScaling",
    "Layer",
    "LeakyRelu",
    "Linear",
    "Lion",
    "LogCoshLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Momentum",
    "MulLayer",
    "MultiTaskLoss",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "PoissonLoss",
    "QuantileLoss",
    "RAdam",
    "RMSprop",
    "RankError",
    "ReLU",
    "Relu",
    "SGD",
    "Sequential",
    "Sigmoid",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "Softplus",
    "StepDecay",
    "TableModel",
    "Tanh",
    "Trainer",
    "TrainingWarning",
    "WarmUp",
    "__version__",
    "autograd",
    "backend",
    "clip_by_norm",
    "clip_by_value",
    "cross_entropy_error",
    "datasets",
    "diagnose",
    "diagnosis",
    "export",
    "gradient_check",
    "graph",
    "init",
    "layers",
    "load",
    "losses",
    "lr_finder",
    "network",
    "nn",
    "numerical_gradient",
    "optim",
    "plots",
    "reference",
    "save",
    "set_num_threads",
    "softmax",
    "summary",
    "tables",
    "training",
    "tune",
    "use",
    "utils",
]
