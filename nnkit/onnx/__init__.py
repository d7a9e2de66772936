"""Models as ONNX files, for other programs to run, and back; needs the package onnx.

    >>> nnkit.onnx.export(model, "model.onnx")
    >>> model = nnkit.onnx.load("model.onnx")

Any runtime of ONNX computes what the model does in evaluation mode. `docs/exchange.md` says which
operators each layer becomes, and what `load` reads.
"""

from typing import TYPE_CHECKING, Any

from nnkit.given.missing import missing
from nnkit.onnx.exporting import export
from nnkit.onnx.loading import load
from nnkit.onnx.translating import exporter

__all__ = ["export", "exporter", "load"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
