"""Figures that show themselves in notebooks."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that a notebook draws where it is the value of a cell.

    Matplotlib's own are drawn there only if they were made with pyplot.
    """

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
