// The losses so far.

import { chart } from "../chart.js";
import { element } from "../dom.js";
import { text } from "../language.js";
import { toggle } from "./toggle.js";
import { lossWords } from "./words.js";

/** {root, update(frame), label(frame), close()}. */
export function lossPanel() {
  const canvas = element("canvas", { class: "loss", role: "img", "aria-label": text("playground.loss") });
  const curves = chart(canvas);
  let log = false;
  let last = null;
  const logarithmic = toggle("log", (yes) => {
    log = yes;
    if (last) update(last);
  });
  const key = (name, train) => element("span", { class: `key ${train ? "train" : "test"}` }, text(`playground.${name}`));
  const legend = element("div", { class: "row" }, key("reading_loss", true), key("reading_test_loss", false), logarithmic);
  function update(frame) {
    last = frame;
    const x = frame.curve_step.values;
    const test = frame.held_out ? [{ color: "positive", x, y: frame.curve_test.values, dashed: true }] : [];
    curves.update([{ color: "accent", x, y: frame.curve_loss.values }, ...test], { log });
  }
  return {
    root: element("section", { class: "panel" }, element("h2", {}, text("playground.loss")), canvas, legend),
    update,
    label: (frame) => canvas.setAttribute("aria-label", lossWords(frame)),
    close: curves.close,
  };
}
