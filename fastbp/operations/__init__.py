"""The operations as data: the rows of `_kernels/operations.h`, with NumPy twins and names."""
