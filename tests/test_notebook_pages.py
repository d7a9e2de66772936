"""The notebooks of the docs run, and show bars, tables and pictures; all in one kernel."""

from __future__ import annotations

import os
import warnings
from base64 import b64decode
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("sklearn")
matplotlib = pytest.importorskip("matplotlib")

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
PAGES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def page(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """All pages one behind the other, each with no variables of the last: a kernel takes seconds.

    Without MNIST, which would take longer.
    """
    folder = str(tmp_path_factory.mktemp("notebooks"))
    pages = {name: page(name) for name in PAGES}
    whole = nbformat.v4.new_notebook()
    for notebook in pages.values():
        whole.cells += [nbformat.v4.new_code_cell("%reset -f"), *code_cells(notebook)]
    environment = {
        **{**os.environ, "NNKIT_DATA_DIR": "", "NNKIT_BACKEND": "numpy"},
        **{"XDG_CACHE_HOME": folder, "LOCALAPPDATA": folder},
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # its list of fonts takes seconds to make
    }
    client = nbclient.NotebookClient(
        whole, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    with warnings.catch_warnings():  # of event loops, which differ by system
        warnings.simplefilter("ignore")
        client.execute(env=environment)
    return pages


def outputs(notebook, kind):
    """What the cells of a notebook show in one form, such as "image/png"."""
    shown = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output.data[kind] for output in shown if kind in output.get("data", {})]


def text(notebook, stream):
    shown = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(output.text for output in shown if output.get("name") == stream)


@pytest.mark.parametrize("name", PAGES)
def test_it_draws_what_is_no_empty_picture(executed, name):
    pictures = outputs(executed[name], "image/png")
    assert pictures and all(len(b64decode(picture)) > 5000 for picture in pictures)


@pytest.mark.parametrize("name", PAGES)
def test_what_it_writes_is_no_warning(executed, name):
    assert "Warning" not in text(executed[name], "stderr")


def test_bars_lines_and_tables(executed):
    first = executed["first_network"]
    widgets = outputs(first, "application/vnd.jupyter.widget-view+json")  # with ipywidgets
    assert widgets or "epoch 1/40 |" in text(first, "stderr")
    assert "epoch 40/40   loss 0." in text(first, "stdout")
    tables = outputs(first, "text/html")
    assert len(tables) == 2
    assert "Linear(in_features=2, out_features=16, bias=True)" in tables[0]
    assert "val_accuracy" in tables[1]


def test_the_gradient_that_was_measured_is_that_of_backpropagation(executed):
    lines = text(executed["first_network"], "stdout").splitlines()
    (line,) = (line for line in lines if line.startswith("by backpropagation"))
    computed, measured = (float(part.split()[-1]) for part in line.split(","))
    assert computed == pytest.approx(measured, abs=2e-5)


@pytest.mark.parametrize("name", PAGES)
def test_it_is_kept_without_outputs(name):
    notebook = page(name)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    assert notebook.metadata.kernelspec.name == "python3"
