// Arrays of bytes as images, fast: a table of 256 colours, looked up for each pixel.

import { palette } from "../theme.js";

let tables = { of: null };

/** 256 colours from -1 to 1 as the pixels of an image, in the page's colours. */
function table() {
  if (tables.of !== palette()) {
    tables = { of: palette(), colors: Uint32Array.from(palette().maps.signed.map(pixelOf)) };
  }
  return tables.colors;
}

const pixelOf = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Paint a square of values into a canvas of as many pixels; `shade` makes each a number to 255.
 *
 * Where `signs`, as many values, change their sign, there is a line.
 */
export function paintSquare(canvas, values, side, shade, signs = null) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const image = context.createImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  const colors = table();
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[shade(values[i])];
  if (signs) drawZeros(pixels, signs, side);
  context.putImageData(image, 0, 0);
}

/** Pixel by pixel: many such pictures are drawn in a frame, and the paths of a canvas take longer. */
function drawZeros(pixels, signs, side) {
  const line = pixelOf(channels(palette().text));
  for (let i = 0; i < pixels.length - side; i++) {
    const above = signs[i] > 0;
    if (above !== signs[i + side] > 0 || ((i + 1) % side && above !== signs[i + 1] > 0)) pixels[i] = line;
  }
}

/** Shades for the bytes of a frame: of units, of probabilities, and of these rounded to a class. */
export const shades = {
  unit: (value) => value + 128,
  probability: (value) => value,
  sharp: (value) => (value > 127 ? 255 : 0),
};
