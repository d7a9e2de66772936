"""How this process was started: by MPI, by a launcher that sets RANK and WORLD_SIZE, or alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where Open MPI, those that descend from MPICH (Intel MPI, Cray's, `srun --mpi=pmi2`), and MVAPICH
write how many processes they started."""
PMIX, STEP_SIZE = "PMIX_RANK", "SLURM_STEP_NUM_TASKS"
"""`srun --mpi=pmix` writes no size of MPI's, but that of the job's step, which srun always does; a
script of sbatch's has SLURM_NTASKS as well, and is one process."""
TORCH = {"RANK": "SLURM_PROCID", "WORLD_SIZE": STEP_SIZE, "LOCAL_RANK": "SLURM_LOCALID"}
"""What torchrun writes, and where srun has the same."""
AGENT = "TORCHELASTIC_USE_AGENT_STORE"
"""Says that torchrun itself listens at MASTER_PORT, and ranks at the next."""
PORTS = 65535


class Launch(NamedTuple):
    """What the environment says of a run; with MPI, the library has the last word."""

    by: str
    """"mpi", "sockets" or "alone"."""
    rank: int = 0
    size: int = 1
    local_rank: int | None = None
    local_size: int | None = None
    address: str = ""
    port: int = 0


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is one of several that a launcher started."""
    return read(environment).size > 1


def read(environment: Mapping[str, str] = os.environ) -> Launch:
    """Return how the process was started; ValueError where the variables contradict each other.

    MPI is first asked for, then RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. LOCAL_RANK and
    LOCAL_WORLD_SIZE may be missing: ranks find out which of them share a machine.
    """
    size = _mpi_size(environment)
    ours = _sockets(environment)
    if size > 1 and "WORLD_SIZE" in environment and ours.size != size:
        raise ValueError(
            f"MPI started {size} processes, but WORLD_SIZE is {ours.size}: unset RANK and "
            "WORLD_SIZE, or start without MPI"
        )
    return Launch("mpi", size=size) if size > 1 else ours


def _mpi_size(environment: Mapping[str, str]) -> int:
    names = [name for name in MPI_SIZES if environment.get(name)]
    if not names and environment.get(PMIX) and environment.get(STEP_SIZE):
        names = [STEP_SIZE]
    return _number(environment, names[0], 1) if names else 1


def _sockets(environment: Mapping[str, str]) -> Launch:
    """What RANK and so on say, or with MASTER_ADDR the variables of srun."""
    plain = "RANK" in environment or "WORLD_SIZE" in environment
    if not plain and not (environment.get(STEP_SIZE) and environment.get("MASTER_ADDR")):
        return Launch("alone")
    names = {name: name if plain else other for name, other in TORCH.items()}
    one = _number(environment, names["WORLD_SIZE"], 1, "1") == 1
    if one and environment.get("RANK", "0") == "0":
        return Launch("alone")
    needed = [names["RANK"], names["WORLD_SIZE"], "MASTER_ADDR", "MASTER_PORT"]
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise ValueError(
            f"{_listed(missing)} must be set where {_first(needed, missing)} is: start "
            "by mpiexec, srun or torchrun, or give each process RANK (from 0), WORLD_SIZE, "
            "MASTER_ADDR and MASTER_PORT (where rank 0 listens)"
        )
    rank, size = _number(environment, names["RANK"], 0), _number(environment, needed[1], 1)
    if rank >= size:
        raise ValueError(f"{needed[0]}={rank}: ranks are from 0 to {needed[1]} - 1 = {size - 1}")
    local = names["LOCAL_RANK"]
    local_rank = _number(environment, local, 0) if environment.get(local) else None
    whole = environment.get("LOCAL_WORLD_SIZE")
    local_size = _number(environment, "LOCAL_WORLD_SIZE", 1) if whole else None
    ours = int(environment.get(AGENT) == "True")
    port = _number(environment, "MASTER_PORT", 1, most=PORTS - ours) + ours
    address = environment["MASTER_ADDR"]
    return Launch("sockets", rank, size, local_rank, local_size, address, port)


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _first(needed: list[str], missing: list[str]) -> str:
    return next(name for name in needed if name not in missing)


def _number(
    environment: Mapping[str, str], name: str, least: int, default: str = "", most: int = 10**9
) -> int:
    text = environment.get(name, default).strip()
    if not text.isdecimal() or not least <= int(text[:10]) <= most:
        upper = f" to {most}" if most <= PORTS else ""
        raise ValueError(f"{name}={text}: a whole number from {least}{upper} is expected")
    return int(text)
