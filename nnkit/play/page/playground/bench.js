// The view's parts, and what comes from the server handed to each.

import { element } from "../dom.js";
import { hasText, text } from "../language.js";
import { onTheme } from "../theme.js";
import { controls } from "./controls.js";
import { keys } from "./keys.js";
import { layerBars } from "./layers.js";
import { lossPanel } from "./loss.js";
import { presets } from "./presets.js";
import { sharing } from "./sharing.js";
import { stage } from "./stage.js";
import { transport } from "./transport.js";
import { stateWords } from "./words.js";

const WORDS_APART = 2000; // milliseconds between labels of what moves

/** Put everything into the view; returns what to call with each message.
 *
 * `change(settings)` is called with what is set anew, `reset()` to build the network again.
 */
export function bench(view, { hello, embedded, shown, send, change, reset, link }) {
  const set = (name, value) => {
    experiments?.clear();
    change({ [name]: value });
  };
  const experiments = embedded ? null : presets((found) => change({ ...hello.defaults, ...found }));
  const sharer = embedded ? null : sharing({ link, ask: () => send("code") });
  const board = controls(hello, shown, set);
  const train = transport(hello.speeds, send, reset);
  const most = { layers: hello.most_layers, units: hello.limits.hidden[1] };
  const pictures = stage({ editable: !shown || shown.includes("hidden"), most, changed: (hidden) => set("hidden", hidden) });
  const [losses, bars] = [lossPanel(), layerBars()];
  const said = element("p", { class: "said", role: "status" });
  const alarm = element("p", { class: "error", role: "alert" });
  const work = element("div", { class: "work" }, ...pictures.parts, element("div", { class: "columns" }, losses.root, bars.root), sharer?.root);
  const parts = [
    experiments?.root,
    train.root,
    said,
    alarm,
    element("div", { class: "desk" }, work, board.root),
  ].filter(Boolean);
  view.append(...parts);
  const unbind = keys(embedded ? view : document, train.toggle);
  const ended = onTheme(() => (pictures.points(), last && show(last)));
  let [built, last, state, labelled] = [null, null, null, -Infinity];

  function show(frame) {
    pictures.update(frame);
    losses.update(frame);
    bars.update(frame);
    train.update(frame);
    if (state.playing && performance.now() < labelled + WORDS_APART) return;
    labelled = performance.now();
    pictures.label();
    losses.label(frame);
  }

  return {
    settings: (settings) => board.show(settings),
    say: (words) => (said.textContent = words),
    built(message) {
      built = { ...message, curved: message.settings.problem === "sine" };
      last = null;
      alarm.textContent = "";
      board.refuse(null, "");
      pictures.refuse("");
      pictures.show(built);
      bars.show(built);
      sharer?.show(message.code);
    },
    frame(frame) {
      const none = built.held_out ? {} : { test_loss: null, test_accuracy: null };
      last = { ...frame, ...none, held_out: built.held_out };
      show(last);
      view.dataset.frames = Number(view.dataset.frames) + 1;
      view.dataset.steps = frame.step;
      if (!state.playing) said.textContent = stateWords(state, frame);
    },
    state(message) {
      state = message;
      train.playing(state.playing);
      view.dataset.playing = state.playing;
      said.textContent = stateWords(state, last);
      if (!state.playing) sharer?.refresh();
    },
    code: (code) => sharer?.show(code),
    problem({ code, values }) {
      const named = { ...values, setting: nameOf(values.setting) };
      const sentence = hasText(`problems.${code}`) ? text(`problems.${code}`, named) : code;
      pictures.refuse(values.setting === "hidden" ? sentence : "");
      const told = board.refuse(values.setting, sentence) || values.setting === "hidden";
      alarm.textContent = told ? "" : sentence;
    },
    lost() {
      train.shut();
      said.textContent = "";
    },
    close() {
      unbind();
      ended();
      [board, pictures, losses].forEach((part) => part.close());
      parts.forEach((part) => part.remove());
    },
  };
}

const nameOf = (setting) => (setting && hasText(`playground.setting_${setting}`) ? text(`playground.setting_${setting}`) : setting);
