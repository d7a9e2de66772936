"""The figure that pictures are drawn into; needs Matplotlib to be imported."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from nnkit.plotting.fonts import fonts_that_fit


class Picture(Figure):
    """A figure whose texts are in any script for which a font is installed."""

    def draw(self, renderer: Any) -> None:
        """Draw it; texts find their fonts first, since the layout depends on them."""
        with fonts_that_fit(self):
            super().draw(renderer)
