// Draw a digit, and see what one network makes of it, or two.

import { element } from "../dom.js";
import { text } from "../language.js";
import { network } from "../draw/network.js";
import { pad } from "../draw/pad.js";
import { connect } from "../socket.js";
import { teaching } from "../draw/teach.js";

const MEASURE = "stroke-to-bars";
const KEPT_MEASURES = 1000;

/** Of the address: model and second name networks; show lists the parts wanted, all if it is not
 * given: bars, seen, why, weights, maps, teach. */
export function open(root, { embedded = false, values = new URLSearchParams() } = {}) {
  const listed = values.get("show")?.split(/[ ,]+/);
  const shown = (name) => !listed || listed.includes(name);
  let names = [];
  let busy = false;
  let wanted = null;
  const chosen = [values.get("model"), values.get("second")];
  const ready = new Set();

  const change = (time) => {
    wanted = time;
    if (!busy) ask();
    places.setAttribute("aria-busy", String(busy));
  };
  const ask = () => {
    const time = wanted;
    wanted = null;
    if (board.empty()) {
      networks.forEach((each) => each.clear());
      teach.allow(false);
      return;
    }
    if (!ready.size) return;
    busy = true;
    asked = time;
    socket.send("drawing", {}, { pixels: board.pixels() });
  };
  let asked = 0;
  const measured = (since) =>
    requestAnimationFrame(() => {
      performance.measure(MEASURE, { start: since, end: performance.now() });
      if (performance.getEntriesByName(MEASURE).length > KEPT_MEASURES) performance.clearMeasures(MEASURE);
    });

  const choose = (slot) => (name) => {
    chosen[slot] = name;
    ready.delete(slot);
    socket.send("open", { slot, model: name });
  };
  const networks = ["first", "second"].map((which, slot) => network(text(`draw.${which}`), shown, choose(slot)));
  const board = pad(change);
  const teach = teaching((type, fields, withDrawing) =>
    socket.send(type, { slot: 0, ...fields }, withDrawing ? { pixels: board.pixels() } : {}),
  );
  const problem = element("p", { class: "error", role: "alert" });
  const compare = element("button", { type: "button", "aria-pressed": "false", onclick: () => compared(networks[1].place.hidden) }, text("draw.compare"));
  const compared = (now) => {
    networks[1].place.hidden = !now;
    compare.setAttribute("aria-pressed", String(now));
    if (now) choose(1)(names.includes(chosen[1]) ? chosen[1] : (names.find((name) => name !== networks[0].name()) ?? names[0]));
    else if (ready.delete(1)) socket.send("leave", { slot: 1 });
  };
  networks[1].place.hidden = true;
  const places = element("div", { class: "networks" }, networks.map(({ place }) => place));

  root.append(
    ...(embedded ? [] : [element("h1", {}, text("draw.title")), element("p", {}, text("draw.intro"))]),
    problem,
    element(
      "div",
      { class: "drawing" },
      element("div", { class: "side" }, element("section", { class: "panel" }, board.place, element("div", { class: "row" }, compare)), shown("teach") && teach.place),
      places,
    ),
  );

  const socket = connect("draw", {
    gallery(message) {
      names = message.names;
      const first = names.includes(chosen[0]) ? chosen[0] : names[0];
      networks.forEach((each, slot) => each.gallery(names, [first, chosen[1]][slot]));
      choose(0)(first);
      if (names.includes(chosen[1])) compared(true);
    },
    training: ({ slot, name }) => networks[slot].training(name),
    model(message) {
      if (message.slot === 1 && networks[1].place.hidden) return;
      problem.textContent = "";
      ready.add(message.slot);
      networks[message.slot].model(message);
      if (message.slot === 0) teach.model(message.classes);
      change(performance.now());
    },
    answer(message) {
      problem.textContent = "";
      teach.allow(true);
      if (!ready.has(message.slot)) return;
      networks[message.slot].answer(message);
      if (message.slot === Math.min(...ready)) measured(asked);
    },
    pictures: (message) => ready.has(message.slot) && networks[message.slot].pictures(message),
    done() {
      busy = false;
      if (wanted !== null) ask();
      places.setAttribute("aria-busy", String(busy));
    },
    taught: (message) => (teach.taught(message), change(performance.now())),
    undone: () => (teach.undone(), change(performance.now())),
    drawings: teach.drawings,
    problem({ code, values: named }) {
      const words = text(`problems.${code}`, named);
      if (code === "draw_nothing_to_undo") teach.noMore();
      if (code === "draw_nothing") networks.forEach((each) => each.clear(words));
      else problem.textContent = words;
      teach.refused();
    },
  });
  return () => {
    socket.close();
    networks.forEach((each) => each.close());
  };
}
