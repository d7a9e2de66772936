// What belongs to which layer in a frame, whose weights lie behind one another.

/** For each layer of `built`: {inputs, units, weights, biases, gradients}; weights [input * units + unit]. */
export function layersOf(built, frame) {
  let weight = 0;
  let bias = 0;
  return built.layers.map(({ weights: [inputs, units] }) => {
    const cut = (values, from, count) => values.subarray(from, from + count);
    const part = {
      inputs,
      units,
      weights: cut(frame.weights.values, weight, inputs * units),
      gradients: cut(frame.gradients.values, weight, inputs * units),
      biases: cut(frame.biases.values, bias, units),
    };
    weight += inputs * units;
    bias += units;
    return part;
  });
}

/** The number of a hidden unit among all of them, layer by layer. */
export const unitIndex = (hidden, { layer, unit }) => hidden.slice(0, layer).reduce((a, b) => a + b, 0) + unit;

/** What a frame has of a hidden unit: its activation, and what that is given, over the plane. */
export function picturesOf(frame, hidden, where) {
  const size = frame.neurons.shape.slice(1).reduce((a, b) => a * b, 1);
  const from = unitIndex(hidden, where) * size;
  const cut = ({ values }) => values.subarray(from, from + size);
  return { activation: cut(frame.neurons), given: cut(frame.boundaries) };
}
