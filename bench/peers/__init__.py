"""What is compared: nnkit, and what a user could take instead, one file each.

To add one, write a `Peer` and name it in `CLASSES`.
"""

from __future__ import annotations

from importlib import import_module

from bench.peers.peer import Peer

CLASSES = {
    "nnkit-numpy": "nnkit_trainer:NnkitNumpy",
    "nnkit-numba": "nnkit_trainer:NnkitNumba",
    "nnkit-numba-uncaptured": "nnkit_trainer:NnkitNumbaUncaptured",
    "nnkit-cupy": "nnkit_trainer:NnkitCupy",
    "nnkit-cupy-uncaptured": "nnkit_trainer:NnkitCupyUncaptured",
    "products": "products:Products",
    "numpy": "numpy_by_hand:NumpyByHand",
    "sklearn": "scikit_learn:ScikitLearn",
    "torch": "pytorch:PyTorch",
    "torch-last": "pytorch:PyTorchChannelsLast",
    "torch-compile": "pytorch_compile:PyTorchCompile",
    "torch-compile-last": "pytorch_compile:PyTorchCompileChannelsLast",
    "torch-graph": "pytorch_graph:PyTorchGraph",
    "torch-graph-last": "pytorch_graph:PyTorchGraphChannelsLast",
    "jax-step": "jax_step:JaxStep",
    "jax-scan": "jax_scan:JaxScan",
}
"""Key of each peer, and where its class is."""

PEERS = {
    "cpu": (
        *("nnkit-numba", "nnkit-numba-uncaptured", "nnkit-numpy", "products", "numpy", "sklearn"),
        *("torch", "torch-last", "torch-compile", "torch-compile-last", "jax-step", "jax-scan"),
    ),
    "cuda": (
        *("nnkit-cupy", "nnkit-cupy-uncaptured", "products"),
        *("torch", "torch-compile", "torch-graph", "torch-graph-last", "jax-step", "jax-scan"),
    ),
}
"""Keys of the peers that are compared on each device."""


def load(key: str) -> type[Peer]:
    """Import the class of a peer; raises ImportError where what it is made of is not installed."""
    module, _, name = CLASSES[key].partition(":")
    peer: type[Peer] = getattr(import_module(f"bench.peers.{module}"), name)
    peer.versions()
    return peer
