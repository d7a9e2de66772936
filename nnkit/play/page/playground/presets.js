// Experiments that show something: settings by name; what to see is in the strings.

import { element } from "../dom.js";
import { text } from "../language.js";

const PRESETS = {
  xor: { problem: "xor", hidden: [4], activation: "sigmoid", optimizer: "adam", lr: 0.05, batch: 0, seed: 1 },
  linear: { problem: "circles", hidden: [6, 6], activation: "identity" },
  spirals: { problem: "spirals", points: 300, noise: 0.02, hidden: [12, 12, 8], optimizer: "adam", lr: 0.01 },
  vanishing: { problem: "circles", hidden: [6, 6, 6, 6, 6, 6], activation: "sigmoid" },
  dead: { problem: "circles", hidden: [8, 8], activation: "relu", lr: 5 },
  overfitting: { problem: "moons", points: 40, noise: 0.3, hidden: [16, 16], activation: "relu", optimizer: "adam", lr: 0.01, batch: 0 },
  sine: { problem: "sine", loss: "mean_squared_error", noise: 0.1, hidden: [10], optimizer: "adam", lr: 0.02 },
};

/** A choice of them: {root, clear()}; `chosen(settings)` is called with what differs from the defaults. */
export function presets(chosen) {
  const told = element("p", { class: "quiet", role: "status" });
  const option = (name) => element("option", { value: name }, text(`playground.preset_${name}`));
  const select = element("select", { "data-action": "preset", onchange: take }, element("option", { value: "" }, text("playground.preset_none")), Object.keys(PRESETS).map(option));
  function take() {
    told.textContent = select.value && text(`playground.preset_${select.value}_text`);
    if (select.value) chosen(PRESETS[select.value]);
  }
  return {
    root: element("div", { class: "presets" }, element("label", {}, text("playground.presets"), select), told),
    clear() {
      select.value = "";
      told.textContent = "";
    },
  };
}
