// Layer by layer: how large weights and gradients are, and how many units say nothing any more.

import { element } from "../dom.js";
import { number, percent, text } from "../language.js";

const SMALLEST = -8;
const LARGEST = 2;
const NAMES = ["weight_size", "gradient_size", "dead", "saturated"];

/** {root, show(built), update(frame)}. */
export function layerBars() {
  const body = element("tbody");
  const head = element("thead", {}, element("tr", {}, ["layer", ...NAMES].map((name) => element("th", { scope: "col" }, text(`playground.layers_${name}`)))));
  const table = element("table", {}, head, body);
  let rows = [];

  function show({ layers, settings }) {
    rows = layers.map(({ units }, i) => {
      const hidden = i < settings.hidden.length;
      const cells = Object.fromEntries(NAMES.map((name) => [name, cell(name)]));
      const title = hidden ? text("playground.layer_hidden", { n: i + 1 }) : text("playground.output");
      return { units, cells, row: element("tr", {}, element("th", { scope: "row" }, title), NAMES.map((name) => cells[name].root)) };
    });
    body.replaceChildren(...rows.map(({ row }) => row));
  }

  function update(frame) {
    frame.layers.forEach((layer, i) => {
      const { cells, units } = rows[i];
      for (const name of ["weight_size", "gradient_size"]) cells[name].set(onScale(layer[name]), size(layer[name]));
      cells.dead.set(layer.dead, layer.dead === null ? "–" : text("playground.dead_of", { dead: Math.round(layer.dead * units), units }));
      cells.saturated.set(layer.saturated, layer.saturated === null ? "–" : percent(layer.saturated, 0));
    });
  }

  const root = element("section", { class: "panel layers" }, element("h2", {}, text("playground.layers")), element("p", { class: "quiet" }, text("playground.layers_scale")), table);
  return { root, show, update };
}

function cell(name) {
  const bar = element("div", { class: `meter ${name}` });
  const words = element("span", { class: "number" });
  return {
    root: element("td", { "data-of": name }, words, element("div", { class: "track" }, bar)),
    set(share, written) {
      bar.style.transform = `scaleX(${share ?? 0})`;
      words.textContent = written;
    },
  };
}

/** Where a size is between the smallest and the largest power of ten, from 0 to 1. */
function onScale(value) {
  if (!value) return 0;
  return Math.max(0, Math.min(1, (Math.log10(value) - SMALLEST) / (LARGEST - SMALLEST)));
}

const size = (value) => (value === null ? "–" : value === 0 ? "0" : value < 0.001 || value >= 1000 ? value.toExponential(1) : number(value, 3));
