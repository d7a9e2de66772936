// The problems, each a button with its picture.

import { sharp } from "../canvas.js";
import { element } from "../dom.js";
import { text } from "../language.js";
import { onTheme } from "../theme.js";
import { drawPoint } from "./points.js";

const CORNERS = [[-0.6, -0.6], [-0.6, 0.6], [0.6, -0.6], [0.6, 0.6]];
const gate = (...answers) => CORNERS.map(([x, y], i) => [x, y, answers[i]]);
const round = (n, place) => Array.from({ length: n }, (_, i) => place((2 * Math.PI * i) / n, i / n));

/** A few points (x, y, class) of each, from -1 to 1. */
const PICTURES = {
  and: gate(0, 0, 0, 1),
  nand: gate(1, 1, 1, 0),
  or: gate(0, 1, 1, 1),
  xor: gate(0, 1, 1, 0),
  circles: [...round(6, (a) => [0.3 * Math.cos(a), 0.3 * Math.sin(a), 0]), ...round(12, (a) => [0.85 * Math.cos(a), 0.85 * Math.sin(a), 1])],
  moons: round(20, (a) => (a < Math.PI ? [0.6 * Math.cos(a) - 0.3, 0.7 * Math.sin(a) - 0.2, 0] : [0.6 * Math.cos(a) + 0.3, 0.7 * Math.sin(a) + 0.2, 1])),
  spirals: [0, 1].flatMap((side) => round(11, (a, part) => [(0.15 + 0.8 * part) * Math.cos(1.4 * a + Math.PI * side), (0.15 + 0.8 * part) * Math.sin(1.4 * a + Math.PI * side), side])),
  sine: round(16, (a) => [a / Math.PI - 0.95, 0.75 * Math.sin(a), 1]),
};

/** A group of buttons, of which one is pressed: {root, show, refuse}, as fields.js has them. */
export function problems(names, changed) {
  const buttons = names.map((name) => {
    const picture = element("canvas", { "aria-hidden": "true" });
    const button = element("button", { type: "button", "data-problem": name, onclick: () => changed(name) }, picture, text(`playground.choice_${name}`));
    return { name, picture, button };
  });
  const draw = () => buttons.forEach(({ name, picture }) => paint(picture, PICTURES[name] ?? []));
  const problem = element("span", { class: "error", role: "alert" });
  const list = element("div", { class: "problems", role: "group", "aria-label": text("playground.setting_problem") }, buttons.map(({ button }) => button));
  const sized = new ResizeObserver(draw);
  sized.observe(list);
  const ended = onTheme(draw);
  return {
    root: element("div", { class: "setting", "data-setting": "problem" }, list, problem),
    show: (value) => buttons.forEach(({ name, button }) => button.setAttribute("aria-pressed", String(name === value))),
    refuse: (sentence) => (problem.textContent = sentence),
    close() {
      sized.disconnect();
      ended();
    },
  };
}

function paint(canvas, points) {
  const { context, width, height } = sharp(canvas);
  for (const [x, y, kind] of points) drawPoint(context, (width * (x + 1)) / 2, (height * (1 - y)) / 2, kind, 2.5, true);
}
