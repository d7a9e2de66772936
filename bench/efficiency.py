"""What more GPUs or machines would bring: a model of a training step.

Every rank works on its share of the batch, then all add up their gradients:

    step = fixed + flops of the share / rate + what is seen of the all-reduce

A ring sends each number around almost twice, in pieces: 2 (P - 1) / P of the bytes leave every
rank, in 2 (P - 1) messages (Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms";
Thakur, Rabenseifner & Gropp 2005). Two trees, each for half of the numbers, send them up and down
again: twice the bytes, but 2 log2 P messages one after the other (Sanders, Speck & Träff 2009,
"Two-tree algorithms"). Machines of several GPUs add up inside first, and then among each other.
``python -m bench.predictions`` prints the tables of docs/scaling.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log2

FORWARD = 1 / 3
"""Share of a step's arithmetic before the backward pass, which makes two products for one."""


@dataclass(frozen=True)
class Link:
    """A way between two ranks, or two machines."""

    bandwidth: float
    """Bytes a second in one direction, with another as many in the other."""
    latency: float
    """Seconds until the first byte of a message is there."""


@dataclass(frozen=True)
class Cluster:
    """Machines of as many ranks each, and what lies between them."""

    inside: Link
    between: Link
    per_machine: int
    start: float = 0.0
    """Seconds that an all-reduce takes whatever its size and the ranks: that of a kernel."""


@dataclass(frozen=True)
class Work:
    """A training step of one network on one rank."""

    flops: float
    """Additions and multiplications for one example."""
    nbytes: int
    """Of the gradients."""
    rate: float
    """Additions and multiplications a second."""
    fixed: float = 0.0
    """Seconds whatever the batch: the launches of kernels."""
    early: float = 0.0
    """Share of the gradients that are known before the backward pass ends."""
    sums: int = 0
    """All-reduces of a few numbers besides, those of batch normalisation."""

    def seconds(self, examples: float) -> float:
        """Time of a step without other ranks."""
        return self.fixed + self.arithmetic(examples)

    def arithmetic(self, examples: float) -> float:
        """What of it the products take."""
        return examples * self.flops / self.rate


def ring(ranks: int, nbytes: float, link: Link) -> float:
    """Time of an all-reduce around a ring."""
    return 2 * (ranks - 1) * (nbytes / ranks / link.bandwidth + link.latency)


def tree(ranks: int, nbytes: float, link: Link) -> float:
    """Time of an all-reduce by two trees whose messages are cut into pieces."""
    levels = ceil(log2(ranks))
    return 2 * (levels * link.latency + (nbytes / link.bandwidth if levels else 0.0))


def all_reduce(ranks: int, nbytes: float, cluster: Cluster) -> float:
    """Time of an all-reduce inside machines and between them, by ring or tree as is faster."""
    if ranks == 1:
        return 0.0
    inside = min(ranks, cluster.per_machine)
    levels = ((inside, cluster.inside), (ceil(ranks / inside), cluster.between))
    return cluster.start + sum(min(way(n, nbytes, at) for way in (ring, tree)) for n, at in levels)


def seen(work: Work, ranks: int, examples: float, cluster: Cluster, overlap: bool) -> float:
    """What all-reduces add to a step of so many examples a rank.

    With `overlap`, gradients that are known early travel during the backward pass, as far as it
    lasts; without, one all-reduce takes all of them behind it.
    """
    small = work.sums * all_reduce(ranks, 0, cluster)
    large = all_reduce(ranks, work.nbytes, cluster)
    backward = (1 - FORWARD) * work.arithmetic(examples)
    hidden = min(work.early * large, backward) if overlap else 0.0
    return small + large - hidden


def weak(work: Work, ranks: int, examples: int, cluster: Cluster, overlap: bool = False) -> float:
    """Efficiency with so many examples on each rank: the batch grows with the ranks."""
    alone = work.seconds(examples)
    return alone / (alone + seen(work, ranks, examples, cluster, overlap))


def strong(work: Work, ranks: int, batch: int, cluster: Cluster, overlap: bool = False) -> float:
    """Efficiency with so many examples on all ranks together: each has its share of them."""
    share = batch / ranks
    step = work.seconds(share) + seen(work, ranks, share, cluster, overlap)
    return work.seconds(batch) / (ranks * step)


def compressed(work: Work) -> Work:
    """The same with gradients that travel in 16 bits."""
    return replace(work, nbytes=work.nbytes // 2)


def examples_for(work: Work, ranks: int, cluster: Cluster, efficiency: float = 0.9) -> int:
    """How many examples each rank needs for an efficiency, without overlap."""
    added = seen(work, ranks, 0, cluster, overlap=False)
    arithmetic = added * efficiency / (1 - efficiency) - work.fixed
    return max(1, ceil(arithmetic * work.rate / work.flops))
