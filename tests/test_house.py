"""Texts, hooks and workflow: what they name exists, and versions and names are said as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
WORKFLOW = (ROOT / ".github/workflows/test.yml").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FOLDERS = ["nnkit", "kernels", "bench", "tests", "docs", "examples", ".github"]
TEXTS = [
    path
    for path in [
        *ROOT.glob("*.*"),
        ROOT / "Makefile",
        *(p for f in FOLDERS for p in (ROOT / f).rglob("*")),
    ]
    if path.suffix in {".py", ".md", ".sh", ".toml", ".yml", ".yaml", ".cu", ".cuh", ""}
    and path.is_file()
    and not {"_build", "__pycache__"} & set(path.parts)
]
"""Whatever somebody reads."""
PAGES = [path for path in TEXTS if path.suffix == ".md" and path.name != "extending.md"]
"""The guide to extending makes files, and has tests of its own."""
YAML = [".pre-commit-config.yaml", *(ROOT / ".github").rglob("*.yml")]


def anchor(heading):
    """GitHub's name for a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)#?([^)]*)\)", CONTRIBUTING)
    assert len(links) >= 5
    for path, section in links:
        text = (ROOT / path).read_text("utf-8")
        headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)", text, re.M)}
        assert not section or section in headings, f"{path} has no section {section}"


def test_files_and_targets_that_are_named_exist():
    for path in re.findall(r"\b(?:tests|bench|docs|kernels)/[\w./]+\.\w+", CONTRIBUTING):
        assert (ROOT / path).is_file(), path
    named = {target for line in (CONTRIBUTING, HOOKS) for target in made(line)}
    assert {"test", "format", "stress", "test-large", "lint", "types"} <= named <= TARGETS


def made(text):
    """Targets of `make` in a page's code."""
    return re.findall(r"(?:`|&& |\$ |entry: )make ([a-z-]+)", text)


def test_no_text_installs_another_projects_nnkit():
    """`nnkit` on the package index is another project: the remedy for a library is that library."""
    wrong = re.compile(r"pip3? install[^`\n]*[\s'\"]nnkit\b|\bnnkit\[\w")
    for text in ("pip install nnkit", "pip install -U 'nnkit-learn'", "the extra nnkit[plot]"):
        assert wrong.search(text)
    found = [path for path in TEXTS if wrong.search(path.read_text("utf-8"))]
    assert [path.relative_to(ROOT).as_posix() for path in found] == ["tests/test_house.py"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(page):
    """From the root, from the page, or by their name alone."""
    names = {f"/{path.relative_to(ROOT).as_posix()}" for path in TEXTS}
    named = re.findall(r"`([\w./-]+\.(?:py|md|cuh?|sh|toml))`", page.read_text("utf-8"))
    named += re.findall(r"python (examples/\S+\.py)", page.read_text("utf-8"))
    for name in named:
        assert (page.parent / name).is_file() or any(at.endswith(f"/{name}") for at in names), name


def test_hooks_run_the_versions_of_the_project():
    """They go through make and .venv: no version, and no repository with one, is written there."""
    assert re.findall(r"- repo: (.*)", HOOKS) == ["local"]
    assert re.findall(r"entry: (.*)", HOOKS) == ["make lint", "make types"]
    assert not re.search(r"\brev:|additional_dependencies", HOOKS)
    pinned = [need for need in PROJECT["optional-dependencies"]["dev"] if "==" in need]
    assert [need.partition("==")[0] for need in pinned] == ["mypy", "ruff"]


def test_the_workflow_runs_make_test_on_every_python():
    assert "- run: make test PYTHON=python\n" in WORKFLOW
    pythons = re.search(r"python: \[(.*)\]", WORKFLOW)[1].replace('"', "").split(", ")
    claimed = [line.split()[-1] for line in PROJECT["classifiers"] if re.search(r":: 3\.", line)]
    assert set(claimed) <= set(pythons)
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_workflow_may_only_read_and_pins_what_it_runs():
    assert re.findall(r"^permissions:\n((?:  .*\n)+)", WORKFLOW, re.M) == ["  contents: read\n"]
    used = re.findall(r"uses: (.*)", WORKFLOW)
    assert len(used) == 3
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert "pull_request_target" not in WORKFLOW
    assert not re.search(r"\$\{\{ *(secrets|github\.event)", WORKFLOW)


def test_yaml_is_read():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not a dependency of nnkit's")
    for path in YAML:
        assert isinstance(yaml.safe_load((ROOT / path).read_text("utf-8")), dict), path


def test_the_bug_form_asks_for_what_is_needed():
    form = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8")
    assert re.findall(r"id: (\w+)", form) == ["script", "happened", "expected", "info"]
    assert form.count("required: true") == 4
    assert "`nnkit info`" in form
