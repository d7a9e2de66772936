"""A layer of one's own: two methods, in plain array code that runs on every backend."""

import numpy as np

import nnkit


class Square(nnkit.Layer):
    """``y = x^2``, ``dx = 2 x dy``."""

    def forward(self, x):
        """Keep x for the backward pass."""
        self.x = x
        return x * x

    def backward(self, dy):
        """Chain rule."""
        return 2 * self.x * dy


class Scale(nnkit.Layer):
    """``y = s x`` with one trained number for each of n inputs."""

    def __init__(self, n):
        self.s = nnkit.Parameter((n,), lambda rng, shape: rng.uniform(0.5, 1.5, shape))

    def forward(self, x):
        """Keep x for the backward pass."""
        self.x = x
        return self.s.value * x

    def backward(self, dy):
        """Overwrite the parameter's gradient, return the input's."""
        self.s.grad[...] = (dy * self.x).sum(axis=0)
        return dy * self.s.value


# Points inside and outside of an ellipse: squares make it a matter of one weighted sum.
x = np.random.default_rng(0).uniform(-1, 1, (500, 2))
t = (x[:, 0] ** 2 / 0.5 + x[:, 1] ** 2 / 0.2 < 1).astype(int)
layers = Scale(2), Square(), nnkit.Linear(2, 1)
model, loss = nnkit.Sequential(*layers, seed=0, dtype="float64"), nnkit.SigmoidCrossEntropy()
print(nnkit.gradcheck(model, loss, x[:20], t[:20]), "\n")

trainer = nnkit.Trainer(model, loss, nnkit.Adam(lr=0.1))
trainer.fit(x, t, epochs=100, batch_size=50, compile=False)
print(f"{trainer.evaluate(x, t)['accuracy']:.1%} of the points on the right side of the ellipse")
W, b = (model.backend.to_numpy(p.value) for p in (model[2].W, model[2].b))
axes = -W[:, 0] / b[0] * model.backend.to_numpy(model[0].s.value) ** 2
print(f"learned: x^2 / {1 / axes[0]:.3f} + y^2 / {1 / axes[1]:.3f} < 1")
