"""Softmax: why it subtracts the largest input first, and what it does not change."""

import numpy as np

import nnkit

numpy = nnkit.current_backend().to_numpy
layer = nnkit.Sequential(nnkit.Softmax(), dtype="float64")


def softmax(a):
    """Softmax of one row, by nnkit."""
    return numpy(layer([a]))[0]


def plain(a):
    """Softmax as it is defined: exp() overflows above 709 (88 in float32)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(a) / np.exp(a).sum()


a = np.array([0.3, 2.9, 4.0])
print("a          ", a)
print("softmax(a) ", softmax(a), "  sum", softmax(a).sum().round(6))

large = np.array([1010.0, 1000.0, 990.0])
print("\na          ", large)
print("plain      ", plain(large))
print("a - max(a) ", large - large.max())
print("softmax(a) ", softmax(large))

print("\nA constant added to all inputs changes nothing:")
for c in (-1000.0, 0.0, 1000.0):
    print(f"  a + {c:>5.0f}  ", softmax(a + c))

scores = np.random.default_rng(0).normal(size=(1000, 10))
probabilities = numpy(layer(scores))
same = (scores.argmax(axis=1) == probabilities.argmax(axis=1)).sum()
print(f"\nargmax before and after softmax agrees in {same} of {len(scores)} rows:")
print("to recognise, softmax is not needed; to train, it is (inside SoftmaxCrossEntropy).")
