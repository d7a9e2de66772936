// What is to be seen, in words: for screen readers, and for whoever wants to know.

import { number, percent, text } from "../language.js";
import { layersOf } from "./parts.js";

/** What the large picture shows. */
export function pictureWords(built, frame, where) {
  if (where) return text("playground.unit_label", { layer: where.layer + 1, unit: where.unit + 1 });
  if (built.curved) return text("playground.curve_label", { loss: number(frame.loss, 4) });
  return text("playground.regions_label", { right: percent(frame.accuracy, 0), test: percent(frame.test_accuracy, 0) });
}

/** A unit's weights and bias, with the gradients of the weights. */
export function unitNumbers(built, frame, { layer, unit }) {
  const { units, weights, gradients, biases } = layersOf(built, frame)[layer];
  const own = (values) => Array.from(values).filter((_, i) => i % units === unit);
  const listed = (values, digits) => values.map((value) => number(value, digits)).join(", ");
  return text("playground.unit_numbers", {
    layer: layer + 1,
    unit: unit + 1,
    weights: listed(own(weights), 2),
    bias: number(biases[unit], 2),
    gradients: own(gradients).map((value) => (value === 0 ? "0" : value.toExponential(1))).join(", "),
  });
}

/** The chart of losses. */
export const lossWords = (frame) => text("playground.loss_label", { step: number(frame.step), loss: number(frame.loss, 4), test: number(frame.test_loss, 4) });

/** Where training is, when it begins or ends. */
export function stateWords({ playing, why, better }, frame) {
  if (playing) return text("playground.said_playing");
  if (why === "diverged") return text("playground.said_diverged", { better: better ?? "" });
  if (why === "idle") return text("playground.said_idle");
  if (!frame || frame.step === 0) return text("playground.said_ready");
  const accuracy = frame.accuracy === null ? "" : text("playground.said_right", { right: percent(frame.accuracy, 0) });
  return `${text("playground.said_paused", { step: number(frame.step), loss: number(frame.loss, 4) })} ${accuracy}`;
}
