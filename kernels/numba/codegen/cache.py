"""Compiled kernels on disk, which no edit leaves stale."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache

_KERNELS = Path(__file__).parents[1]
"""The folder of the Numba kernels, this one among its folders."""


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in (_KERNELS.parent / "table.py", *sorted(_KERNELS.rglob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


_FINGERPRINT = _fingerprint()


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, keyed by the sources of all kernels and by the kernel's variant.

    Numba looks only at the file of the function itself, and would go on using a kernel whose helper
    in another file has changed (numba issue 1833). And it finds functions made by a factory only if
    what they close over pickles to the same bytes in every process, which functions do not.
    """

    def __init__(self, function: Callable[..., Any], variant: str) -> None:
        super().__init__(function)
        self._variant = variant

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple(), _FINGERPRINT, self._variant
