// Drawing arrays of numbers.

import { palette } from "./theme.js";

/** Draw values (rows, columns) as an image of so many pixels into a canvas, one colour each.
 *
 * `map` is "signed", for values from -reach to reach, or "ink", for 0 to reach. The canvas is given
 * rows x columns pixels; its size on the page is the style's matter, `image-rendering: pixelated`.
 */
export function drawArray(canvas, values, rows, columns, map = "signed", reach = 1) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const colors = palette().maps[map];
  const scale = map === "signed" ? 127.5 / (reach || 1) : 255 / (reach || 1);
  const middle = map === "signed" ? 127.5 : 0;
  for (let i = 0; i < rows * columns; i++) {
    const color = colors[Math.max(0, Math.min(255, Math.round(middle + scale * values[i])))];
    image.data[4 * i] = color[0];
    image.data[4 * i + 1] = color[1];
    image.data[4 * i + 2] = color[2];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** The largest absolute value. */
export function reachOf(values) {
  let reach = 0;
  for (const value of values) reach = Math.max(reach, Math.abs(value));
  return reach;
}

/** A canvas's context in units of CSS pixels, sharp on every screen, and its size in them. */
export function sharp(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
