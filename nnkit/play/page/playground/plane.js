// The large picture: what the network, or one of its units, says everywhere, and the points.

import { sharp } from "../canvas.js";
import { element } from "../dom.js";
import { palette } from "../theme.js";
import { contour } from "./contour.js";
import { paintSquare, shades } from "./images.js";
import { drawPoint } from "./points.js";
import { outline } from "./tile.js";

const HIGHEST = 1.5; // of a curve

/** {root, show(built), update(picture), label(words), points(), close()}; `picture` is one of pictures.js. */
export function plane() {
  const below = element("canvas", {});
  const above = element("canvas", {});
  const root = element("div", { class: "plane", role: "img" }, below, above);
  const pixels = document.createElement("canvas");
  let built = null;
  let last = null;
  const sized = new ResizeObserver(() => {
    points();
    if (last) update(last);
  });
  sized.observe(root);

  /** Paint the points, which stay where they are while the network learns. */
  function points() {
    if (!built) return;
    const { context, width } = sharp(above);
    const [low, high] = built.plane;
    const across = (x) => (width * (x - low)) / (high - low);
    const up = (y) => (built.curved ? height(y, width) : width - across(y));
    const sets = [["test_points", "test_targets", false], ["points", "targets", true]];
    for (const [places, targets, filled] of sets) {
      if (!filled && !built.held_out) continue;
      built[targets].values.forEach((t, i) => {
        const at = built[places].values;
        const [x, y, kind] = built.curved ? [at[i], t, 1] : [at[2 * i], at[2 * i + 1], t];
        drawPoint(context, across(x), up(y), kind, built[targets].values.length > 100 || !filled ? 3 : 5, filled);
      });
    }
  }

  function update(picture) {
    last = picture;
    const { context, width } = sharp(below);
    if (built.curved) return curves(context, width, picture);
    const { values, side, shade, lines } = picture;
    paintSquare(pixels, values, side, shade);
    context.globalAlpha = 0.6;
    context.imageSmoothingEnabled = shade !== shades.sharp;
    context.drawImage(pixels, 0, 0, width, width);
    context.globalAlpha = 1;
    context.beginPath();
    contour(context, lines.values, lines.side, lines.level, width);
    outline(context, 1.5);
  }

  function curves(context, width, { values, scale, zeros }) {
    const colors = palette();
    const at = (i, n) => (width * (i + 0.5)) / n;
    const up = (y) => height(y, width);
    context.lineWidth = 1;
    context.strokeStyle = colors.line;
    context.beginPath();
    context.moveTo(0, up(0));
    context.lineTo(width, up(0));
    for (let i = 0; i + 1 < zeros.length; i++) {
      if (zeros[i] > 0 === zeros[i + 1] > 0) continue;
      context.moveTo(at(i + 0.5, zeros.length), 0);
      context.lineTo(at(i + 0.5, zeros.length), width);
    }
    context.stroke();
    context.lineWidth = 3;
    context.strokeStyle = colors.accent;
    context.beginPath();
    values.forEach((value, i) => context.lineTo(at(i, values.length), up(value * scale)));
    context.stroke();
  }

  return {
    root,
    show(made) {
      built = made;
      last = null;
      points();
    },
    update,
    points,
    label: (words) => root.setAttribute("aria-label", words),
    close: () => sized.disconnect(),
  };
}

/** How far below the top a value of a curve is. */
const height = (y, width) => (width / 2) * (1 - y / HIGHEST);
