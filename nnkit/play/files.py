"""The page's own files, all read at the start: no path that a client names is ever opened."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def page() -> dict[str, tuple[bytes, str]]:
    """Each file's bytes and media type, by its path below ``page/``, such as "views/draw.js"."""
    found: dict[str, tuple[bytes, str]] = {}
    _read(files("nnkit.play") / "page", "", found)
    return found


def _read(folder: Traversable, path: str, found: dict[str, tuple[bytes, str]]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _read(entry, f"{path}{entry.name}/", found)
        elif kind := TYPES.get(f".{entry.name.rpartition('.')[2]}"):
            found[path + entry.name] = entry.read_bytes(), kind
