"""ResNet-20 (He et al. 2015): what goes past a layer need not get through it.

A residual block adds x to what its layers make of it, so that 20 layers can do no less than 2, and
gradients reach the first one on a short way. Here the same layers learn without it, too: plain ones
one behind the other.
"""

import nnkit
from nnkit.data import load

digits = load("digits")
x, t = digits.x_train[:400], digits.t_train[:400]


def plain(model):
    """Return a network of the layers in a model's residual blocks, one behind the other."""
    layers = []
    for layer in model:
        layers += layer.layers if isinstance(layer, nnkit.Residual) else [layer]
    return nnkit.Sequential(*layers, seed=0)


NETWORKS = {
    "residual": nnkit.models.resnet20(digits.image_shape, seed=0),
    "plain": plain(nnkit.models.resnet20(digits.image_shape, seed=0)),
}
block = next(layer for layer in NETWORKS["residual"] if isinstance(layer, nnkit.Residual))
print(f"a block: x + {' > '.join(type(layer).__name__ for layer in block.layers)}\n")

print("network   parameters  loss of each epoch        training    test")
for name, model in NETWORKS.items():
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.003))
    history = trainer.fit(x, t, epochs=4, batch_size=20, schedule=nnkit.schedules.Cosine())
    losses = " ".join(f"{loss:5.2f}" for loss in history.loss)
    seen = trainer.evaluate(x, t)["accuracy"]
    unseen = trainer.evaluate(digits.x_test, digits.t_test)["accuracy"]
    print(f"{name:<9} {model.n_parameters:10,}  {losses:<24}  {seen:8.1%}  {unseen:6.1%}")
