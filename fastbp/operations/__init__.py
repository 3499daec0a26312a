"""The operations as data: the rows of `_kernels/operations.h`, with NumPy twins and names.

Of each activation and loss they have its formula, its gradient and its names; of each update rule
its formula and what it keeps.
"""
