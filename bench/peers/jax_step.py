"""JAX, one compiled call per training step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.networks import Weights
from bench.peers.jax_network import JaxNetwork


class JaxStep(JaxNetwork):
    """A call needs nothing from the host: order, position and losses are on the device too."""

    name = "JAX, jit per step"

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        super().build(weights, x, t)

        def one(
            carry: Any, losses: Any, position: Any, batches: Any, x: Any, t: Any
        ) -> tuple[Any, Any, Any]:
            i = batches[position]
            carry, loss = self.step(carry, x[i], t[i])
            return carry, losses.at[position].set(loss), position + 1

        self.compiled = jax.jit(one, donate_argnums=(0, 1, 2))

    def run(self, epoch: int) -> np.ndarray:
        batches = jnp.asarray(self.batches(epoch), jnp.int32)
        carry, losses, position = self.carry, jnp.zeros(self.steps), jnp.int32(0)
        for _ in range(self.steps):
            carry, losses, position = self.compiled(
                carry, losses, position, batches, self.x, self.t
            )
        self.carry = jax.block_until_ready(carry)
        return np.asarray(losses)
