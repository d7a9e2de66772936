"""The network and its training step in JAX and Optax, for the two ways of running it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bench.networks import Weights
from bench.peers.jax_adam import adam
from bench.peers.jax_layers import forward
from bench.peers.peer import Peer, device

jax.config.update("jax_default_matmul_precision", "highest")


class JaxNetwork(Peer):
    """Parameters and optimizer state are one `carry`; the data lie on the device."""

    distributions = ("jax", "jaxlib", "optax")
    builds_alone = True  # XLA times its matrix products

    @classmethod
    def versions(cls) -> dict[str, str]:
        found = jax.default_backend()
        if (found == "cpu") != (device() == "cpu"):
            raise ImportError(f"JAX computes on {found} here, not on {device()}")
        return super().versions()

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        self.x, self.t = jnp.asarray(x), jnp.asarray(t, jnp.int32)
        self.layers = self.network.model("numpy").layers
        parameters = [jnp.array(value) for value in weights]
        optimizer = {"SGD": optax.sgd, "Adam": adam}[self.network.optimizer]
        self.optimizer = optimizer(self.network.lr)
        self.carry = (parameters, self.optimizer.init(parameters))

    def step(self, carry: Any, x: jax.Array, t: jax.Array) -> tuple[Any, jax.Array]:
        parameters, state = carry
        loss, gradients = jax.value_and_grad(self.objective)(parameters, x, t)
        updates, state = self.optimizer.update(gradients, state, parameters)
        return (optax.apply_updates(parameters, updates), state), loss

    def objective(self, parameters: Any, x: jax.Array, t: jax.Array) -> jax.Array:
        logits = forward(self.layers, iter(parameters), x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, t).mean()
