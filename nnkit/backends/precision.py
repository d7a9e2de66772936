"""How exactly a GPU multiplies matrices of float32."""

from __future__ import annotations

PRECISIONS = ("float32", "tf32")

_precision = "float32"


def set_precision(name: str) -> None:
    """Choose how a GPU multiplies matrices of float32, for the process.

    Parameters
    ----------
    name
        "float32", with which a program begins: all 24 binary digits of each factor. "tf32": the
        tensor cores of an A100 and later may round factors to 11 digits, and are several times as
        fast; sums are float32 all the same.

    It holds for the products of layers, convolutions among them, on the `cupy` backend; other
    backends and dtypes do not change. Training under way goes on with it from the next steps.
    Raises ValueError for another name.
    """
    global _precision  # noqa: PLW0603
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}: choose {' or '.join(PRECISIONS)}")
    _precision = name


def get_precision() -> str:
    """Return how a GPU multiplies matrices of float32: see `set_precision`."""
    return _precision
