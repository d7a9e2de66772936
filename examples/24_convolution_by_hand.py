"""Convolution by hand: a filter slides over an image, and every place gives one weighted sum.

The image, the filter and the results are those of the texts. Padding puts a frame of zeros around
the image, so that its edge counts too; a stride is how far the filter moves at a time.
"""

import numpy as np

import nnkit

IMAGE = [[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]]
LARGE = [[(3, 0, 1, 2)[(j - i + 2) % 4] for j in range(7)] for i in range(7)]  # goes on like it
FILTER = [[2, 0, 1], [0, 1, 2], [1, 0, 2]]


def by_hand(image, kernel, padding=0, stride=1, bias=0):
    """Convolve an image (height, width); the filter is not mirrored, as in all networks."""
    x, w = np.pad(image, padding), np.array(kernel)
    rows = (x.shape[0] - w.shape[0]) // stride + 1
    columns = (x.shape[1] - w.shape[1]) // stride + 1
    y = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            y[i, j] = (x[top : top + w.shape[0], left : left + w.shape[1]] * w).sum() + bias
    return y


def by_layer(image, kernel, padding=0, stride=1, bias=0):
    """Let a layer with that one filter do it: images (1, height, width), W (3, 3, 1, 1)."""
    init = np.array(kernel, float)[:, :, None, None]
    model = nnkit.Sequential(nnkit.Conv2d(1, 1, 3, stride=stride, padding=padding, init=init))
    model[0].b.value = [bias]
    return model.backend.to_numpy(model([image]))[0, :, :, 0]


window = np.array(IMAGE)[:3, :3]
terms = " + ".join(f"{x}*{w}" for x, w in zip(window.ravel(), np.ravel(FILTER), strict=True))
print(f"at the upper left: {terms} = {(window * FILTER).sum()}")
for title, image, how in (
    ("4x4", IMAGE, {}),
    ("bias 3", IMAGE, {"bias": 3}),
    ("padding 1", IMAGE, {"padding": 1}),
    ("7x7, stride 2", LARGE, {"stride": 2}),
):
    y = by_hand(image, FILTER, **how)
    same = np.array_equal(y, by_layer(image, FILTER, **how))
    print(f"\n{title}: {y.shape[0]}x{y.shape[1]}, the same from the layer: {same}")
    for row in y:
        print("  ", *(f"{value:3.0f}" for value in row))

print("\nsize of the output: (size + 2 padding - filter) // stride + 1")
for size, width, padding, stride in ((4, 3, 0, 1), (4, 3, 1, 1), (7, 3, 0, 2), (28, 5, 2, 3)):
    got = nnkit.Conv2d(1, 1, width, stride, padding).output_shape((size, size, 1))[0]
    print(f"  ({size} + 2*{padding} - {width}) // {stride} + 1 = {got}")
