// Small pictures side by side: weights, and examples.

import { drawArray } from "../canvas.js";
import { element } from "../dom.js";

/** As many canvases as wanted in a place; draw(i, canvas) draws each anew. */
export function tiles(place, count, draw) {
  while (place.children.length > count) place.lastChild.remove();
  while (place.children.length < count) place.append(element("canvas"));
  [...place.children].forEach((canvas, i) => draw(i, canvas));
}

/** Draw one of many pictures of numbers, shape (n, height, width, channels): one channel in the
 * colours of signed numbers, three as red, green and blue with gray for 0. */
export function drawWeights(canvas, { values, shape: [, height, width, channels] }, i) {
  const size = height * width * channels;
  const own = values.subarray(i * size, (i + 1) * size);
  if (channels === 1) drawArray(canvas, own, height, width, "signed", 127);
  else drawColors(canvas, Uint8ClampedArray.from(own, (value) => 127.5 + value), height, width, 3);
}

/** Draw one of many images of bytes, shape (n, height, width, channels), as they are. */
export function drawPicture(canvas, { values, shape: [, height, width, channels] }, i) {
  const size = height * width * channels;
  drawColors(canvas, values.subarray(i * size, (i + 1) * size), height, width, channels);
}

function drawColors(canvas, values, height, width, channels) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = values[i * channels + (channels === 3 ? k : 0)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
