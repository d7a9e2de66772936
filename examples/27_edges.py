"""A filter that finds edges: what a convolution can see, with filters chosen by hand.

Sobel's filters take the difference of what is to the right and to the left, or below and above.
Where an image is even they give 0, and at an edge a large number, whose sign says which side is
bright. First layers of trained networks have found filters much like these.
"""

import numpy as np

import nnkit

ACROSS = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
FILTERS = {"right - left": ACROSS, "below - above": ACROSS.T}
PICTURE = """
....................
....................
...########.........
...########...#.....
...########...##....
...########...###...
...########...####..
...########...#####.
...########.........
....................
"""


def draw(title, values):
    """Print an image: '+' and '#' where it is positive, '-' and '=' where it is negative."""
    print(f"\n{title}")
    for row in values:
        print("  ", "".join("=-.+#"[int(np.clip(round(value / 2), -2, 2)) + 2] for value in row))


image = np.array([[pixel == "#" for pixel in row] for row in PICTURE.split()], float)
# W is (height, width, channels of x, filters); "same" pads, so that y has the size of x.
W = np.stack(list(FILTERS.values()), axis=-1)[:, :, None, :]
layer = nnkit.Conv2d(1, len(FILTERS), 3, padding="same", bias=False, init=W)
model = nnkit.Sequential(layer)
y = model.backend.to_numpy(model(image[None]))[0]

draw("the picture, 10x20", 4 * image)
for i, title in enumerate(FILTERS):
    draw(f"{title}: from {y[:, :, i].min():g} to {y[:, :, i].max():g}", y[:, :, i])
steepness = np.hypot(y[:, :, 0], y[:, :, 1])
draw("both: how steep it is, in any direction", steepness)
print(f"\ninside the square {steepness[5, 6]:g}, at its left edge {steepness[5, 3]:g}", end=", ")
print(f"on the slope {steepness[5, 16]:.2f}")
