"""What the filters of a network look like, before and after it has learned to read digits.

Before, they are noise. Training turns many of them towards edges, whose weights rise along one
direction; nobody has told them to. With --plot FILE as a figure; `nnkit plot filters` draws those
of a file.
"""

import argparse

import numpy as np

import nnkit
from nnkit.data import load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw the filters; needs Matplotlib")
arguments = parser.parse_args()

ACROSS = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 12**0.5  # Sobel's, of length 1
digits = load("digits")
images, tests = (x.reshape(-1, 8, 8) for x in (digits.x_train, digits.x_test))


def filters():
    """The first layer's filters, as (8, 3, 3)."""
    return np.moveaxis(model.backend.to_numpy(model[0].W.value)[:, :, 0], 2, 0).astype(float)


def edge_share(kernels):
    """How much of each filter's length, squared, is that of an edge in some direction."""
    along = [(kernels * edge).sum(axis=(1, 2)) ** 2 for edge in (ACROSS, ACROSS.T)]
    return sum(along) / (kernels**2).sum(axis=(1, 2))


def show(when):
    """Print the filters side by side, and how well the network does with them."""
    kernels = filters()
    right = trainer.evaluate(tests, digits.t_test)["accuracy"]
    print(f"\n{when}: {right:.1%} right; '+' and '#' positive weights, '-' and '=' negative")
    levels = np.clip(np.rint(2.5 * kernels / abs(kernels).max()), -2, 2).astype(int) + 2
    for row in np.moveaxis(levels, 1, 0):
        print("  ", "    ".join(" ".join("=-.+#"[level] for level in kernel) for kernel in row))
    share = edge_share(kernels)
    print("  ", "  ".join(f"{100 * part:4.0f} %" for part in share), end=" an edge, ")
    print(f"{share.mean():.0%} on average")


layers = nnkit.Conv2d(1, 8, 3), nnkit.ReLU(), nnkit.MaxPool2d(2), nnkit.Flatten()
model = nnkit.Sequential(*layers, nnkit.Linear(72, 10), seed=0)
trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.Adam(lr=0.01))
show("before")
trainer.fit(images, digits.t_train, epochs=10, batch_size=50)
show("after ten epochs")
print("\nof a filter at random, 2 of 9 parts are an edge: 22 %")

if arguments.plot:
    from nnkit import plotting

    plotting.convolution_filters(model).savefig(arguments.plot)
    print("drawn in", arguments.plot)
