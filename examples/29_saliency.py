"""Saliency: which pixels a network's answer depends on.

The gradient of a class's score by the pixels says how much each would change it (Simonyan et al.
2013). It comes from the same backward pass that training uses, through to the image. With --plot
FILE as a figure; `nnkit plot saliency` draws that of a file.
"""

import argparse

import numpy as np

import nnkit
from nnkit.data import load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw an image's; needs Matplotlib")
arguments = parser.parse_args()

digits = load("digits")
images, tests = (x.reshape(-1, 8, 8) / 255 for x in (digits.x_train, digits.x_test))
layers = nnkit.Conv2d(1, 8, 3), nnkit.ReLU(), nnkit.MaxPool2d(2), nnkit.Flatten()
model = nnkit.Sequential(*layers, nnkit.Linear(72, 10), seed=0)
trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.Adam(lr=0.01))
trainer.fit(images, digits.t_train, epochs=10, batch_size=50)
numpy = model.backend.to_numpy

scores = numpy(model(tests))
answers = scores.argmax(axis=1)
gradient = numpy(model.backward(np.eye(10)[answers]))  # 1 for the answer's score, 0 for others

i = 0
print(f"a {digits.t_test[i]}, taken for {answers[i]}, and the gradient of that score")
reach = abs(gradient[i]).max()
for pixels, slopes in zip(tests[i], gradient[i], strict=True):
    drawn = "".join(" .:-=+*#%@"[int(9.99 * pixel)] * 2 for pixel in pixels)
    print("  ", drawn, "|", " ".join(f"{100 * slope / reach:4.0f}" for slope in slopes))

row, column = np.unravel_index(abs(gradient[i]).argmax(), (8, 8))
brighter = tests[i].copy()
brighter[row, column] += 0.01
change = numpy(model(brighter[None]))[0, answers[i]] - scores[i, answers[i]]
print(f"\nthe largest is at row {row}, column {column}; 0.01 more there changes the score", end=" ")
print(f"by 0.01 times it: {abs(change - 0.01 * gradient[i, row, column]) < 1e-3}")

print("\nhalf-gray pixels, and how many test images are still right:")
order, rng = np.argsort(-abs(gradient).reshape(-1, 64), axis=1), np.random.default_rng(0)
shuffled = rng.permuted(order, axis=1)
choices = {"the most salient": order, "the least salient": order[:, ::-1], "any": shuffled}
for name, places in choices.items():
    spoilt = tests.reshape(-1, 64).copy()
    np.put_along_axis(spoilt, places[:, :8], 0.5, axis=1)
    right = (numpy(model(spoilt.reshape(-1, 8, 8))).argmax(axis=1) == digits.t_test).mean()
    print(f"  8 of 64, {name}: {right:.1%}")

if arguments.plot:
    from nnkit import plotting

    plotting.saliency_map(model, tests[i]).savefig(arguments.plot)
    print("drawn in", arguments.plot)
