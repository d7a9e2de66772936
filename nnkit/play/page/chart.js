// Curves over steps or epochs.

import { sharp } from "./canvas.js";
import { number } from "./language.js";
import { onTheme, palette } from "./theme.js";

const LEFT = 46;
const BELOW = 24;
const ABOVE = 10;
const RIGHT = 12;

/** Make a chart in a canvas whose size the style gives.
 *
 * update(series, {log, low, high}) draws [{name, color, x, y, dashed}], x ascending; color is a name
 * of the palette; `log` draws y logarithmically. What the curves are called stands beside them; the
 * canvas's label, for screen readers, is the caller's. close() ends it.
 */
export function chart(canvas) {
  let last = [[], {}];
  const draw = () => paint(canvas, ...last);
  const sized = new ResizeObserver(draw);
  sized.observe(canvas);
  const ended = onTheme(draw);
  return {
    update(series, how = {}) {
      last = [series, how];
      draw();
    },
    close() {
      sized.disconnect();
      ended();
    },
  };
}

function paint(canvas, series, { log = false, low, high, unit = "" }) {
  const { context, width, height } = sharp(canvas);
  const colors = palette();
  const seen = series.filter(({ x }) => x.length);
  const fit = (y) => (log ? Math.log10(Math.max(y, 1e-12)) : y);
  const ys = seen.flatMap(({ y }) => Array.from(y).filter(Number.isFinite).map(fit));
  const right = Math.max(1, ...seen.map(({ x }) => x[x.length - 1]));
  let bottom = low !== undefined ? fit(low) : Math.min(...ys, log ? 0 : Infinity);
  let top = high !== undefined ? fit(high) : Math.max(...ys, log ? bottom : -Infinity);
  if (!Number.isFinite(bottom) || !Number.isFinite(top)) [bottom, top] = [0, 1];
  if (!log && low === undefined && bottom > 0) bottom = 0;
  if (top - bottom < 1e-9) top = bottom + 1;
  const across = (x) => LEFT + (x / right) * (width - LEFT - RIGHT);
  const up = (y) => height - BELOW - ((fit(y) - bottom) / (top - bottom)) * (height - BELOW - ABOVE);
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of log ? powers(bottom, top) : ticks(bottom, top, 4)) {
    const y = up(tick);
    context.strokeStyle = colors.line;
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(width - RIGHT, y);
    context.stroke();
    context.fillStyle = colors.quiet;
    context.fillText(written(tick), LEFT - 6, y);
  }
  context.textAlign = "center";
  for (const tick of ticks(0, right, Math.max(2, Math.floor(width / 120)))) {
    context.fillStyle = colors.quiet;
    context.fillText(written(tick) + (tick ? unit : ""), Math.min(across(tick), width - 24), height - BELOW / 2);
  }
  for (const { x, y, color, dashed } of seen) {
    context.strokeStyle = colors[color];
    context.lineWidth = 2;
    context.setLineDash(dashed ? [5, 4] : []);
    context.beginPath();
    let down = false;
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(y[i])) {
        down = false;
        continue;
      }
      if (down) context.lineTo(across(x[i]), up(y[i]));
      else context.moveTo(across(x[i]), up(y[i]));
      down = true;
    }
    context.stroke();
    if (x.length === 1 && down) {
      context.fillStyle = colors[color];
      context.fillRect(across(x[0]) - 3, up(y[0]) - 3, 6, 6);
    }
  }
  context.setLineDash([]);
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) found.push(Math.abs(tick) < step * 1e-6 ? 0 : tick);
  return found;
}

function powers(low, high) {
  const found = [];
  for (let power = Math.ceil(low); power <= high + 1e-6; power += Math.max(1, Math.ceil((high - low) / 5))) found.push(10 ** power);
  return found;
}

function written(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6, value % 1e6 ? 1 : 0)}M`;
  if (size >= 1e4) return `${number(value / 1e3, value % 1e3 ? 1 : 0)}k`;
  if (size < 1e-3) return value.toExponential(0);
  return number(value, size >= 10 ? 0 : size >= 1 ? (value % 1 ? 1 : 0) : Math.min(3, Math.ceil(-Math.log10(size)) + 1)).replace(/([.,]\d*?)0+$/, "$1").replace(/[.,]$/, "");
}
