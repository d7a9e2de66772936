// One network of the view "draw": its answer, and pictures of what led to it.

import { bars } from "../bars.js";
import { drawArray, reachOf } from "../canvas.js";
import { element } from "../dom.js";
import { number, percent, text } from "../language.js";
import { onTheme } from "../theme.js";
import { drawOver, drawTiles } from "./tiles.js";

const MOST_BARS = 12;
const TILE = 56;
const UNIT = 10;
const TOLD_AFTER = 700;

/** Make the panel of a network; `shown` says of a part (bars, seen, why, weights, maps) whether it is wanted.
 *
 * model, answer and pictures take the messages of these names; clear() is for an empty pad.
 */
export function network(label, shown, choose) {
  const choices = element("select", { onchange: (event) => choose(event.target.value) });
  const status = element("p", { class: "quiet", role: "status" });
  const answer = element("p", { class: "answer", "data-answer": "" });
  const told = element("p", { class: "hidden-text", "aria-live": "polite" });
  const picture = (name, ...more) => {
    const canvas = element("canvas", { role: "img", class: "digit", "aria-label": text(`draw.${name}_empty`) });
    return { canvas, figure: element("figure", {}, canvas, element("figcaption", {}, text(`draw.${name}`)), ...more) };
  };
  const [seen, why] = [picture("seen"), picture("why")];
  const barsPlace = element("div");
  const weights = element("ol", { class: "weights" });
  const layers = element("div", { class: "layers" });
  const part = (name, heading, ...children) =>
    shown(name) && element("section", { class: `part-${name}` }, heading && element("h2", {}, text(`draw.${heading}`)), children);
  const place = element(
    "section",
    { class: "panel network", "aria-label": label },
    element("label", {}, label, choices),
    status,
    answer,
    told,
    part("bars", null, barsPlace),
    element("div", { class: "row figures" }, shown("seen") && seen.figure, shown("why") && why.figure),
    part("why", null, element("p", { class: "quiet small" }, text("draw.why_how"))),
    part("weights", "weights", element("p", { class: "quiet small" }, text("draw.weights_how")), weights),
    part("maps", "layers", layers),
  );

  let about = null;
  let last = {};
  let canvases = [];
  let list = null;
  let timer = 0;
  let frame = 0;

  const order = (said) => said.map((_, i) => i).sort((a, b) => said[b] - said[a]).slice(0, MOST_BARS);
  const drawBars = (said) => {
    const many = about.classes.length > MOST_BARS;
    const rows = many && said.length ? order(said) : about.classes.map((_, i) => i).slice(0, MOST_BARS);
    if (!list || many) {
      list = bars(rows.map((i) => about.classes[i]), text("draw.bars"));
      barsPlace.replaceChildren(list.list);
    }
    list.update(rows.map((i) => said[i] ?? 0));
  };
  const tell = (words) => {
    clearTimeout(timer);
    timer = setTimeout(() => ((told.textContent = words), describe()), TOLD_AFTER);
  };
  const describe = () => {
    if (!last.pictures) return;
    const name = about.classes[last.pictures.label];
    seen.canvas.setAttribute("aria-label", text("draw.seen_told", { name }));
    why.canvas.setAttribute("aria-label", text("draw.why_told", { name }));
    canvases.forEach(({ canvas, name: layer }, i) => {
      const { values } = last.pictures[`layer${i}`];
      const active = values.reduce((n, value) => n + (value > 0), 0) / values.length;
      canvas.setAttribute("aria-label", text("draw.layer_told", { name: layer, active: percent(active, 0), most: number(Math.max(...values), 2) }));
    });
  };
  const drawLayers = (message) => {
    canvases.forEach(({ canvas }, i) => {
      const { values, shape } = message[`layer${i}`];
      const reach = reachOf(values);
      if (shape.length === 3) drawTiles(canvas, values, shape, Math.min(8, shape[0]), Math.max(1, Math.floor(TILE / shape[1])), reach);
      else drawTiles(canvas, values, [shape[0], 1, 1], 32, UNIT, reach);
    });
  };
  const drawWeights = ({ weights: { values, shape }, loudest }) => {
    const [, height, width] = shape;
    const size = height * width;
    const reach = reachOf(values);
    weights.replaceChildren(
      ...loudest.map(([unit, did], i) => {
        const words = text("draw.unit", { unit: unit + 1, did: (did > 0 ? "+" : "") + number(did, 2) });
        const canvas = element("canvas", { role: "img", "aria-label": words });
        drawArray(canvas, values.subarray(i * size, (i + 1) * size), height, width, "signed", reach);
        return element("li", {}, canvas, element("span", {}, words));
      }),
    );
  };
  const redraw = () => {
    const { answer: said, pictures: drawn } = last;
    if (!said) return;
    const { values, shape } = said.image;
    if (shown("seen")) drawArray(seen.canvas, values, shape[0], shape[1], "ink", 255);
    if (!drawn) return;
    if (shown("why")) drawOver(why.canvas, drawn.image, drawn.gradient.values, shape, reachOf(drawn.gradient.values));
    if (shown("weights") && drawn.loudest) drawWeights(drawn);
    if (shown("maps")) drawLayers(drawn);
  };
  const ended = onTheme(redraw);

  return {
    place,
    gallery(names, chosen) {
      choices.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === chosen }, name)));
    },
    training: (name) => (status.textContent = text("draw.training", { name })),
    model(message) {
      about = message;
      choices.value = message.name;
      status.textContent = "";
      list = null;
      canvases = message.sizes.map((size, i) => {
        const name = text(size.length === 3 ? "draw.maps" : "draw.units", { name: message.layers[i], count: size.at(-1), height: size[0], width: size[1] });
        return { name, canvas: element("canvas", { role: "img", class: "tiles", "aria-label": name }) };
      });
      layers.replaceChildren(...canvases.map(({ name, canvas }) => element("figure", {}, element("figcaption", {}, name), canvas)));
      const rest = message.layers.slice(canvases.length);
      if (rest.length) layers.append(element("p", { class: "quiet small" }, text("draw.rest", { count: rest.length, names: rest.join(" · ") })));
      this.clear();
    },
    name: () => about?.name,
    classes: () => about?.classes ?? [],
    answer(message) {
      last.answer = message;
      const name = about.classes[message.best];
      const words = text("draw.answer", { name, probability: percent(message.probabilities[message.best]) });
      answer.dataset.answer = name;
      answer.textContent = words;
      status.textContent = "";
      tell(words);
      if (shown("bars")) drawBars(message.probabilities);
    },
    pictures(message) {
      if (!last.answer) return;
      last.pictures = { ...message, image: last.answer.image.values };
      if (!frame) frame = requestAnimationFrame(() => ((frame = 0), redraw()));
    },
    /** Show nothing, but why, where there are words for it. */
    clear(why_not = "") {
      last = {};
      answer.dataset.answer = "";
      answer.textContent = why_not || text("draw.nothing_yet");
      tell(why_not);
      if (about && shown("bars")) drawBars([]);
      for (const canvas of place.querySelectorAll("canvas")) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      for (const [name, { canvas }] of Object.entries({ seen, why })) canvas.setAttribute("aria-label", text(`draw.${name}_empty`));
      weights.replaceChildren();
    },
    close() {
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      ended();
    },
  };
}
