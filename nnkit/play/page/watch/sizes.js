// How large the weights and gradients of each layer are.

import { element } from "../dom.js";
import { text } from "../language.js";

const LEAST = -8; // powers of ten that a bar reaches over
const MOST = 2;

/** A table of them; update([{name, value, gradient}]) fills it. */
export function sizes() {
  const body = element("tbody");
  const heads = ["parameter", "weights", "gradients"].map((name) => element("th", { scope: "col" }, text(`watch.${name}`)));
  const table = element("table", { class: "sizes" }, element("thead", {}, element("tr", {}, heads)), body);
  let names = "";
  let cells = [];
  return {
    table,
    update(parameters) {
      const now = parameters.map(({ name }) => name).join("\n");
      if (now !== names) {
        names = now;
        cells = parameters.map(() => [amount("weight"), amount("gradient")]);
        body.replaceChildren(
          ...parameters.map(({ name }, i) => element("tr", {}, element("th", { scope: "row" }, name), cells[i].map(({ cell }) => cell))),
        );
      }
      parameters.forEach(({ value, gradient }, i) => {
        cells[i][0].show(value);
        cells[i][1].show(gradient);
      });
    },
  };
}

function amount(kind) {
  const bar = element("span", { class: `bar ${kind}` });
  const words = element("span", { class: "number" });
  return {
    cell: element("td", {}, bar, words),
    show(value) {
      const power = value > 0 ? Math.log10(value) : LEAST;
      bar.style.transform = `scaleX(${Math.max(0, Math.min(1, (power - LEAST) / (MOST - LEAST)))})`;
      words.textContent = value === null ? "–" : value === 0 ? "0" : value.toExponential(1).replace("e", " e");
    },
  };
}
