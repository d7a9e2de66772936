"""The texts' deep convolutional network: several small filters in the place of a large one.

Two 3x3 one behind the other see 5x5 pixels, with fewer weights and a ReLU in between. Behind a
pooling, neighbours are twice as far apart, so that the last filters see the whole image.
"""

import nnkit
from nnkit.data import load

print("of 16 channels     one layer  layers of 3x3")
for size in (5, 7, 9):
    one, several = 16 * 16 * size**2, 16 * 16 * 9 * (size // 2)
    print(f"{f'{size}x{size}':<16} {one:11,} {several:14,} weights")

model = nnkit.models.deep_conv((28, 28, 1), seed=0)
print("\nlayers for images of 28x28     each number sees")
sees, apart = 1, 1
for layer in model:
    if isinstance(layer, nnkit.Conv2d):
        sees += 2 * apart
    if isinstance(layer, nnkit.MaxPool2d):
        sees, apart = sees + apart, 2 * apart
    if isinstance(layer, nnkit.Conv2d | nnkit.MaxPool2d):
        print(f"{layer!s:<30} {f'{sees}x{sees}':>6}")
print(f"\n{model.n_parameters:,} parameters\n")

digits = load("digits")
model = nnkit.models.deep_conv(digits.image_shape, seed=0)
history = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.003)).fit(
    digits.x_train[:700],
    digits.t_train[:700],
    epochs=8,
    batch_size=32,
    validation_data=(digits.x_test, digits.t_test),
)
print("epoch   loss  training    test")
for epoch in range(len(history)):
    seen, unseen = history.accuracy[epoch], history.val_accuracy[epoch]
    print(f"{epoch + 1:5}  {history.loss[epoch]:5.2f}  {seen:8.1%}  {unseen:6.1%}")
print("\nIn training it seems to know less: half of the last two layers are left out.")
