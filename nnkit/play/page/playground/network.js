// The network: a picture of each unit, the lines between them, and buttons that add and remove.

import { element } from "../dom.js";
import { text } from "../language.js";
import { paintEdges } from "./edges.js";
import { paintSquare, shades } from "./images.js";
import { layersOf, picturesOf } from "./parts.js";
import { paintCurve, paintTile } from "./tile.js";

const CURVE = 64;

/** The diagram: {root, show(built), update(frame, edges), place(), close()}.
 *
 * `changed(hidden)` is called with other widths, `look(where)` with the unit pointed at, or null;
 * `most` are the most layers and units.
 */
export function network({ editable, most, changed, look }) {
  const edges = element("canvas", { class: "edges", role: "img" });
  const plan = element("div", { class: "plan" });
  const scroll = element("div", { class: "network-scroll" }, plan);
  let columns = [];
  let places = [];
  let built = null;
  const sized = new ResizeObserver(() => place());
  sized.observe(plan);

  function show(made) {
    if (built && String(built.settings.hidden) === String(made.settings.hidden) && built.curved === made.curved) return void (built = made);
    built = made;
    const hidden = made.settings.hidden;
    columns = [inputColumn(made), ...hidden.map((units, layer) => hiddenColumn(layer, units)), outputColumn()];
    const focused = document.activeElement?.dataset?.edit;
    plan.replaceChildren(edges, ...columns.map(({ root }) => root));
    plan.querySelector(`[data-edit="${focused}"]`)?.focus();
    edges.setAttribute("aria-label", text("playground.edges_label", { layers: hidden.length, units: hidden.join(", ") || "0" }));
    place();
  }

  function hiddenColumn(layer, units) {
    const resize = (by) => changed(built.settings.hidden.map((width, i) => (i === layer ? width + by : width)));
    const edit = (by, key, sign, stop) =>
      element("button", { type: "button", "data-edit": `${key}-${layer}`, disabled: stop, "aria-label": text(`playground.${key}_unit`, { layer: layer + 1 }), onclick: () => resize(by) }, sign);
    const head = element("div", { class: "column-head" }, editable && edit(-1, "remove", "−", units <= 1), element("span", {}, text("playground.units", { n: units })), editable && edit(1, "add", "+", units >= most.units));
    const tiles = Array.from({ length: units }, (_, unit) => tileButton({ layer, unit }));
    return column(head, tiles);
  }

  function tileButton(where) {
    const canvas = element("canvas", {});
    const on = () => look(where);
    const off = () => look(null);
    const label = text("playground.unit_name", { layer: where.layer + 1, unit: where.unit + 1 });
    const root = element("button", { type: "button", class: "tile", "data-unit": `${where.layer}.${where.unit}`, "aria-label": label, title: label, onpointerenter: on, onpointerleave: off, onfocus: on, onblur: off, onclick: on }, canvas);
    return { root, canvas, where };
  }

  function place() {
    places = columns.map(({ tiles }) => tiles.map(({ root }) => centre(root, plan)));
  }

  function update(frame, name) {
    const hidden = built.settings.hidden;
    for (const { tiles } of columns.slice(1, -1)) {
      for (const { canvas, where } of tiles) {
        const { activation, given } = picturesOf(frame, hidden, where);
        if (built.curved) paintCurve(canvas, activation, given, CURVE);
        else paintTile(canvas, activation, given, frame.neurons.shape[1]);
      }
    }
    const [{ canvas }] = columns.at(-1).tiles;
    if (frame.curve) paintCurve(canvas, frame.curve.values.map((y) => (127 * y) / 1.5), [], CURVE);
    else paintSquare(canvas, frame.regions.values, frame.regions.shape[0], shades.probability);
    paintEdges(edges, places, layersOf(built, frame), name);
  }

  return { root: scroll, show, update, close: () => sized.disconnect() };
}

function inputColumn({ curved }) {
  const names = curved ? ["x"] : ["x₁", "x₂"];
  const tiles = names.map((name, axis) => {
    const canvas = element("canvas", {});
    const side = 16;
    const ramp = Int8Array.from({ length: side * side }, (_, i) => (axis ? 120 - 16 * Math.floor(i / side) : 16 * (i % side) - 120));
    if (curved) paintCurve(canvas, Float32Array.from({ length: CURVE }, (_, i) => 4 * i - 127), [], CURVE);
    else paintSquare(canvas, ramp, side, shades.unit);
    return { root: element("div", { class: "tile" }, canvas, element("span", {}, name)), canvas };
  });
  return column(element("div", { class: "column-head" }, text("playground.inputs")), tiles);
}

function outputColumn() {
  const canvas = element("canvas", {});
  return column(element("div", { class: "column-head" }, text("playground.output")), [{ root: element("div", { class: "tile" }, canvas), canvas }]);
}

const column = (head, tiles) => ({ root: element("div", { class: "column" }, head, element("div", { class: "tiles" }, tiles.map(({ root }) => root))), tiles });

/** Where lines reach and leave a tile: [left, right, middle], in pixels of the plan. */
function centre(tile, plan) {
  const [a, b] = [tile.getBoundingClientRect(), plan.getBoundingClientRect()];
  return [a.left - b.left, a.right - b.left, a.top - b.top + a.height / 2];
}
