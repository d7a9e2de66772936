"""JAX, a whole epoch in one compiled `lax.scan`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.networks import Weights
from bench.peers.jax_network import JaxNetwork


class JaxScan(JaxNetwork):
    """No Python between the steps."""

    name = "JAX, scan per epoch"

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        super().build(weights, x, t)

        def epoch(carry: Any, x: Any, t: Any, batches: Any) -> tuple[Any, Any]:
            return jax.lax.scan(lambda c, i: self.step(c, x[i], t[i]), carry, batches)

        self.compiled = jax.jit(epoch, donate_argnums=0)

    def run(self, epoch: int) -> np.ndarray:
        batches = jnp.asarray(self.batches(epoch), jnp.int32)
        self.carry, losses = self.compiled(self.carry, self.x, self.t, batches)
        jax.block_until_ready(self.carry)
        return np.asarray(losses)
