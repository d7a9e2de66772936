"""Pooling: of each window only the largest number is kept, or the mean.

It makes an image smaller, has nothing to learn, and forgives small shifts: where exactly something
was within its window does not matter. The gradient goes back to the number that was the largest.
"""

import numpy as np

import nnkit

IMAGE = [[1, 2, 1, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 4, 0, 1]]  # the texts'
numpy = nnkit.current_backend().to_numpy


def show(title, *images):
    """Print images side by side."""
    print(title)
    for rows in zip(*images, strict=True):
        print("  ", "    ".join(" ".join(f"{value:4g}" for value in row) for row in rows))


def pooled(layer, image):
    """What a layer makes of one image (height, width)."""
    return numpy(layer(np.array(image, float)[None, :, :, None]))[0, :, :, 0]


largest = nnkit.Sequential(nnkit.MaxPool2d(2))
show("an image of 4x4", IMAGE)
show("the largest of each window of 2x2", pooled(largest, IMAGE))
dx = numpy(largest.backward(np.array([[10.0, 20], [30, 40]])[None, :, :, None]))
show("the gradient 10 20 30 40 goes back to where they were", dx[0, :, :, 0])

mean = nnkit.Sequential(nnkit.AvgPool2d(2))
show("\nthe mean of each window", pooled(mean, IMAGE))
dx = numpy(mean.backward(np.array([[10.0, 20], [30, 40]])[None, :, :, None]))
show("the gradient goes back to all of a window", dx[0, :, :, 0])
whole = numpy(nnkit.GlobalAvgPool2d()(np.array(IMAGE, float)[None, :, :, None]))
print(f"the mean of the whole image: {whole[0, 0]:g}")

row = [1, 2, 0, 7, 1, 0]
moved = [1, 1, 2, 0, 7, 1]
three = nnkit.Sequential(nnkit.MaxPool2d((1, 3), stride=1))
print("\na row, and the same one pixel to the right:", *row, "|", *moved)
before, after = (pooled(three, [x])[0] for x in (row, moved))
print("the largest of three, at each place:", *map("{:g}".format, before), end=" | ")
print(*map("{:g}".format, after))
same, kept = sum(a == b for a, b in zip(row, moved, strict=True)), (before == after).sum()
print(f"as before: {same} of 6 pixels, but {kept} of 4 pooled ones")
