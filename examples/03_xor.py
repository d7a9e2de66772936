"""XOR: impossible for one perceptron, easy for two layers of them.

One perceptron would need b <= 0, w1 + b > 0, w2 + b > 0 and w1 + w2 + b <= 0; but the second and
third give w1 + w2 + b > -b >= 0. Here 4,913 of them are tried at once, as the columns of one layer.
"""

import itertools

import numpy as np

import nnkit

INPUTS = [[0, 0], [0, 1], [1, 0], [1, 1]]
NAMES = {(0, 1, 1, 0): "XOR", (1, 0, 0, 1): "XNOR"}
numpy = nnkit.current_backend().to_numpy


grid = np.linspace(-2, 2, 17)
w1, w2, b = np.array(list(itertools.product(grid, grid, grid))).T
perceptrons = nnkit.Sequential(nnkit.Linear(2, len(b), init=[w1, w2]), nnkit.Step())
perceptrons[0].b.value = b
answers = numpy(perceptrons(INPUTS)).astype(int)
found = {tuple(column) for column in answers.T.tolist()}
print(f"{len(b):,} perceptrons compute {len(found)} of the 16 functions of two bits; missing are:")
for function in sorted(set(itertools.product((0, 1), repeat=4)) - found):
    print(f"  {NAMES[function]:>4}: {function}")

# The first layer has NAND and OR, one in each column; the second is their AND.
xor = nnkit.Sequential(
    nnkit.Linear(2, 2, init=[[-0.5, 0.5], [-0.5, 0.5]]),
    nnkit.Step(),
    nnkit.Linear(2, 1, init=[[0.5], [0.5]]),
    nnkit.Step(),
)
xor[0].b.value, xor[2].b.value = [0.7, -0.2], [-0.7]
print("\nx1 x2 | NAND  OR | AND of both = XOR")
for x, s, y in zip(INPUTS, numpy(xor[1](xor[0](INPUTS))), numpy(xor(INPUTS)), strict=True):
    print(f" {x[0]}  {x[1]} | {s[0]:4.0f} {s[1]:3.0f} | {y[0]:8.0f}")
