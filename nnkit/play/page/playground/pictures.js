// What the large picture shows: the network's answer, or that of the unit pointed at.

import { shades } from "./images.js";
import { picturesOf } from "./parts.js";

/** The picture of a unit, or of the whole network where `where` is null; `sharp`: classes alone. */
export function pictureOf(built, frame, where, sharp) {
  if (where) {
    const { activation, given } = picturesOf(frame, built.settings.hidden, where);
    if (built.curved) return { values: activation, scale: 1 / 127, zeros: given };
    const side = frame.neurons.shape[1];
    return { values: activation, side, shade: shades.unit, lines: { values: given, side, level: 0 } };
  }
  if (built.curved) return { values: frame.curve.values, scale: 1, zeros: [] };
  const [side] = frame.regions.shape;
  const { values } = frame.regions;
  return { values, side, shade: sharp ? shades.sharp : shades.probability, lines: { values, side, level: 127.5 } };
}
