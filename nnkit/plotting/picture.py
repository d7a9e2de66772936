"""The figures that pictures are drawn into: in any script, and seen in notebooks."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from nnkit.plotting.fonts import fonts_that_fit


class Picture(Figure):
    """A figure that a notebook draws where it is the value of a cell.

    Matplotlib's own are drawn there only if they were made with pyplot. Its texts are in any script
    for which a font is installed.
    """

    def draw(self, renderer: Any) -> None:
        """Draw it; texts find their fonts first, since the layout depends on them."""
        with fonts_that_fit(self):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
