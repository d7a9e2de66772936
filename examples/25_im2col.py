"""A convolution is a product of matrices: im2col.

Every place of the output is a weighted sum of the pixels that its filter lies on. With those pixels
as a row of a matrix, one row for each place, and the filters as columns, all sums are one product,
which computers are best at. The price is memory: pixels under several places are there again.
"""

import numpy as np

import nnkit

numpy = nnkit.current_backend().to_numpy
rng = np.random.default_rng(0)


def im2col(x, size):
    """The windows of images (n, h, w, c) as rows (n * places, size * size * c)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.moveaxis(windows, 3, 5).reshape(-1, size * size * x.shape[3])


image = np.arange(1, 10).reshape(1, 3, 3, 1)
print("an image of 3x3 ...")
for row in image[0, :, :, 0]:
    print("  ", *row)
print("... has four windows of 2x2, each a row:")
for row in im2col(image, 2):
    print("  ", *row)

n, height, width, channels, filters, size = 10, 7, 7, 3, 4, 5
x = rng.normal(size=(n, height, width, channels))
model = nnkit.Sequential(nnkit.Conv2d(channels, filters, size), seed=0, dtype="float64")
W = numpy(model[0].W.value)
print(
    f"\n{n} images of {height}x{width} with {channels} channels, {filters} filters of {size}x{size}"
)
columns, matrix = im2col(x, size), W.reshape(-1, filters)
print(f"  x as rows {columns.shape}: {columns.size / x.size:.1f} times as many numbers")
print(f"  W {W.shape} as a matrix {matrix.shape}")

y = numpy(model(x))
product = (columns @ matrix).reshape(y.shape)
print(f"  their product {(columns @ matrix).shape} is y {y.shape}")
print(f"  the layer's y is the same but for rounding: {np.abs(y - product).max() < 1e-12}")

dy = rng.normal(size=y.shape)
model.backward(dy)
rows = dy.reshape(-1, filters)
gradient = (columns.T @ rows).reshape(W.shape)
print("\nso that the gradients are those of any product:")
print("  dW = x.T @ dy:", np.abs(numpy(model[0].W.grad) - gradient).max() < 1e-12)
print("  db = sum of dy:", np.abs(numpy(model[0].b.grad) - rows.sum(axis=0)).max() < 1e-12)
print(f"\nmultiplications: {columns.shape[0]} * {columns.shape[1]} * {filters} =", end=" ")
print(f"{columns.shape[0] * columns.shape[1] * filters:,}")
