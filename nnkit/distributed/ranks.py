"""A rank of several, whoever adds up."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any, Protocol

import numpy as np

from nnkit.backends.contract import Array, Backend
from nnkit.distributed import nccl
from nnkit.distributed.contract import Communicator
from nnkit.distributed.pieces import Numbers
from nnkit.distributed.watch import Watch


class HostSum(Protocol):
    """What adds up arrays of the host: MPI, or sockets."""

    def add_up(self, flat: Numbers, wire: str | None) -> None:
        """Replace a vector by the sum of all ranks', sent in 16 bits if `wire` names them."""

    def close(self) -> None:
        """End it."""


class Ranks(Communicator):
    """One rank of several, this process; see `nnkit.distributed.communicator`."""

    def __init__(
        self, watch: Watch, host: HostSum, local: tuple[int, int], compress: str | None
    ) -> None:
        self.rank, self.size = watch.rank, watch.size
        self.local_rank, self.local_size = local
        self._watch, self._host, self._compress = watch, host, compress
        self._gpu: nccl.NcclSum | None = None
        self._gpu_known = False

    def all_reduce(self, backend: Backend, array: Array, compress: bool = False) -> None:
        """Replace an array by the sum of all ranks': by NCCL on GPUs, else on the host."""
        if not array.flags.c_contiguous:
            raise ValueError(
                f"all_reduce needs a C-contiguous array, not one of shape {array.shape} and "
                f"strides {array.strides}: give it a contiguous copy, and copy the sum back"
            )
        if not array.size:
            return
        wire = self._compress if compress and array.dtype == np.float32 else None
        if self._nccl(backend) is None:
            backend.call(partial(self._add_up, backend, array, wire))
        else:
            self._add_up_on_gpu(array, wire)

    def _add_up(self, backend: Backend, array: Array, wire: str | None) -> None:
        here = isinstance(array, np.ndarray)
        host = array if here else np.array(backend.to_numpy(array))
        with self._watch.meeting():
            self._host.add_up(host.reshape(-1), wire)
        if not here:
            array[...] = backend.asarray(host)

    def _nccl(self, backend: Backend) -> nccl.NcclSum | None:
        """What adds up on GPUs, if there is NCCL on all ranks; they find out at the first sum."""
        if backend.name != "cupy":
            return None
        if not self._gpu_known:
            found = nccl.load()
            if all(self.gather(found is not None)):
                gpu = nccl.gpu_in_use()
                self._gpu = nccl.NcclSum(found, backend, self.gather, self.rank, gpu)
                self._watch.busy = nccl.Busy(backend.xp)
            self._gpu_known = True
        return self._gpu

    def _add_up_on_gpu(self, array: Array, wire: str | None) -> None:
        assert self._gpu is not None
        self._watch.check()
        self._gpu.add_up(array, wire)

    def gather(self, value: Any) -> list[Any]:
        """Return what all ranks gave, in their order: they are pickled, and go through rank 0."""
        watch, own = self._watch, pickle.dumps(value)
        with watch.meeting():
            if self.rank:
                watch.give(0, own)
                everything = watch.take(0)
            else:
                everything = [own, *map(watch.take, range(1, self.size))]
                for rank in range(1, self.size):
                    watch.give(rank, everything)
        return [pickle.loads(each) for each in everything]

    def fail(self, reason: str) -> None:
        """Have all other ranks end, with this rank's number and this reason."""
        self._watch.told = True
        self._watch.fail(f"rank {self.rank} of {self.size} ended: {reason}")
