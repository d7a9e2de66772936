"""Adam as Optax has it, but for how its averages are corrected in the first steps."""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class State(NamedTuple):
    """How many steps there were, and the averages of gradients and of their squares."""

    steps: jax.Array
    m: Any
    v: Any


def adam(lr: float) -> optax.GradientTransformation:
    """Adam, to the last digit.

    Optax computes ``1 - 0.999 ** t`` in float32, of which in the first step three digits go by
    cancellation: updates are off by 7e-6 of their size, a hundred times what rounding does, and
    losses part by up to 1 % in 25 steps, as soon as a unit is on with one and off with the other.
    """

    def init(parameters: Any) -> State:
        m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
        return State(jnp.int32(0), m, v)

    def update(gradients: Any, state: State, _: Any = None) -> tuple[Any, State]:
        t = state.steps + 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state.m, gradients)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state.v, gradients)
        of_m, of_v = (-jnp.expm1(t * log(beta)) for beta in (BETA1, BETA2))
        updates = jax.tree.map(lambda m, v: -lr * (m / of_m) / (jnp.sqrt(v / of_v) + EPS), m, v)
        return updates, State(t, m, v)

    return optax.GradientTransformation(init, update)
