// Arrays of bytes as images, fast: a table of 256 colours, looked up for each pixel.

import { palette } from "../theme.js";

let tables = { of: null };

/** 256 colours from -1 to 1 as the pixels of an image, in the page's colours. */
function table() {
  if (tables.of !== palette()) {
    const pixels = palette().maps.signed.map(([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
    tables = { of: palette(), colors: Uint32Array.from(pixels) };
  }
  return tables.colors;
}

/** Paint a square of values into a canvas of as many pixels; `shade` makes each a number to 255. */
export function paintSquare(canvas, values, side, shade) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const image = context.createImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  const colors = table();
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[shade(values[i])];
  context.putImageData(image, 0, 0);
}

/** Shades for the bytes of a frame: of units, of probabilities, and of these rounded to a class. */
export const shades = {
  unit: (value) => value + 128,
  probability: (value) => value,
  sharp: (value) => (value > 127 ? 255 : 0),
};
