// Several small pictures in one canvas, and a digit with what speaks for and against it.

import { palette } from "../theme.js";

const GAP = 3;

/** Draw count pictures of height x width, one behind the other in values, side by side in a canvas.
 *
 * Each is `zoom` times as large, `columns` are in a row; all have one scale, to `reach`.
 */
export function drawTiles(canvas, values, [count, height, width], columns, zoom, reach) {
  const [across, down] = [width * zoom + GAP, height * zoom + GAP];
  const rows = Math.ceil(count / columns);
  const size = { width: Math.min(count, columns) * across - GAP, height: rows * down - GAP };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, size.width, size.height);
  const image = context.createImageData(width * zoom, height * zoom);
  const points = new Uint32Array(image.data.buffer);
  const colors = packed();
  const scale = 127.5 / (reach || 1);
  for (let k = 0; k < count; k++) {
    const start = k * height * width;
    for (let row = 0, i = 0; row < height * zoom; row++) {
      const line = start + Math.floor(row / zoom) * width;
      for (let column = 0; column < width * zoom; column++) {
        const value = values[line + Math.floor(column / zoom)];
        points[i++] = colors[Math.max(0, Math.min(255, Math.round(127.5 + scale * value)))];
      }
    }
    context.putImageData(image, (k % columns) * across, Math.floor(k / columns) * down);
  }
}

/** Draw a gradient, from -reach to reach, over the bytes of an image, which stays faint. */
export function drawOver(canvas, bytes, gradient, [height, width], reach) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const { ink, signed } = palette().maps;
  for (let i = 0; i < height * width; i++) {
    const base = ink[Math.round(0.45 * bytes[i])];
    const share = Math.max(-1, Math.min(1, gradient[i] / (reach || 1)));
    const color = signed[share < 0 ? 0 : 255];
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = base[c] + (color[c] - base[c]) * Math.abs(share);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** The colours of numbers as pixels, little-endian. */
function packed() {
  return palette().maps.signed.map(([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);
}
