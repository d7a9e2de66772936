// Points of two classes: told apart by colour and by shape.

import { palette } from "../theme.js";

/** Draw one at (x, y): a circle for class 1, a square for class 0; filled, or hollow (`x` held out). */
export function drawPoint(context, x, y, kind, size, filled) {
  const colors = palette();
  const color = kind > 0.5 ? colors.positive : colors.negative;
  context.beginPath();
  if (kind > 0.5) context.arc(x, y, size, 0, 2 * Math.PI);
  else context.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size);
  context.fillStyle = filled ? color : colors.paper;
  context.fill();
  context.lineWidth = filled ? 1 : 2;
  context.strokeStyle = filled ? colors.paper : color;
  context.stroke();
}
