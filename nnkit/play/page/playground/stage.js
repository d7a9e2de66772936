// The network and the large picture, which show the same frame.

import { element } from "../dom.js";
import { text } from "../language.js";
import { network } from "./network.js";
import { pictureOf } from "./pictures.js";
import { plane } from "./plane.js";
import { toggle } from "./toggle.js";
import { pictureWords, unitNumbers } from "./words.js";

/** {root, show(built), update(frame), label(), refuse(sentence), close()}; see network.js for the rest. */
export function stage({ editable, most, changed }) {
  const seen = { built: null, frame: null, where: null, sharp: false, edges: "weights" };
  const large = plane();
  const numbers = element("p", { class: "numbers quiet" });
  const title = element("h2", {}, text("playground.output_title"));
  const diagram = network({ editable, most, changed, look });
  const problem = element("span", { class: "error", role: "alert" });
  const layer = (key, sign, press) => element("button", { type: "button", "data-edit": key, "aria-label": text(`playground.${key}`), onclick: press }, sign);
  const fewer = layer("remove_layer", "−", () => changed(seen.built.settings.hidden.slice(0, -1)));
  const more = layer("add_layer", "+", () => changed([...seen.built.settings.hidden, seen.built.settings.hidden.at(-1) ?? 4]));
  const count = element("span", {});
  const gradients = toggle("gradients", (yes) => again({ edges: yes ? "gradients" : "weights" }));
  const sharp = toggle("sharp", (yes) => again({ sharp: yes }));

  function again(change) {
    Object.assign(seen, change);
    if (seen.frame) update(seen.frame);
  }

  function look(where) {
    again({ where });
    if (seen.frame) label();
  }

  function show(built) {
    Object.assign(seen, { built, frame: null, where: null });
    diagram.show(built);
    large.show(built);
    const layers = built.settings.hidden.length;
    count.textContent = text("playground.layer_count", { n: layers });
    fewer.disabled = layers === 0;
    more.disabled = layers >= most.layers;
    sharp.hidden = built.curved;
    legend.classList.toggle("curved", built.curved);
    legend.classList.toggle("held-out", built.held_out);
  }

  function update(frame) {
    seen.frame = frame;
    const { built, where } = seen;
    diagram.update(frame, seen.edges);
    large.update(pictureOf(built, frame, where, seen.sharp));
    title.textContent = where ? text("playground.unit_name", { layer: where.layer + 1, unit: where.unit + 1 }) : text("playground.output_title");
    numbers.textContent = where ? unitNumbers(built, frame, where) : text("playground.point_at");
  }

  const label = () => large.label(pictureWords(seen.built, seen.frame, seen.where));
  const key = (name) => element("span", { class: `key ${name}` }, text(`playground.key_${name}`));
  const legend = element("div", { class: "row legend" }, ["one", "zero", "held", "curve"].map(key));
  const head = element("div", { class: "row" }, editable && fewer, count, editable && more, gradients);
  const drawing = element("section", { class: "panel network" }, element("h2", {}, text("playground.network")), head, problem, diagram.root, element("p", { class: "quiet" }, text("playground.edges_key")));
  const picture = element("section", { class: "panel picture" }, title, large.root, legend, element("div", { class: "row" }, sharp), numbers);
  return {
    parts: [drawing, picture],
    show,
    update,
    label,
    points: large.points,
    refuse: (sentence) => (problem.textContent = sentence),
    close() {
      diagram.close();
      large.close();
    },
  };
}
