"""MNIST: 70,000 handwritten digits of 28x28 pixels.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998.
"""

from nnkit.data.dataset import DIGIT_NAMES
from nnkit.data.remote import RemoteDataset, RemoteFile

MNIST = RemoteDataset(
    name="mnist",
    description="handwritten digits",
    licence="CC-BY-SA-3.0",
    source="http://yann.lecun.com/exdb/mnist/",
    n_train=60_000,
    n_test=10_000,
    image_shape=(28, 28),
    class_names=DIGIT_NAMES,
    preparation="mnist",
    download_bytes=11_594_722,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    files={
        "x_train": RemoteFile(
            "train-images-idx3-ubyte",
            "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        "t_train": RemoteFile(
            "train-labels-idx1-ubyte",
            "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "x_test": RemoteFile(
            "t10k-images-idx3-ubyte",
            "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        "t_test": RemoteFile(
            "t10k-labels-idx1-ubyte",
            "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
)
"""The data set; ``MNIST.load()`` is what ``nnkit.data.load("mnist")`` calls."""
