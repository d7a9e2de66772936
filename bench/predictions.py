"""What `bench.efficiency` predicts for two networks on H100s: ``python -m bench.predictions``.

On one H100 the large products of the first were measured, 26 TFLOP/s; nothing else was. NVIDIA's
data sheet of the H100 SXM (2023) says 67 TFLOP/s in float32 and 900 GB/s by NVLink, half of it in
each direction; a machine of eight has one port of NDR InfiniBand, 400 Gb/s, here, which is the
least that is built. The times of a message and of the start are those that NCCL reckons with for
its fastest protocol (`hwLat` and `baseLat` of LL trees in
`src/graph/tuning.cc`, 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.convolutional import CONVOLUTIONAL
from bench.efficiency import Cluster, Link, Work, compressed, examples_for, strong, weak
from bench.tables import markdown
from nnkit.bench import NETWORKS
from nnkit.layers.normalization import BatchNorm

GPUS = (1, 8, 64, 1024)
WHOLE_BATCH = 8192
NVLINK = Link(bandwidth=450e9, latency=0.5e-6)
INFINIBAND = Link(bandwidth=400e9 / 8, latency=5e-6)
H100S = Cluster(NVLINK, INFINIBAND, per_machine=8, start=4.4e-6)
LAUNCH = 1.6e-6
"""Seconds for a node of a CUDA graph: the smallest took 1.0 to 1.8 us on an H100."""
ADAM_BYTES, MEMORY = 28, 2.7e12
"""What Adam moves for a parameter, on every rank for all of them, and bytes a second."""
RATES = {"large": 25e12, "resnet20": 12e12}
"""About what was measured; half of that where rows of pixels are moved, with which the step takes
as long as docs/performance.md predicts."""
LAUNCHES = {"large": 16, "resnet20": 211}
TITLES = {"large": "784-1024-1024-10", "resnet20": "ResNet-20"}
PER_GPU = {"large": 256, "resnet20": 128}


def work(name: str, whole_batch: bool = False) -> Work:
    """What a step of a network is for the model: parameters and products are counted.

    With `whole_batch` batch normalisation has the statistics of all ranks' examples, for which each
    of its layers sums up twice, forward and backward.
    """
    network = NETWORKS[name] if name in NETWORKS else CONVOLUTIONAL[name]
    layers = [layer for _, layer in network.model("numpy").walk()]
    sizes = [
        sum(parameter.size for parameter in layer.own_parameters().values()) for layer in layers
    ]
    first = next(size for size in sizes if size)
    return Work(
        flops=network.flops / network.batch_size,
        nbytes=4 * sum(sizes),
        rate=RATES[name],
        fixed=LAUNCHES[name] * LAUNCH + sum(sizes) * ADAM_BYTES / MEMORY,
        early=1 - first / sum(sizes),
        sums=2 * sum(isinstance(layer, BatchNorm) for layer in layers) if whole_batch else 0,
    )


def variants(name: str) -> Iterator[tuple[str, Work, bool]]:
    """The ways to add up that the tables compare: a title, the work, whether they overlap."""
    plain = work(name)
    yield "one all-reduce", plain, False
    yield "in 16 bits", compressed(plain), False
    yield "during the backward pass", plain, True
    yield "both", compressed(plain), True
    if work(name, whole_batch=True).sums:
        yield "one, with `sync=True`", work(name, whole_batch=True), False


def table(kind: Callable[..., float], batch: Mapping[str, int]) -> str:
    """Efficiencies of both networks by the number of GPUs, as Markdown."""
    rows = [
        (
            f"{TITLES[name]}, {batch[name]:,}",
            title,
            *(f"{kind(work, n, batch[name], H100S, overlap):.0%}" for n in GPUS),
        )
        for name in TITLES
        for title, work, overlap in variants(name)
    ]
    return markdown(("network, examples", "gradients", *(f"{n:,}" for n in GPUS)), rows, 2)


def enough() -> str:
    """How many examples a GPU needs for 90 %, as Markdown."""
    rows = [
        (TITLES[name], title, *(f"{examples_for(work, n, H100S):,}" for n in GPUS[1:]))
        for name in TITLES
        for title, work, overlap in variants(name)
        if not overlap
    ]
    return markdown(("network", "gradients", *(f"{n:,}" for n in GPUS[1:])), rows, 2)


def tables() -> list[str]:
    """The tables of docs/scaling.md: the batch grows with the GPUs; it does not; enough of it."""
    return [table(weak, PER_GPU), table(strong, dict.fromkeys(TITLES, WHOLE_BATCH)), enough()]


if __name__ == "__main__":
    print(*tables(), sep="\n\n")
