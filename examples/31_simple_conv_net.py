"""The texts' first convolutional network, and what it knows that a linear layer does not.

A linear layer has a weight for each pixel: an image that is moved by one pixel is another image to
it. A filter is the same everywhere, and pooling takes the largest of four places.
"""

import numpy as np

import nnkit
from nnkit.data import load

digits = load("digits")
images = digits.as_images().x_test
MOVED = {
    "as they are": images,
    "to the left": np.roll(images, -1, axis=2),
    "to the right": np.roll(images, 1, axis=2),
    "up": np.roll(images, -1, axis=1),
    "down": np.roll(images, 1, axis=1),
}
NETWORKS = {
    "linear": nnkit.Sequential(nnkit.Linear(64, 100), nnkit.ReLU(), nnkit.Linear(100, 10), seed=0),
    "convolutional": nnkit.models.simple_conv((8, 8), seed=0),
}
print(NETWORKS["convolutional"].summary())

right = {}
for name, model in NETWORKS.items():
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.003))
    trainer.fit(digits.x_train, digits.t_train, epochs=8, batch_size=32)
    right[name] = [
        trainer.evaluate(x.reshape(len(x), -1), digits.t_test)["accuracy"] for x in MOVED.values()
    ]

print(f"\ntest images moved by a pixel  {'  '.join(NETWORKS)}")
for where, *accuracies in zip(MOVED, *right.values(), strict=True):
    columns = "".join(f"{x:>{len(name) + 2}.1%}" for name, x in zip(right, accuracies, strict=True))
    print(f"{where:<28}{columns}")
