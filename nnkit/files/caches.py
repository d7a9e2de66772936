"""Where programs keep what they could get again: the user's cache folder."""

import os
import sys
from pathlib import Path

from nnkit.files.paths import expand


def user_cache(project: str) -> Path:
    r"""Return a project's folder in the user's cache, made by nobody yet.

    On Windows ``%LOCALAPPDATA%\project\project\Cache``, the project being its own author. Elsewhere
    ``$XDG_CACHE_HOME/project`` where that is a whole path (XDG Base Directory Specification), else
    ``~/Library/Caches/project`` on macOS and ``~/.cache/project``.
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or expand("~/AppData/Local")
        return Path(local, project, project, "Cache")
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():
        return chosen / project
    return expand("~/Library/Caches" if sys.platform == "darwin" else "~/.cache") / project
