// Play, step, start again; and where training is.

import { element } from "../dom.js";
import { number, percent, text } from "../language.js";

/** {root, playing(yes), update(frame), shut()}; `send(type, fields)` says what is wished, `reset()` starts again. */
export function transport(speeds, send, reset) {
  const button = (name, press) => element("button", { type: "button", "data-action": name, onclick: press }, text(`playground.${name}`));
  const step = button("step", () => send("step"));
  const epoch = button("epoch", () => send("epoch"));
  let going = false;
  const toggle = () => send(going ? "pause" : "play");
  const play = element("button", { type: "button", class: "main", "data-action": "play", onclick: toggle }, text("playground.play"));
  const speed = element("select", { "aria-label": text("playground.speed"), onchange: () => send("speed", { speed: speed.value }) }, speeds.map((name) => element("option", { value: name }, text(`playground.speed_${name}`))));
  const buttons = element("div", { class: "row" }, play, step, epoch, button("reset", reset), speed);
  const values = {};
  const reading = (name) => element("div", { "data-reading": name }, element("dt", {}, text(`playground.reading_${name}`)), (values[name] = element("dd", {}, "–")));
  const names = ["epoch", "step", "rate", "loss", "test_loss", "accuracy", "test_accuracy"];
  const readings = element("dl", { class: "readings" }, names.map(reading));
  const written = {
    epoch: (frame) => number(frame.epoch),
    step: (frame) => number(frame.step),
    rate: (frame) => (going ? number(frame.steps_per_second) : "–"),
    loss: (frame) => figure(frame.loss),
    test_loss: (frame) => figure(frame.test_loss),
    accuracy: (frame) => percent(frame.accuracy),
    test_accuracy: (frame) => percent(frame.test_accuracy),
  };
  return {
    root: element("section", { class: "panel transport", "aria-label": text("playground.training") }, buttons, readings),
    toggle,
    playing(yes) {
      going = yes;
      play.textContent = text(yes ? "playground.pause" : "playground.play");
    },
    update(frame) {
      names.forEach((name) => (values[name].textContent = written[name](frame)));
    },
    shut: () => buttons.querySelectorAll("button, select").forEach((control) => (control.disabled = true)),
  };
}

const figure = (value) => (value !== null && value > 0 && value < 0.001 ? value.toExponential(1) : number(value, 4));
