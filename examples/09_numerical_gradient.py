"""Numerical gradients by central differences, gradient descent, and a check of backpropagation."""

import numpy as np

import nnkit


def numerical_gradient(f, x, delta=1e-4):
    """Slope of f by each element of x: (f(x + delta) - f(x - delta)) / (2 delta)."""
    gradient = np.zeros_like(x)
    for i in range(x.size):
        up, down = x.copy(), x.copy()
        up.flat[i] += delta
        down.flat[i] -= delta
        gradient.flat[i] = (f(up) - f(down)) / (2 * delta)
    return gradient


def bowl(x):
    """f(x0, x1) = x0^2 + x1^2, whose gradient is (2 x0, 2 x1)."""
    return np.sum(x**2)


def descend(x, lr, steps=100):
    """Gradient descent."""
    for _ in range(steps):
        x = x - lr * numerical_gradient(bowl, x)
    return x


print("slope of 0.01 x^2 + 0.1 x at 5: ", end="")
print(numerical_gradient(lambda x: np.sum(0.01 * x**2 + 0.1 * x), np.array([5.0]))[0])
for point in ([3.0, 4.0], [0.0, 2.0], [3.0, 0.0]):
    print(f"gradient of x0^2 + x1^2 at {point}: {numerical_gradient(bowl, np.array(point))}")
for lr in (0.1, 10.0, 1e-10):
    print(f"from (-3, 4), 100 steps, learning rate {lr:g}: {descend(np.array([-3.0, 4.0]), lr)}")

# A network's loss is a function of its weights like any other.
W = np.array([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
linear = nnkit.Linear(2, 3, bias=False, init=W)
model, loss = nnkit.Sequential(linear, dtype="float64"), nnkit.SoftmaxCrossEntropy()
x, t = np.array([[0.6, 0.9]]), [2]


def loss_at(W):
    """Loss of the network with these weights."""
    linear.W.value = W
    return loss(model(x), t)


print(f"\nloss of the network 2-3: {loss_at(W):.8f}; its gradient, numerically:")
print(numerical_gradient(loss_at, W).round(8))
loss_at(W)
model.backward(loss.backward())
print("and by backpropagation:\n", model.backend.to_numpy(linear.W.grad).round(8), sep="")
print("\nnnkit.gradcheck compares the two for any network:")
print(nnkit.gradcheck(model, loss, x, t))
