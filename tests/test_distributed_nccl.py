"""Sums by NCCL: on the simulator, with a stand-in that has a GPU for each thread."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from nnkit import dtypes
from nnkit.backends import Backend, cupy
from nnkit.distributed import nccl
from tests.device import fake_cupy, fake_nccl, simulator
from tests.ranks import on_ranks

SIMULATED = pytest.mark.skipif(bool(simulator.unavailable()), reason=str(simulator.unavailable()))


@pytest.fixture(scope="module")
def backends():
    """A backend for each of two ranks."""
    with fake_cupy.installed():
        return [cupy.create(), cupy.create()]


def sums(backends: list[Backend], work):
    """What two ranks return that are given their backend, number and what adds up."""

    def one(ranks):
        adder = nccl.NcclSum(
            fake_nccl, backends[ranks.rank], ranks.gather, ranks.rank, f"GPU {ranks.rank}"
        )
        return work(backends[ranks.rank], ranks.rank, adder)

    return on_ranks(2, one)


@SIMULATED
@pytest.mark.parametrize("name", sorted(nccl.KINDS))
def test_sums_of_every_dtype(backends, name):
    def work(backend, rank, adder):
        x = backend.asarray(np.arange(7).astype(dtypes.parse(name)) * (rank + 1))
        adder.add_up(x, None)
        return backend.to_numpy(x)

    for found in sums(backends, work):
        assert found.dtype == dtypes.parse(name)
        assert found.tolist() == [0, 3, 6, 9, 12, 15, 18]


@SIMULATED
@pytest.mark.parametrize("wire", [None, "float16", "bfloat16"])
def test_a_sum_is_part_of_a_captured_step(backends, wire):
    """In 16 bits 1 + 2**-12 is 1: what is added up, and stored, has been rounded."""

    def work(backend, rank, adder):
        x, one = (backend.asarray(np.full(3, v, np.float32)) for v in (1 + 2.0**-12, 1))

        def step():
            adder.add_up(x, wire)
            backend.accumulate(one, x, -1.0, False)

        step()
        after_one = backend.to_numpy(x).tolist()
        captured = backend.capture(step)
        assert backend.to_numpy(x).tolist() == after_one, "captured, not done"
        captured(20)
        return after_one, backend.to_numpy(x).tolist(), adder._ranks.calls

    for after_one, after_all, calls in sums(backends, work):
        rest = 0.0 if wire else 2.0**-12
        assert after_one == [1 + 2 * rest] * 3
        assert after_all == [1 + 2**21 * rest] * 3
        assert calls == 1 + 1 + 16, "once, and in graphs of 1 and of 16 steps"


@SIMULATED
def test_two_ranks_on_one_gpu(backends):
    def work(ranks):
        with pytest.raises(RuntimeError) as error:
            nccl.NcclSum(fake_nccl, backends[0], ranks.gather, ranks.rank, "0000:01:00.0 of node1")
        return str(error.value)

    text = "ranks 0 and 1 have the same GPU, 0000:01:00.0 of node1: start one for each"
    assert on_ranks(2, work) == [text] * 2


@SIMULATED
def test_a_gpu_that_does_not_get_on(backends):
    with fake_cupy.installed():
        busy = nccl.Busy(backends[0].xp)
        assert not busy()
        with fake_cupy.asynchronous("late"):
            x = backends[0].asarray(np.ones(3))
            backends[0].accumulate(x, x, 1.0, False)
            assert [busy(), busy(), busy()] == [False, True, True]
            backends[0].synchronize()
            assert not busy()


@SIMULATED
def test_without_nccl_sums_go_through_the_host():
    """The look-alike has none, as the wheels for Windows."""
    with (
        fake_cupy.installed(),
        pytest.warns(UserWarning, match="gradients go through the host, and steps are not capt"),
    ):
        assert nccl.load() is None


@pytest.mark.parametrize(
    ("given", "local", "expected"),
    [
        *((None, (1, 2), "1"), ("4,5, 6", (2, 3), "6"), ("GPU-1f", (1, 2), "GPU-1f")),
        *((None, (0, 1), None), ("2,3", (0, 1), "2,3"), ("", (1, 2), "")),
    ],
)
def test_each_rank_sees_its_gpu(given, local, expected):
    environment = {} if given is None else {nccl.VISIBLE: given}
    nccl.choose_gpu(*local, environment)
    assert environment.get(nccl.VISIBLE) == expected


def test_more_ranks_than_gpus():
    text = "CUDA_VISIBLE_DEVICES=0,1 has no GPU for rank 2 of 3 on this machine: start 2 ranks"
    with pytest.raises(ValueError, match=f"^{text}$"):
        nccl.choose_gpu(2, 3, {nccl.VISIBLE: "0,1"})


def test_the_stand_in_has_the_signatures_of_cupy():
    """Which are read from the compiled module's texts: it is imported where there is NCCL alone."""
    libraries = pytest.importorskip("cupy_backends.cuda.libs")
    (module,) = Path(libraries.__path__[0]).glob("nccl.*so")
    found = module.read_bytes()
    theirs = re.search(rb"NcclCommunicator\.allReduce\(self, ([^)]*)\)", found)[1].decode()
    ours = inspect.signature(fake_nccl.NcclCommunicator.allReduce).parameters
    assert [part.split()[-1] for part in theirs.split(", ")] == list(ours)[1:]
    for name in ("get_unique_id", "get_version"):
        assert name.encode() in found
    for kind in (*nccl.KINDS.values(), "SUM"):
        assert f"NCCL_{kind}".encode() in found
