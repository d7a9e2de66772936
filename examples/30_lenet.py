"""LeNet-5 (LeCun et al. 1998): few weights, each used at every place of an image.

Convolutions find what is where, pooling forgets where exactly, and linear layers decide. The paper
has tanh and averages, today's networks have ReLU and the largest; both learn the digits here.
"""

import math

import nnkit
from nnkit.data import load

model = nnkit.models.lenet((28, 28, 1), seed=0)
print("layers for images of 28x28     gives         weights  multiplied")
shape = (28, 28, 1)
for layer in model:
    shape = layer.output_shape(shape)
    row = f"{type(layer).__name__:<30} {shape!s:<14}"
    if isinstance(layer, nnkit.Conv2d | nnkit.Linear):
        places = math.prod(shape[:2]) if isinstance(layer, nnkit.Conv2d) else 1
        weights = math.prod(layer.weight.value.shape)
        row += f"{weights:7,}  {weights * places:10,}"
    print(row.rstrip())
print(f"\n{model.n_parameters:,} parameters with the biases; on 8x8 pixels there are fewer\n")

digits = load("digits")
NETWORKS = {
    "of 1998": nnkit.models.lenet((8, 8), activation="tanh", pooling="average", seed=0),
    "of today": nnkit.models.lenet((8, 8), seed=0),
}
print("LeNet-5   parameters  training    test")
for name, model in NETWORKS.items():
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.005))
    trainer.fit(digits.x_train, digits.t_train, epochs=10, batch_size=32)
    seen = trainer.evaluate(digits.x_train, digits.t_train)["accuracy"]
    unseen = trainer.evaluate(digits.x_test, digits.t_test)["accuracy"]
    print(f"{name:<9} {model.n_parameters:10,}  {seen:8.1%}  {unseen:6.1%}")
