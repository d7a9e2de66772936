// Amounts that a network says, against the true ones.

import { sharp } from "../canvas.js";
import { number } from "../language.js";
import { onTheme, palette } from "../theme.js";

const EDGE = 44;

/** Make a scatter plot in a canvas; update(truth, said, [across, up]) draws points and names axes. */
export function scatter(canvas) {
  let last = [[], [], ["", ""]];
  const draw = () => paint(canvas, ...last);
  const sized = new ResizeObserver(draw);
  sized.observe(canvas);
  const ended = onTheme(draw);
  return {
    update(...what) {
      last = what;
      draw();
    },
    close() {
      sized.disconnect();
      ended();
    },
  };
}

function paint(canvas, truth, said, [below, beside]) {
  const { context, width, height } = sharp(canvas);
  const colors = palette();
  const all = [...truth, ...said].filter(Number.isFinite);
  if (!all.length) return;
  const low = Math.min(...all);
  const high = Math.max(...all);
  const share = (value) => (value - low) / (high - low || 1);
  const across = (value) => EDGE + share(value) * (width - EDGE - 12);
  const up = (value) => height - EDGE - share(value) * (height - EDGE - 12);
  context.strokeStyle = colors.quiet;
  context.setLineDash([4, 4]);
  context.beginPath();
  context.moveTo(across(low), up(low));
  context.lineTo(across(high), up(high));
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = colors.accent;
  for (let i = 0; i < truth.length; i++) {
    context.beginPath();
    context.arc(across(truth[i]), up(said[i]), 2.5, 0, 7);
    context.fill();
  }
  context.fillStyle = colors.quiet;
  context.font = "12px system-ui, sans-serif";
  const digits = high - low < 10 ? 2 : 0;
  for (const [value, align] of [[low, "left"], [high, "right"]]) {
    context.textAlign = align;
    context.fillText(number(value, digits), across(value), height - EDGE + 16);
    context.textAlign = "right";
    context.fillText(number(value, digits), EDGE - 4, up(value) + 4);
  }
  context.textAlign = "center";
  context.fillText(below, (width + EDGE) / 2, height - 8);
  context.save();
  context.translate(10, (height - EDGE) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(beside, 0, 0);
  context.restore();
}
