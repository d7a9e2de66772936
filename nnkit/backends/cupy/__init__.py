"""The GPU backend: CUDA kernels of our own (kernels/cuda), and NVIDIA's libraries for products.

Work is issued to CuPy's current stream and nothing waits for it. The operations lie in files named
as those of the formulas and the kernels. CuPy is imported when the backend is made.
"""

from nnkit.backends.cupy.backend import CupyBackend
from nnkit.backends.cupy.starting import create

__all__ = ["CupyBackend", "create"]
