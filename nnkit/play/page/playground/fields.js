// What one setting is set by: a label, something to set it with, and room to say what is refused.

import { element } from "../dom.js";
import { text } from "../language.js";

let made = 0;

/** A field around controls: {root, refuse(sentence)}; an empty sentence takes it back. */
function field(name, label, controls, inputs) {
  const id = `setting-${++made}`;
  const problem = element("span", { class: "error", id: `${id}-problem`, role: "alert" });
  inputs.forEach((input) => input.setAttribute("aria-describedby", problem.id));
  const root = element("div", { class: "setting", "data-setting": name }, label, controls, problem);
  return {
    root,
    refuse(sentence) {
      problem.textContent = sentence;
      inputs.forEach((input) => input.setAttribute("aria-invalid", String(Boolean(sentence))));
    },
  };
}

const nameOf = (name) => text(`playground.setting_${name}`);

/** One of some: `label(value)` says each in words. */
export function choice(name, values, label, changed) {
  const select = element(
    "select",
    { id: `choose-${++made}`, onchange: () => changed(select.value) },
    values.map((value) => element("option", { value }, label(value))),
  );
  const built = field(name, element("label", { for: select.id }, nameOf(name)), select, [select]);
  return { ...built, show: (value) => (select.value = value) };
}

/** Yes or no. */
export function flag(name, changed) {
  const box = element("input", { type: "checkbox", onchange: () => changed(box.checked) });
  const built = field(name, element("label", { class: "row" }, box, nameOf(name)), null, [box]);
  return { ...built, show: (value) => (box.checked = value === true) };
}

/** A number, by a slider over `stops` or written out; `changed` is called as it moves. */
export function amount(name, stops, [low, high], changed) {
  const slider = element("input", { type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": nameOf(name) });
  const box = element("input", { type: "number", id: `amount-${++made}`, min: low, max: high, step: "any" });
  const nearest = (value) => stops.reduce((best, stop, i) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? i : best), 0);
  const slide = (value) => {
    slider.value = nearest(value);
    slider.setAttribute("aria-valuetext", String(value));
  };
  slider.addEventListener("input", () => {
    box.value = stops[slider.value];
    slide(stops[slider.value]);
    changed(stops[slider.value]);
  });
  box.addEventListener("change", () => {
    slide(Number(box.value));
    changed(box.value === "" ? "" : Number(box.value));
  });
  const built = field(name, element("label", { for: box.id }, nameOf(name)), element("div", { class: "amount" }, slider, box), [box]);
  const show = (value) => {
    box.value = value;
    slide(value);
  };
  return { ...built, show };
}
