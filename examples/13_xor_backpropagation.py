"""XOR learned by the same network 2-6-1 by backpropagation: the same steps for a 25th of the work.

It begins with the weights of 11_xor_central_differences.py, and prints the same losses. With
--plot FILE also a picture of where the network says 1.
"""

import argparse
import time

import numpy as np

import nnkit

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw the regions; needs Matplotlib")
arguments = parser.parse_args()

STEPS = 20_001
X, T = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
numpy = nnkit.current_backend().to_numpy

w = np.random.default_rng(0).uniform(0, 1, 25)
model = nnkit.Sequential(
    nnkit.Linear(2, 6, init=w[:12].reshape(2, 6)),
    nnkit.Sigmoid(),
    nnkit.Linear(6, 1, init=w[18:24].reshape(6, 1)),
    dtype="float64",
)
model[0].b.value, model[2].b.value = w[12:18], w[24:]
# The loss is the mean of the four examples, not their sum: hence four times the learning rate.
trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy(), nnkit.SGD(lr=4 * 1e-2))

start = time.perf_counter()
batches = np.tile(X, (STEPS, 1)), np.tile(T, STEPS)  # all four examples in every step
history = trainer.fit(*batches, epochs=1, batch_size=4, shuffle=False)
seconds = time.perf_counter() - start
for step in range(0, STEPS, 4000):
    print(f"step {step:6,}: loss {4 * history.step_loss[step]:.6f}")
print(f"{STEPS:,} steps in {seconds:.1f} s on {model.backend.name}\n")

for x, y, p in zip(X, trainer.predict(X)[:, 0], trainer.predict_proba(X)[:, 0], strict=True):
    print(f"{x[0]} XOR {x[1]} = {y}   ({p:.3f})")

if arguments.plot:
    from nnkit.plotting import decision_regions

    decision_regions(trainer.predict, X, T, title="XOR").savefig(arguments.plot)
    print("drawn in", arguments.plot)
