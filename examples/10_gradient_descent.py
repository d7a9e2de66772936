"""Gradient descent: all examples in a step, one example, or a mini-batch.

A line is fitted to 200 noisy points; each way sees every point 20 times. More steps come closer,
but those of a single example never come to rest.
"""

import numpy as np

import nnkit

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (200, 1))
y = 3 * x - 1 + rng.normal(0, 0.3, x.shape)
best_slope, best_intercept = np.polyfit(x.ravel(), y.ravel(), 1)
numpy = nnkit.current_backend().to_numpy


class Slopes(nnkit.Callback):
    """Keep the slope after every epoch."""

    def on_fit_begin(self, trainer):
        """Begin with an empty list."""
        self.values = []

    def on_epoch_end(self, trainer):
        """Read it from the device."""
        self.values.append(float(numpy(trainer.model[0].W.value)[0, 0]))


print(f"least squares: y = {best_slope:.3f} x {best_intercept:+.3f}\n")
print("             steps  slope after epoch  1      5     10     15     20   intercept")
for name, batch_size in (("full batch", len(x)), ("mini-batch", 20), ("on-line", 1)):
    model = nnkit.Sequential(nnkit.Linear(1, 1, init="zeros"), seed=0)
    trainer = nnkit.Trainer(model, nnkit.MeanSquaredError(), nnkit.SGD(lr=0.1))
    slopes = Slopes()
    history = trainer.fit(x, y, epochs=20, batch_size=batch_size, callbacks=[slopes])
    shown = "  ".join(f"{slopes.values[epoch - 1]:.3f}" for epoch in (1, 5, 10, 15, 20))
    intercept = float(numpy(model[0].b.value)[0])
    print(f"{name:<12} {len(history.step_loss):5}              {shown}   {intercept:9.3f}")
