// Where values over a grid pass a level: the line of marching squares.

/** Add to a path of the context the line in a picture of so many pixels a side. */
export function contour(context, values, side, level, size) {
  const apart = size / side;
  const place = (i) => (i + 0.5) * apart;
  const between = (a, b) => (level - a) / (b - a);
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const at = row * side + column;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + side + 1], values[at + side]];
      const kind = (a > level) + 2 * (b > level) + 4 * (c > level) + 8 * (d > level);
      if (kind === 0 || kind === 15) continue;
      const [x, y] = [place(column), place(row)];
      const crossings = [];
      if (a > level !== b > level) crossings.push([x + apart * between(a, b), y]);
      if (b > level !== c > level) crossings.push([x + apart, y + apart * between(b, c)]);
      if (d > level !== c > level) crossings.push([x + apart * between(d, c), y + apart]);
      if (a > level !== d > level) crossings.push([x, y + apart * between(a, d)]);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        context.moveTo(...crossings[i]);
        context.lineTo(...crossings[i + 1]);
      }
    }
  }
}
