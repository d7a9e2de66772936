"""The data sets that have a name, and the table of them in the guide."""

import re
from pathlib import Path

import pytest

from nnkit.data import available

TABLE = re.findall(
    r"^\| `([\w-]+)` \| (.*?) \| ([\d,]+) \+ ([\d,]+) \| (.*?) \|$",
    (Path(__file__).parents[1] / "docs" / "data.md").read_text(),
    re.M,
)
KNOWN = {info.name: info for info in available()}


def test_the_guide_has_all_of_them():
    assert {name for name, *_ in TABLE} == set(KNOWN)
    assert len(TABLE) == len(KNOWN)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_the_guide_says_what_is_known(row):
    name, what, n_train, n_test, source = row
    info = KNOWN[name]
    assert (n_train, n_test) == (f"{info.n_train:,}", f"{info.n_test:,}")
    size = "x".join(map(str, info.image_shape[:2]))
    assert what.endswith(size + (" in colour" if len(info.image_shape) == 3 else ""))
    megabytes = re.findall(r"(\d+) MB", source)
    assert megabytes in ([], [f"{info.download_bytes / 1e6:.0f}"])
