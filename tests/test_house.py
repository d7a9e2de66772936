"""CONTRIBUTING.md, hooks and workflow: what they name exists, and versions are said once."""

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
