// Draw a digit, and see what the network makes of it.

import { element } from "../dom.js";
import { percent, text } from "../language.js";
import { connect } from "../socket.js";

const SIDE = 280;

export function open(root) {
  const canvas = element("canvas", { width: SIDE, height: SIDE, tabindex: 0, "aria-label": text("draw.pad") });
  const answer = element("p", { "aria-live": "polite" });
  root.append(element("h1", {}, text("draw.title")), canvas, answer);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(context, { fillStyle: "#000", strokeStyle: "#fff", lineWidth: 22, lineCap: "round", lineJoin: "round" });
  context.fillRect(0, 0, SIDE, SIDE);
  const socket = connect("draw", {
    answer: ({ best, probabilities }) => (answer.textContent = `${best}: ${percent(Math.max(...probabilities))}`),
  });
  let last = null;
  const at = (event) => [event.offsetX, event.offsetY];
  canvas.addEventListener("pointerdown", (event) => (last = at(event)));
  canvas.addEventListener("pointerup", () => (last = null));
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...(last = at(event)));
    context.stroke();
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const values = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i]);
    socket.send("drawing", {}, { pixels: { values, shape: [SIDE, SIDE] } });
  });
  return () => socket.close();
}
