// A training run, while it is made.

import { drawArray } from "../canvas.js";
import { chart } from "../chart.js";
import { confusion } from "../watch/confusion.js";
import { element } from "../dom.js";
import { number, percent, text } from "../language.js";
import { scatter } from "../watch/scatter.js";
import { sizes } from "../watch/sizes.js";
import { connect } from "../socket.js";
import { onTheme } from "../theme.js";
import { drawPicture, drawWeights, tiles } from "../watch/tiles.js";
import { summary } from "../watch/watched.js";

export function open(root) {
  const state = { run: null, frame: null, answers: null, gone: false };
  const parts = [heading(state), curves(), weights(), answered(), wrong(), amounts(), epochs()];
  root.append(element("div", { class: "watch" }, parts.map(({ place }) => place)));
  let asked = 0;
  const draw = () => {
    asked = 0;
    parts.forEach((part) => part.update(state));
  };
  const later = () => (asked ||= requestAnimationFrame(draw));
  const join = () => {
    state.gone = false;
    return connect("watch", {
      run(message) {
        Object.assign(state, { run: message, frame: null, answers: null });
        later();
      },
      frame(message) {
        state.frame = message;
        later();
      },
      answers(message) {
        state.answers = message;
        later();
      },
      closed() {
        state.gone = true;
        later();
      },
    });
  };
  let socket = join();
  state.stop = () => socket.send("stop", { run: state.run.number });
  state.rejoin = () => (socket = join());
  later();
  const ended = onTheme(later);
  return () => {
    ended();
    cancelAnimationFrame(asked);
    parts.forEach((part) => part.close?.());
    socket.close();
  };
}

function panel(name, ...content) {
  const title = element("h2", {}, text(`watch.${name}`));
  return { title, place: element("section", { class: `panel ${name}` }, title, content) };
}

/** What runs, how far it is, and the button that ends it. */
function heading(state) {
  const said = element("p", { class: "state", role: "status" });
  const bar = element("progress", { max: 1, value: 0, "aria-label": text("watch.progress") });
  const tiles_ = element("dl", { class: "figures" });
  const about = element("p", { class: "quiet" });
  const stop = element("button", { class: "stop", onclick: () => sure(true) }, text("watch.stop"));
  const yes = element("button", { class: "main", onclick: () => (state.stop(), sure(false, true)) }, text("watch.stop_yes"));
  const no = element("button", { onclick: () => sure(false) }, text("watch.stop_no"));
  const question = element("div", { class: "row question", role: "group", "aria-label": text("watch.stop_sure"), hidden: true }, element("span", {}, text("watch.stop_sure")), yes, no);
  const again = element("button", { onclick: () => state.rejoin(), hidden: true }, text("watch.rejoin"));
  const sure = (ask, done = false) => {
    question.hidden = !ask;
    stop.hidden = ask;
    stop.disabled = done;
    (ask ? no : stop).focus();
  };
  let words = "";
  let run = null;
  const place = element(
    "section",
    { class: "heading" },
    element("h1", {}, text("watch.title")),
    element("div", { class: "row" }, said, stop, question, again),
    bar,
    tiles_,
    about,
  );
  return {
    place,
    update(now) {
      const shown = summary(now);
      if (shown.words !== words) said.textContent = words = shown.words;
      if (now.run !== run) {
        run = now.run;
        stop.disabled = false;
      }
      if (about.textContent !== shown.about) about.textContent = shown.about;
      bar.value = shown.share;
      bar.hidden = !now.run;
      again.hidden = !now.gone;
      if (!shown.going) question.hidden = true;
      if (question.hidden) stop.hidden = !shown.going;
      tiles_.replaceChildren(...shown.figures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    },
  };
}

/** Loss, accuracy and learning rate over the epochs. */
function curves() {
  const made = ["loss", "accuracy", "rate"].map((name) => {
    const canvas = element("canvas", { role: "img" });
    const { place } = panel(name);
    return { name, canvas, place, drawn: chart(canvas) };
  });
  const logarithmic = element("input", { type: "checkbox", onchange: () => last && update(last) });
  const key = () =>
    element("p", { class: "key quiet" }, element("span", { class: "line train" }), text("watch.training_curve"), " ", element("span", { class: "test" }, element("span", { class: "line" }), text("watch.validation")));
  made.forEach(({ place, canvas, name }) => place.append(canvas, name === "rate" ? "" : key()));
  made[0].place.append(element("label", { class: "check" }, logarithmic, text("watch.logarithmic")));
  const root = element("div", { class: "columns curves" }, made.map(({ place }) => place));
  let last = null;
  const update = (state) => {
    const { run, frame } = (last = state);
    if (!frame || !run) return;
    const x = Array.from(frame.curve_steps.values, (step) => step / run.steps);
    const { figures, passed } = frame;
    const series = (within, name) => [
      { x: x.slice(0, within.length), y: within, color: "accent" },
      { x: figures[`val_${name}`] ? passed : [], y: figures[`val_${name}`] ?? [], color: "positive", dashed: true },
    ];
    root.querySelectorAll(".test").forEach((part) => (part.hidden = !run.validates));
    made[0].drawn.update(series(frame.curve_loss.values, "loss"), { log: logarithmic.checked });
    made[1].place.hidden = !run.counts_right;
    made[1].drawn.update(series(frame.curve_right.values, "accuracy"), { high: 1 });
    made[2].drawn.update([{ x: frame.rates_at, y: frame.rates, color: "accent" }], {});
    made.forEach(({ canvas, name }) => {
      const values = { loss: frame.figures.loss, accuracy: frame.figures.accuracy, rate: frame.rates }[name] ?? [];
      const of = { name: text(`watch.${name}`), n: passed.length, first: number(values[0], 4), last: number(values.at(-1), 4) };
      canvas.setAttribute("aria-label", text(values.length ? "watch.curve" : "watch.no_curve", of));
    });
  };
  return { place: root, update, close: () => made.forEach(({ drawn }) => drawn.close()) };
}

/** The first layer's weights. */
function weights() {
  const grid = element("div", { class: "tiles", role: "img" });
  const note = element("p", { class: "quiet" });
  const { place } = panel("weights_first", grid, note);
  let told = ""; // words change with each epoch, not with each picture
  return {
    place,
    update({ frame }) {
      place.hidden = !frame?.weights;
      if (place.hidden) return;
      const { weights: given, weights_kind: kind, units, reach } = frame;
      const rows = kind === "rows";
      const shown = rows ? given.shape[1] : given.shape[0];
      grid.classList.toggle("whole", rows);
      if (rows) tiles(grid, 1, (_, canvas) => drawArray(canvas, given.values, ...given.shape, "signed", 127));
      else tiles(grid, shown, (i, canvas) => drawWeights(canvas, given, i));
      const now = `${frame.run} ${frame.epoch} ${frame.state}`;
      if (told === now) return;
      told = now;
      const words = text(`watch.weights_${kind}`, { shown, units, inputs: given.shape[0], reach: number(reach, 3) });
      note.textContent = words;
      grid.setAttribute("aria-label", words);
    },
  };
}

/** Sizes of weights and gradients. */
function amounts() {
  const made = sizes();
  const { place } = panel("sizes", element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": text("watch.sizes") }, made.table), element("p", { class: "quiet" }, text("watch.sizes_note")));
  return {
    place,
    update({ frame }) {
      place.hidden = !frame?.parameters.length;
      if (frame) made.update(frame.parameters);
    },
  };
}

/** Of classes the confusion matrix, of amounts what is said against what is true. */
function answered() {
  const matrix = confusion();
  const pairs = element("ul", { class: "pairs" });
  const canvas = element("canvas", { role: "img", class: "scatter" });
  const points = scatter(canvas);
  const note = element("p", { class: "quiet" });
  const { place, title } = panel("answers", note, matrix.place, pairs, canvas);
  let last = null;
  return {
    place,
    update({ run, answers }) {
      place.hidden = !run;
      if (!run || (answers === last && last)) return;
      last = answers;
      const classes = run.says === "classes";
      title.textContent = text(run.says === "amounts" ? "watch.amounts" : "watch.confusion");
      matrix.place.hidden = pairs.hidden = !answers || !classes;
      canvas.hidden = !answers || run.says !== "amounts";
      note.textContent = !run.validates ? text("watch.no_validation") : !answers ? text("watch.no_answers") : run.says === "labels" ? text("watch.many_labels") : when(answers, run);
      if (!answers) return;
      if (classes) {
        const size = answers.counts?.shape[0] ?? 0;
        matrix.update(answers.counts ?? null, Array.from({ length: size }, (_, i) => nameOf(run, i)));
        const list = answers.pairs.map(([truth, said, n]) => element("li", {}, text("watch.pair", { truth: nameOf(run, truth), said: nameOf(run, said), n: number(n) })));
        pairs.replaceChildren(...list);
      }
      if (run.says === "amounts") {
        points.update(answers.truth.values, answers.said.values, [text("watch.truth"), text("watch.said")]);
        canvas.setAttribute("aria-label", text("watch.amounts_image", { n: number(answers.truth.values.length) }));
      }
    },
    close() {
      matrix.close();
      points.close();
    },
  };
}

/** What the network gets wrong now, the most confident mistakes first. */
function wrong() {
  const list = element("ul", { class: "mistakes" });
  const note = element("p", { class: "quiet" });
  const { place } = panel("wrong", note, list);
  let last = null;
  return {
    place,
    update({ run, answers }) {
      place.hidden = !answers?.wrong;
      if (place.hidden || answers === last) return;
      last = answers;
      note.textContent = text("watch.wrong_of", { wrong: number(answers.looked_at - answers.right), all: number(answers.looked_at) });
      const items = answers.wrong.map(({ row, said, truth, probability }, i) => {
        const canvas = answers.pictures && element("canvas", { "aria-hidden": "true" });
        if (canvas) drawPicture(canvas, answers.pictures, i);
        const of = { said: nameOf(run, said), truth: nameOf(run, truth), row, sure: percent(probability, 0) };
        return element("li", {}, canvas, element("span", {}, text(canvas ? "watch.mistake" : "watch.mistake_row", of)));
      });
      list.classList.toggle("rows", !answers.pictures);
      list.replaceChildren(...items);
    },
  };
}

/** The figures of the last epochs, as a table. */
function epochs() {
  const table = element("table");
  const { place } = panel("epochs", element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": text("watch.epochs") }, table));
  let count = -1;
  return {
    place,
    update({ frame }) {
      place.hidden = !frame?.passed.length;
      if (place.hidden || frame.passed.at(-1) === count) return;
      count = frame.passed.at(-1);
      const names = Object.keys(frame.figures);
      const head = element("tr", {}, [text("watch.epoch"), ...names].map((name) => element("th", { scope: "col" }, name)));
      const rows = frame.passed.map((epoch, i) => element("tr", {}, element("th", { scope: "row" }, number(epoch)), names.map((name) => element("td", {}, written(name, frame.figures[name][i])))));
      table.replaceChildren(element("thead", {}, head), element("tbody", {}, rows.slice(-10).reverse()));
    },
  };
}

const nameOf = (run, i) => run.classes[i] ?? String(i);
const written = (name, value) => (name.endsWith("accuracy") ? percent(value, 2) : number(value, 4));
const when = (answers, run) =>
  text(answers.looked_at < answers.examples ? "watch.when_some" : "watch.when", {
    epoch: number(answers.step && answers.step < run.steps ? answers.epoch + answers.step / run.steps : answers.epoch + (answers.step ? 1 : 0), 1).replace(/[.,]0$/, ""),
    some: number(answers.looked_at),
    all: number(answers.examples),
  });
