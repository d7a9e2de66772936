"""Fashion-MNIST: 70,000 photographs of clothes of 28x28 pixels, in MNIST's format.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
machine learning algorithms", arXiv:1708.07747, 2017.
"""

from nnkit.data.remote import RemoteDataset, RemoteFile

FASHION_MNIST = RemoteDataset(
    name="fashion-mnist",
    description="photographs of clothes, harder than mnist",
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    n_train=60_000,
    n_test=10_000,
    image_shape=(28, 28),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    preparation="fit",
    download_bytes=30_878_645,
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    # SHA-256 is published for the archives only, MD5 for the unpacked files.
    files={
        "x_train": RemoteFile(
            "train-images-idx3-ubyte",
            "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        "t_train": RemoteFile(
            "train-labels-idx1-ubyte",
            "md5:9018921c3c673c538a1fc5bad174d6f9",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        "x_test": RemoteFile(
            "t10k-images-idx3-ubyte",
            "md5:8181f5470baa50b63fa0f6fddb340f0a",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        "t_test": RemoteFile(
            "t10k-labels-idx1-ubyte",
            "md5:15d484375f8d13e6eb1aabb0c3f46965",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    },
)
"""The data set; ``FASHION_MNIST.load()`` is what ``nnkit.data.load("fashion-mnist")`` calls."""
