"""kernels/README.md says of every kernel what it computes; here it is held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnkit.backends.contract import OPERATIONS
from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.operations import functions_of

KERNELS = Path(__file__).parents[1] / "kernels"
TEXT = (KERNELS / "README.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """Cells of the table that a heading begins, by the name in the first column."""
    table = TEXT.partition(heading)[2].partition("\n| --- ")[2].partition("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in table.splitlines()[1:]]
    return {row[0].strip(" `"): [c.strip().replace(r"\|", "|") for c in row[1:]] for row in cells}


def test_every_operation_is_in_the_table():
    assert rows("# Kernels").keys() == OPERATIONS.keys() - {"matmul"}


@pytest.mark.parametrize("operation", rows("# Kernels"))
def test_an_operation_has_the_versions_and_the_test_that_the_table_names(operation):
    *_, files = rows("# Kernels")[operation]
    names = files.split(" / ") if " / " in files else [files, files]
    assert (KERNELS / "numba" / f"{names[0]}.py").exists()
    assert (KERNELS / "cuda" / f"{names[1]}.cu").exists()
    numba_source = (KERNELS / "numba" / f"{names[0]}.py").read_text()
    assert re.search(rf"def {operation}\(|^{operation} = ", numba_source, re.MULTILINE)
    cuda_source = (KERNELS / "cuda" / f"{names[1]}.cu").read_text()
    name = "cross_entropy" if operation == "softmax_cross_entropy" else operation
    assert re.search(rf"\b{name}\w*\s*[(,]", cuda_source)
    assert f"test_{operation}" in functions_of(names[0])


def test_activations_are_those_of_the_registry():
    assert rows("## Activations") == {
        kind: [a.formula, a.gradient or "none", a.saved, a.init] for kind, a in ACTIVATIONS.items()
    }


def test_losses_are_those_of_the_registry():
    assert rows("## Losses") == {
        kind: [a.formula, a.gradient, a.mean_over] for kind, a in LOSSES.items()
    }
