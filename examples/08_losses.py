"""Loss functions: the smaller, the better the outputs fit the answer, here the digit 2."""

import numpy as np

import nnkit

TARGET = np.eye(10)[[2]]
OUTPUTS = {
    "2 is most probable": [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0],
    "7 is most probable": [0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0],
}
half_squared_error = nnkit.HalfSquaredError()  # half the sum of squares
cross_entropy = nnkit.CategoricalCrossEntropy(delta=1e-7)  # delta keeps log() from -infinity

for name, outputs in OUTPUTS.items():
    y = np.array([outputs])
    print(f"{name}: half the sum of squares {half_squared_error(y, TARGET):.4f}", end=", ")
    print(f"cross-entropy {cross_entropy(y, TARGET):.6f}")

# Training uses softmax and cross-entropy in one: no delta is needed, and the gradient is y - t.
logits = np.array([[0.3, 2.9, 4.0]])
loss = nnkit.SoftmaxCrossEntropy()
value = loss(logits, [2])
gradient = nnkit.current_backend().to_numpy(loss.backward())
print(f"\nlogits {logits[0]}, answer 2: softmax cross-entropy {value:.6f}")
print("its gradient, softmax - onehot:", gradient[0].round(6))

wrong = np.array([[-1000.0, 0.0]])
probabilities = nnkit.current_backend().to_numpy(nnkit.Softmax()(wrong))
print(f"\nlogits {wrong[0]}, answer 0, which is as wrong as can be:")
print(f"  from probabilities, with delta: {cross_entropy(probabilities, [0]):.2f}")
print(f"  from logits:                    {loss(wrong, [0]):.2f}")
