// The lines between units: as wide as their weights, or gradients, are large.

import { sharp, reachOf } from "../canvas.js";
import { palette } from "../theme.js";

const LEVELS = 6;
const WIDEST = 5;

/** Paint lines from columns to columns of places [x in, x out, y], and each bias as a dot.
 *
 * `layers` are those of parts.js; `name` is "weights" or "gradients". Widths are in proportion to
 * the largest of a layer; what is negative is dashed.
 */
export function paintEdges(canvas, columns, layers, name) {
  const { context } = sharp(canvas);
  const colors = palette();
  const lines = { positive: buckets(), negative: buckets() };
  layers.forEach(({ units, biases, ...values }, k) => {
    const reach = reachOf(values[name]) || 1;
    values[name].forEach((value, i) => {
      const level = Math.ceil((LEVELS * Math.abs(value)) / reach);
      if (!level || !columns[k] || !columns[k + 1]) return;
      const [[, x0, y0], [x1, , y1]] = [columns[k][Math.floor(i / units)], columns[k + 1][i % units]];
      lines[value > 0 ? "positive" : "negative"][level - 1].push([x0, y0, x1, y1]);
    });
    const most = reachOf(biases) || 1;
    biases.forEach((value, unit) => {
      const [x, , y] = columns[k + 1][unit];
      context.fillStyle = value > 0 ? colors.positive : colors.negative;
      context.beginPath();
      context.arc(x - 3, y - 10, 1 + (3 * Math.abs(value)) / most, 0, 2 * Math.PI);
      context.fill();
    });
  });
  for (const [sign, found] of Object.entries(lines)) {
    context.strokeStyle = colors[sign];
    context.setLineDash(sign === "negative" ? [6, 3] : []);
    found.forEach((alike, i) => {
      context.lineWidth = (WIDEST * (i + 1)) / LEVELS;
      context.globalAlpha = 0.25 + (0.75 * (i + 1)) / LEVELS;
      alike.forEach((line) => curve(context, ...line));
    });
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
}

const buckets = () => Array.from({ length: LEVELS }, () => []);

/** Each line by itself: a single path of hundreds that cross takes longer. */
function curve(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1);
  context.stroke();
}
