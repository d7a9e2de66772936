"""Weights that lie in a file beside a graph, as PyTorch's exporter puts them there."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from nnkit.files.paths import open_file


def bring_in(graph: Any, folder: Path) -> None:
    """Read the weights of a graph that lie in other files into it.

    Those may be ordinary files in the same folder alone, not links, so that a graph of anybody's
    reads nothing else. Raises ValueError for others, and for what the file has no bytes for.
    """
    from onnx import TensorProto, helper

    for tensor in graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        place = {entry.key: entry.value for entry in tensor.external_data}
        name, start = place.get("location", ""), int(place.get("offset", 0))
        path = folder / name
        if not name or Path(name).name != name or path.is_symlink():
            raise ValueError(
                f"its {tensor.name} lies in {name!r}: nnkit reads files of the same folder alone"
            )
        size = prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        with open_file(path) as file:
            if start < 0 or min(tensor.dims, default=0) < 0 or start + size > path.stat().st_size:
                raise ValueError(f"{name} is too short for its {tensor.name}")
            file.seek(start)
            tensor.raw_data = file.read(size)
        tensor.data_location = TensorProto.DEFAULT
