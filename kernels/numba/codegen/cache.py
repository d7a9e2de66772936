"""Compiled kernels on disk, which no edit leaves stale and no damage stops."""

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
)
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from nnkit.showing.warning import CacheWarning, warn

FOLDER_VARIABLE = "NUMBA_CACHE_DIR"
"""What tells another process where compiled kernels are."""

_KERNELS = Path(__file__).parents[1]
"""The folder of the Numba kernels, this one among its folders."""


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in (_KERNELS.parent / "table.py", *sorted(_KERNELS.rglob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


_FINGERPRINT = _fingerprint()


def _readable(locator: Any) -> Any:
    """A way of Numba's to find the folder of a cache, for one that cannot be written."""

    class Readable(locator):  # type: ignore[misc]
        def ensure_cache_path(self) -> None:
            if not Path(self.get_cache_path()).is_dir():
                raise FileNotFoundError(self.get_cache_path())

    return Readable


_CHOSEN, *_OTHERS = CompileResultCacheImpl._locator_classes
"""How Numba looks for a folder: first for that which was chosen."""
_READABLE = [_readable(locator) for locator in (_CHOSEN, *_OTHERS[:2])]


class _Folders(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's, which also read where nothing can be written: in an image for containers, say."""

    _locator_classes = [_CHOSEN, _READABLE[0], *_OTHERS, *_READABLE[1:]]  # noqa: RUF012


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, keyed by the sources of all kernels and by the kernel's variant.

    Numba looks only at the file of the function itself, and would go on using a kernel whose helper
    in another file has changed (numba issue 1833). And it finds functions made by a factory only if
    what they close over pickles to the same bytes in every process, which functions do not.

    A file that is damaged is one that is not there: the kernel is compiled and written again. Where
    none can be written, a `CacheWarning` says so once.
    """

    _impl_class = _Folders

    def __init__(self, function: Callable[..., Any], variant: str) -> None:
        super().__init__(function)
        self._variant = variant
        self._kept = not isinstance(self._impl.locator, tuple(_READABLE))
        self._cache_file = _SealedFile(self._cache_path, self._impl.filename_base, _FINGERPRINT)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple(), _FINGERPRINT, self._variant

    def lacks(self, sig: Any) -> bool:
        """Whether a compiled kernel is not on disk, and could be."""
        try:
            key = self._index_key(sig, cpu_target.target_context.codegen())
            return self._kept and not self._cache_file.holds(key)
        except Exception:  # reading what is no pickle may raise anything
            return True

    @property
    def index(self) -> str:
        """The file that names the compiled versions of a kernel, and of those from its factory.

        Two processes that add to it at once may lose one of the names.
        """
        path: str = self._cache_file._index_path
        return path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a compiled kernel, None if there is none that is whole.

        Numba would first load all that it compiles with. What is compiled needs its memory alone.
        """
        try:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception:  # reading what is no pickle may raise anything
            with suppress(OSError):
                self.flush()  # a damaged index could not be added to
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled kernel, if possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(f"{self.cache_path}: {error.strerror or error}")


class NoCache(NullCache):  # type: ignore[misc]
    """What takes the cache's place where there is no folder for one."""

    index = ""

    def lacks(self, sig: Any) -> bool:
        """Whether a compiled kernel is not on disk, and could be."""
        return False

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep nothing, and say so once."""
        _warn("no folder for them can be written")


class _SealedFile(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files, with a digest by which a flipped bit, or another kernel's file, is found."""

    def save(self, key: Any, data: Any) -> None:
        """Write what belongs to a key."""
        content = dumps(data)
        super().save(key, (_seal(key, content), content))

    def load(self, key: Any) -> Any:
        """Read what belongs to a key, None if there is nothing; ValueError if it is damaged."""
        found = super().load(key)
        if found is None:
            return None
        seal, content = found
        if seal != _seal(key, content):
            raise ValueError("this is not what was written")
        return pickle.loads(content)

    def holds(self, key: Any) -> bool:
        """Whether there is something that belongs to a key; it may be damaged."""
        name = self._load_index().get(key)
        return name is not None and Path(self._data_path(name)).exists()


def _seal(key: Any, content: bytes) -> bytes:
    return hashlib.sha256(repr(key).encode() + content).digest()


def cache_of(function: Callable[..., Any], variant: str) -> KernelCache | NoCache:
    """Return the cache of a kernel."""
    try:
        return KernelCache(function, variant)
    except RuntimeError:  # which Numba raises where it finds no folder
        return NoCache()


def folder() -> str:
    """Return the folder of compiled kernels that was chosen; an empty string if none was."""
    return str(config.CACHE_DIR)


def user_folder() -> str:
    """Return the folder that Numba takes where the kernels' own cannot be written."""
    from numba.misc.appdirs import user_cache_dir

    return str(user_cache_dir("numba", appauthor=False))


def is_missing(function: Any, signature: tuple[Any, ...]) -> bool:
    """Whether a kernel is compiled neither in this process nor on disk, where it could be kept."""
    return signature not in function.overloads and function._cache.lacks(signature)


def is_kernel(dispatcher: Any) -> bool:
    """Whether a function that Numba compiles is a kernel of ours, no part of one."""
    return isinstance(getattr(dispatcher, "_cache", None), KernelCache | NoCache)


def why_not_kept() -> str:
    """Why what this process has compiled is not on disk; an empty string if it is."""
    return "".join(_warned)


_warned: list[str] = []


def _warn(reason: str) -> None:
    if not _warned:
        _warned.append(reason)
        warn(
            f"compiled kernels cannot be kept ({reason}), so that every program compiles them "
            "anew: set NUMBA_CACHE_DIR to a folder that can be written",
            CacheWarning,
        )
