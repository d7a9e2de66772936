"""The libraries behind the page, which `import nnkit` does not need."""

from __future__ import annotations

from nnkit.reasons import importing

LIBRARIES = "starlette", "uvicorn", "websockets"


def check_libraries(who: str) -> None:
    """Raise ImportError, with the remedy, where a library that `who` needs is not there."""
    remedy = f"{who} needs Starlette, uvicorn and websockets: pip install {' '.join(LIBRARIES)}"
    for module in LIBRARIES:
        with importing(module, module, remedy):
            pass
