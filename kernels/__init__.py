"""Hand-written kernels of the Numba and CUDA backends, and the table that names them."""
