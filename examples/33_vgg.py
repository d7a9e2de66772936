"""A network like VGG (Simonyan & Zisserman 2014), and what batch normalisation does for it.

Six convolutions 3x3, with as many channels more as the images get smaller. The same network learns
with the normalisation behind each convolution, and without.
"""

import nnkit
from nnkit.data import load

digits = load("digits")
x, t = digits.x_train[:700], digits.t_train[:700]


def network(normalised):
    """Return the network, or what is left of it without its normalisations."""
    model = nnkit.models.vgg(digits.image_shape, seed=0)
    kept = [layer for layer in model if normalised or not isinstance(layer, nnkit.BatchNorm2d)]
    return model if normalised else nnkit.Sequential(*kept, seed=0)


print(f"{network(normalised=True).n_parameters:,} parameters")
histories = []
for normalised in (True, False):
    trainer = nnkit.Trainer(network(normalised), optimizer=nnkit.Adam(lr=0.001))
    history = trainer.fit(
        x, t, epochs=3, batch_size=32, validation_data=(digits.x_test, digits.t_test)
    )
    histories.append(history)

print("\nepoch  normalised  without   (test accuracy)")
for epoch, (one, other) in enumerate(zip(*(h.val_accuracy for h in histories), strict=True), 1):
    print(f"{epoch:5}  {one:10.1%}  {other:7.1%}")
