"""Batches that somebody else makes: generators, lists, `torch.utils.data.DataLoader`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnkit.backends import Array, get_backend
from nnkit.files.memory import too_much
from nnkit.given.arrays import dense, is_array, on_device

CHECKED_BYTES = 64 << 20
"""So many more bytes are read before the free memory is asked for again."""


class Batches:
    """An iterable of batches (x, t) or (x, t, sample_weight), read an epoch at a time.

    Raises TypeError for what is none.
    """

    def __init__(self, source: Any) -> None:
        if is_array(source) or not are_several(source):
            raise TypeError(
                "there are no targets: give x and t, or batches of both, such as a DataLoader, a "
                f"list or a generator of pairs (x, t), not {type(source).__name__}"
            )
        self.source: Iterable[Any] = source
        self.again = not isinstance(source, Iterator)
        """Whether every epoch reads it anew."""
        self.size = 0
        """Examples in the first batch."""

    def read(self) -> tuple[Array, Array, Array | None]:
        """Return the x, t and weights of an epoch, each in an array; None without weights.

        Raises TypeError for what is no batch, ValueError for no batches, for batches that differ in
        whether they have weights, and for more than there is memory for.
        """
        parts: list[list[Array]] = []
        held = checked = 0
        for each in self.source:
            parts.append(_parts(each))
            held += sum(part.nbytes for part in parts[-1])
            if held - checked > CHECKED_BYTES:
                checked = held
                _check_room(held)
        if not parts:
            raise ValueError("there are no batches: an iterator that was read before has none left")
        if len({len(each) for each in parts}) > 1:
            raise ValueError("some batches have a sample_weight, and others have none")
        x, t, *weights = (_joined(arrays) for arrays in zip(*parts, strict=True))
        self.size = len(parts[0][0])
        return x, t, weights[0] if weights else None


def are_several(given: Any) -> bool:
    """Whether it can be an iterable of batches."""
    return isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)


def joined(x: Any) -> Any:
    """Return examples in one array, if they come in batches; anything else as it is.

    Lists and arrays are no batches here, but rows. Of a batch (x, t) it is x that is taken.
    """
    if is_array(x) or not are_several(x) or isinstance(x, Sequence):
        return x
    parts = [_array(each[0] if _is_batch(each) else each) for each in x]
    if not parts:
        raise ValueError("there are no batches: an iterator that was read before has none left")
    return _joined(parts)


def _parts(batch: Any) -> list[Array]:
    """Return a batch's x and t, and perhaps its weights."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        kind = type(batch).__name__
        if isinstance(batch, tuple | list):
            kind += f" of {len(batch)}"
        raise TypeError(
            f"batches must be pairs (x, t), or (x, t, sample_weight), but one is of type {kind}"
        )
    arrays = [_array(each) for each in batch]
    if len({each.shape[:1] for each in arrays}) > 1 or not arrays[0].ndim:
        shapes = " and ".join(str(tuple(each.shape)) for each in arrays)
        raise ValueError(
            f"a batch has parts of shapes {shapes}: there must be as many rows in each"
        )
    return arrays


def _array(given: Any) -> Array:
    """Return an array on the host, or in CuPy's memory: a copy, for the next batch may be there."""
    return get_backend("cupy").asarray(given).copy() if on_device(given) else np.array(dense(given))


def is_list_of_batches(given: Any) -> bool:
    """Whether it is a list of pairs or triples of arrays, and not the pair of x and t."""
    pairs = isinstance(given, list) and all(isinstance(each, tuple) for each in given)
    return pairs and all(len(each) > 1 and _is_batch(each) for each in given)


def _is_batch(batch: Any) -> bool:
    """Whether it has x, perhaps t and weights; of x alone a `TensorDataset` gives lists of one."""
    several = isinstance(batch, tuple | list) and len(batch) in (1, 2, 3)
    return several and all(map(is_array, batch))


def _joined(arrays: Sequence[Array]) -> Array:
    """Return a new array of all rows; raises ValueError where they have different shapes."""
    for each in arrays:
        if each.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"batches have shapes such as {arrays[0].shape} and {each.shape}: only the number "
                "of rows may differ"
            )
    if on_device(arrays[0]):
        return get_backend("cupy").xp.concatenate([*arrays])
    return np.concatenate(arrays)


def _check_room(held: int) -> None:
    if too_much(held):
        raise ValueError(
            f"the batches so far take {held:,} bytes, more than half of the free memory, and an "
            "epoch is held in memory: if they never end, take itertools.islice(batches, n); give "
            "what is large as a memory map"
        )
