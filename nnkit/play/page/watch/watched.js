// A run in words and figures.

import { number, percent, text } from "../language.js";

/** What stands at the top of a page that knows of a run, a frame of it, or that it is gone. */
export function summary({ run, frame, gone }) {
  if (!run || !frame) return { words: text(gone ? "watch.gone" : "watch.waiting"), about: "", share: 0, figures: [], going: false };
  const passed = frame.epoch * run.steps + frame.step;
  const going = frame.state === "training" && !gone;
  return {
    words: gone ? text("watch.gone") : text(`watch.${frame.state}`),
    about: text("watch.about", {
      examples: number(run.examples),
      batch: number(run.batch_size),
      optimizer: run.optimizer.replace(/\(.*/, ""),
      loss: run.loss.replace(/\(.*/, ""),
      parameters: number(run.count),
      backend: run.backend,
    }),
    share: Math.min(1, passed / (run.epochs * run.steps)),
    figures: figures(run, frame, passed, going),
    going,
  };
}

function figures(run, frame, passed, going) {
  const last = Object.fromEntries(Object.entries(frame.figures).map(([name, values]) => [name, values.at(-1)]));
  const now = { loss: last.loss, accuracy: last.accuracy, ...frame.running };
  const epoch = Math.min(run.epochs, frame.epoch + (frame.state === "finished" ? 0 : 1));
  const found = [
    [text("watch.epoch"), `${number(epoch)} / ${number(run.epochs)}`],
    [text("watch.step"), `${number(passed)} / ${number(run.epochs * run.steps)}`],
    [text("watch.loss"), number(now.loss, 4)],
  ];
  if (run.counts_right) found.push([text("watch.accuracy"), percent(now.accuracy)]);
  if (run.validates) found.push([text("watch.val_loss"), number(last.val_loss, 4)]);
  if (run.validates && run.counts_right) found.push([text("watch.val_accuracy"), percent(last.val_accuracy, 2)]);
  found.push([text("watch.rate"), frame.lr && frame.lr < 1e-4 ? frame.lr.toExponential(1) : number(frame.lr, 5)]);
  if (frame.rate !== null) found.push([text("watch.per_second"), number(frame.rate)]);
  if (going && frame.left !== null) found.push([text("watch.left"), clock(frame.left)]);
  return found;
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:` : ""}${hours ? two(Math.floor(whole / 60) % 60) : Math.floor(whole / 60)}:${two(whole % 60)}`;
}
