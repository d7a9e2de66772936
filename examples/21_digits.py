"""Handwritten digits: a network of two layers, trained and used in batches of 100.

On MNIST where it is on this machine (see `nnkit datasets`), else on the digits that come with
nnkit.
"""

import time

import numpy as np

import nnkit
from nnkit.data import available, load

here = {info.name for info in available() if info.location is not None}
data = load("mnist" if "mnist" in here else "digits")
print(data)

model = nnkit.Sequential(
    nnkit.Linear(data.x_train.shape[1], 50),
    nnkit.Sigmoid(),
    nnkit.Linear(50, data.n_classes),
    seed=0,
)
trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.SGD(lr=1.0))
history = trainer.fit(
    data.x_train,
    data.t_train,
    epochs=max(5, 30_000 // len(data.x_train)),
    batch_size=100,
    validation_data=(data.x_test, data.t_test),
)
print("\nepoch   loss  training  test")
for epoch in range(0, len(history), max(1, len(history) // 5)):
    accuracies = f"{history.accuracy[epoch]:8.1%}  {history.val_accuracy[epoch]:6.1%}"
    print(f"{epoch + 1:5}  {history.loss[epoch]:.3f}  {accuracies}")

print(f"\nrecognising {len(data.x_test):,} images in batches:")
for batch_size in (1, 100):
    start = time.perf_counter()
    labels = trainer.predict(data.x_test, batch_size=batch_size)
    seconds = time.perf_counter() - start
    right, each = (labels == data.t_test).mean(), 1e6 * seconds / len(labels)
    print(f"  of {batch_size:>3}: {right:.1%} right, {each:5.1f} us an image")

wrong = np.flatnonzero(labels != data.t_test)
print(f"\n{len(wrong)} mistakes; the first, a {data.t_test[wrong[0]]} taken for", labels[wrong[0]])
for row in data.x_test[wrong[0]].reshape(data.image_shape):
    print("  ", "".join(" .:-=+*#%@"[pixel // 26] * 2 for pixel in row))
