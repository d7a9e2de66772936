"""The Numba kernels: plain functions over C-contiguous arrays, compiled once and kept on disk."""
