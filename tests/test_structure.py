"""Imports go one way: no module needs one that needs it, and each level only those below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEVELS = [
    *("reasons", "showing", "kernels", "dtypes", "files", "given", "backends"),
    *("distributed", "initializers"),
    *("parameters", "checkpoint"),
    *("layers", "losses", "optimizers", "schedules", "augment", "gradcheck", "loading"),
    "models",
    "tracing",
    *("training", "sklearn", "onnx", "plotting", "callbacks", "play", "cli"),
]
"""Parts of nnkit, each of which may need those before it. Others stand beside them."""


def modules() -> dict[str, Path]:
    found = {}
    for folder, name in ((ROOT / "nnkit", "nnkit"), (ROOT / "kernels", "nnkit.kernels")):
        for path in folder.rglob("*.py"):
            if folder.name == "nnkit" and "kernels" in path.relative_to(folder).parts:
                continue
            parts = [name, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def needed(name: str) -> set[str]:
    """Modules of nnkit that a module imports, wherever in it, but for those of types alone."""
    tree = ast.parse(MODULES[name].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return {x for x in found if x in MODULES and x != name}


GRAPH = {name: needed(name) for name in MODULES}


def test_no_module_needs_one_that_needs_it():
    left = {name: set(others) for name, others in GRAPH.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"in a circle, or needing one: {sorted(left)}"


def part(name: str) -> str:
    return name.removeprefix("nnkit").removeprefix(".").partition(".")[0]


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_needs_only_those_below(level):
    above = set(LEVELS[LEVELS.index(level) + 1 :])
    names = [name for name in MODULES if part(name) == level]
    assert names
    for name in names:
        assert not {other for other in GRAPH[name] if part(other) in above}, name
