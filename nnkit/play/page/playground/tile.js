// The small picture of what one unit makes of the plane.

import { palette } from "../theme.js";
import { paintSquare, shades } from "./images.js";

/** Paint a unit's activation, int8, and the line where what it is given is 0; `side` pixels. */
export const paintTile = (canvas, activation, given, side) => paintSquare(canvas, activation, side, shades.unit, given);

/** The same for an input or output of one number: a curve. */
export function paintCurve(canvas, activation, given, size) {
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const colors = palette();
  context.fillStyle = colors.paper;
  context.fillRect(0, 0, size, size);
  context.beginPath();
  const at = (i) => (size * (i + 0.5)) / activation.length;
  for (let i = 0; i + 1 < given.length; i++) {
    if (given[i] > 0 !== given[i + 1] > 0) context.rect(at(i), 0, 0, size);
  }
  context.lineWidth = 1;
  context.strokeStyle = colors.quiet;
  context.stroke();
  context.beginPath();
  activation.forEach((value, i) => context.lineTo(at(i), (size / 2) * (1 - (0.9 * value) / 127)));
  context.lineWidth = 2;
  context.strokeStyle = colors.accent;
  context.stroke();
}

/** Stroke the context's path, to be seen on every colour. */
export function outline(context, width) {
  const colors = palette();
  context.lineWidth = 3 * width;
  context.strokeStyle = colors.paper;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colors.text;
  context.stroke();
}
