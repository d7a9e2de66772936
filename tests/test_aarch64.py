"""ARM processors, of which none is here: kernels compile for them, and tiles stay in registers.

What the assembly shows is that the inner loop of a product is multiplications and the loads that
they need. Running it takes such a processor, or an emulator: docs/backends.md says what has run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("numba")

import llvmlite.binding as llvm

from tests.aarch64 import TRIPLE
from tests.conftest import LARGE

ROOT = Path(__file__).parents[1]
QUICK = "products", "convolutions", "threads"


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    llvm.initialize_all_targets()
    try:
        llvm.Target.from_triple(TRIPLE)
    except RuntimeError as error:
        pytest.skip(f"this LLVM makes no code for ARM: {error}")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that gives the assembly of kernels, by their names, each compiled once."""

    @cache
    def compiled(processor: str, *what: str) -> dict[str, str]:
        cache = str(tmp_path_factory.mktemp("kernels"))
        done = subprocess.run(
            [sys.executable, "-m", "tests.aarch64", processor, *what],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        _, *kernels = re.split(r"^kernel (\w+)$", done.stdout, flags=re.M)
        return dict(zip(kernels[::2], kernels[1::2], strict=True))

    return compiled


# ------------------------------------------------------------------------- reading assembly


def functions(assembly: str) -> dict[str, list[str]]:
    """Lines of each function, labels and instructions."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in assembly.splitlines():
        if label := re.match(r'"?([^\s"]+)"?:', line):
            if not label[1].startswith(".L"):
                lines = found.setdefault(label[1], [])
            lines.append(f"{label[1]}:")
        elif re.match(r"\s+[a-z]", line):
            lines.append(line.partition("//")[0].strip())
    return found


def loops(lines: list[str]) -> Iterator[list[str]]:
    """What lies between a label and each jump back to it."""
    places: dict[str, int] = {}
    instructions: list[str] = []
    for line in lines:
        if line.endswith(":"):
            places[line[:-1]] = len(instructions)
            continue
        instructions.append(line)
        jump = re.match(r"(?:b|b\.\w+|cbn?z|tbn?z)\s.*?(\.L\w+)$", line)
        if jump and jump[1] in places:
            yield instructions[places[jump[1]] :]


def multiplying_loop(lines: list[str]) -> list[str]:
    """The shortest loop with multiplications of vectors."""
    return min((loop for loop in loops(lines) if count(loop, r"fmla\sv")), key=len)


def count(loop: list[str], pattern: str) -> int:
    return sum(re.match(pattern, line) is not None for line in loop)


SAMPLE = """
first:
\tmov\tx0, x1 // a remark
.LBB0_1:
\tldr\tq0, [x0]
.LBB0_2:
\tfmla\tv1.4s, v0.4s, v2.s[0]
\tsubs\tx1, x1, #1
\tb.ne\t.LBB0_2
\tcbnz\tx3, .LBB0_1
\tb\t.LBB0_3
.LBB0_3:
\tret
"_ZN6second":
\tret
"""


def test_loops_are_found():
    found = functions(SAMPLE)
    assert [*found] == ["first", "_ZN6second"]
    assert [len(loop) for loop in loops(found["first"])] == [3, 5]
    assert multiplying_loop(found["first"])[-1] == "b.ne\t.LBB0_2"


# ------------------------------------------------------------------------- what is compiled


def tiles(kernels: dict[str, str]) -> dict[str, tuple[int, list[str]]]:
    """Width and multiplying loop of each tile function, by kernel and name."""
    return {
        f"{kernel}: {name}": (int(tile[1]), multiplying_loop(lines))
        for kernel, assembly in kernels.items()
        for name, lines in functions(assembly).items()
        if (tile := re.match(r"nnkit_\w+_tile_float\d+_(\d)", name))
    }


def test_tiles_stay_in_registers_on_a_neoverse_n1(compiled):
    found = tiles(compiled("neoverse-n1", *QUICK))
    for kind, kernel in [("plain", "product"), ("gathered", "convolution"), ("plain", "winograd")]:
        assert f"{kernel}: nnkit_{kind}_tile_float32_3" in found
    assert "convolution_backward: nnkit_choosing_tile_float32_1" in found
    check(found)


def check(found: dict[str, tuple[int, list[str]]]) -> None:
    """A loop has each sum in its own register, and little beside multiplications and loads."""
    for name, (width, loop) in found.items():
        text = "\n".join([name, *loop])
        sums = count(loop, r"fmla\sv")
        assert len(set(re.findall(r"fmla\s(v\d+)", text))) == sums, text
        assert count(loop, r".*\bsp\b") == 0, text
        if "choosing" not in name:
            assert count(loop, r"mov\sv") == 0, text
            assert sums >= 20 or width < 3, text
            assert len(loop) <= sums + count(loop, r"ld") + 16, text


def test_minimal_filtering_stays_in_registers(compiled):
    """Its transforms have 24 additions and more of vectors, and none of these goes to memory."""
    kernels = compiled("neoverse-n1", *QUICK)
    found = [
        loop
        for kernel in ("winograd", "winograd_backward")
        for lines in functions(kernels[kernel]).values()
        for loop in loops(lines)
        if count(loop, r"f(add|sub)\sv") >= 24 and count(loop, r"b\.|cbn?z|tbn?z") == 1
    ]
    assert len(found) >= 5
    for loop in found:
        assert count(loop, r"(ld|st)\w+\sq.*\bsp\b") == 0, "\n".join(loop)


def test_threads_wait_in_a_way_that_leaves_the_core(compiled):
    kernels = compiled("neoverse-n1", *QUICK)
    for name in ("lead", "serve"):
        assert re.search(r"\sisb\b", kernels[name])
        assert re.search(r"\sldaddal\s", kernels[name])


@pytest.mark.skipif(not os.environ.get(LARGE), reason="is left to make test-large")
def test_every_operation_compiles_for_an_apple_m1(compiled):
    found = tiles(compiled("apple-m1", "operations"))
    assert "product: nnkit_plain_tile_float32_3" in found
    check(found)
