"""XOR learned by a network 2-6-1 of sigmoids, from numerical gradients alone.

Each step moves each of the 25 weights up and down by delta, and looks what becomes of the binary
cross-entropy: 50 losses. All 50 networks are run at once. 13_xor_backpropagation.py needs one.
"""

import time

import numpy as np

import nnkit

DELTA, LR, STEPS = 1e-4, 1e-2, 20_001
backend = nnkit.current_backend()
xp = backend.xp  # numpy, or cupy for the GPU
X = backend.asarray(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]))
T = backend.asarray(np.array([[0.0], [1], [1], [0]]))


def outputs(networks):
    """Outputs (k, 4, 1) of k networks, each a row of 25 numbers: W1, b1, W2, b2."""
    W1, b1 = networks[:, :12].reshape(-1, 2, 6), networks[:, 12:18].reshape(-1, 1, 6)
    W2, b2 = networks[:, 18:24].reshape(-1, 6, 1), networks[:, 24:].reshape(-1, 1, 1)
    hidden = backend.activation("sigmoid", xp.matmul(X, W1) + b1)
    return backend.activation("sigmoid", xp.matmul(hidden, W2) + b2)


def losses(networks):
    """Binary cross-entropy of each network, summed over the four examples."""
    y = outputs(networks)
    return -(T * xp.log(y + 1e-7) + (1 - T) * xp.log(1 - y + 1e-7)).sum(axis=(1, 2))


# The texts begin with weights from 0 to 1. It matters that the loss is the sum: with the mean, the
# steps are a quarter as long, and 20,001 of them are not enough.
w = backend.asarray(np.random.default_rng(0).uniform(0, 1, (1, 25)))
nudges = backend.asarray(DELTA * np.concatenate([np.eye(25), -np.eye(25)]))
start = time.perf_counter()
for step in range(STEPS):
    if step % 4000 == 0:
        print(f"step {step:6,}: loss {float(losses(w)[0]):.6f}")
    up, down = losses(w + nudges).reshape(2, 25)
    w -= LR * (up - down) / (2 * DELTA)

print(f"{STEPS:,} steps in {time.perf_counter() - start:.1f} s on {backend.name}\n")
for x, y in zip(backend.to_numpy(X), backend.to_numpy(outputs(w))[0, :, 0], strict=True):
    print(f"{x[0]:.0f} XOR {x[1]:.0f} = {round(y)}   ({y:.3f})")
