"""Backpropagation with numbers: one step of a network 2-2-1, and what a text's short cut changes.

x = (0.35, 0.9), target 0.5, sigmoid throughout, no biases, half the squared error, learning rate 1.
The text updates the output's weights first, and takes the hidden deltas from the new ones. The
gradient is a slope at one point, so all of it belongs to the old weights: correct are those.
"""

import nnkit

numpy = nnkit.current_backend().to_numpy
X, TARGET = [[0.35, 0.9]], 0.5
loss = nnkit.HalfSquaredError()  # its gradient is y - t


def network():
    """Return the two layers, each a model of its own so that it can be updated by itself."""
    layers = ([[0.1, 0.4], [0.8, 0.6]], [[0.3], [0.9]])  # one column for each neuron
    return [
        nnkit.Sequential(
            nnkit.Linear(2, len(W[0]), bias=False, init=W), nnkit.Sigmoid(), dtype="float64"
        )
        for W in layers
    ]


def show(title, hidden, output):
    """Print the weights, and the error that is left."""
    w = numpy(hidden[0].W.value).T.ravel()
    y = output(hidden(X))
    print(f"{title:<26}", *w.round(5), "|", *numpy(output[0].W.value).ravel().round(5), end=" ")
    print(f"| y = {numpy(y)[0, 0]:.5f}, loss {loss(y, [TARGET]):.6f}")


hidden, output = network()
h = numpy(hidden(X))
y = numpy(output(hidden(X)))
print(f"hidden outputs {h[0].round(4)}, output {y[0, 0]:.4f}")
print(f"output delta (y - t) y (1 - y) = {((y - TARGET) * y * (1 - y))[0, 0]:.4f}\n")
print(f"{'':<26} hidden weights | output weights")
show("before", hidden, output)

loss(output(hidden(X)), [TARGET])
hidden.backward(output.backward(loss.backward()))  # all gradients first,
for layer in (hidden, output):
    nnkit.SGD(lr=1).step(layer)  # then all updates
show("backpropagation", hidden, output)

hidden, output = network()
loss(output(hidden(X)), [TARGET])
output.backward(loss.backward())
nnkit.SGD(lr=1).step(output)  # the output's weights change too early:
hidden.backward(output.backward(loss.backward()))  # this passes through the new ones
nnkit.SGD(lr=1).step(hidden)
show("the text's order of steps", hidden, output)
