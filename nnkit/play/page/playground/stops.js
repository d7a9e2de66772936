// Where the sliders of the settings stop; what is written out may be anything between the limits.

const even = (low, high, step) => Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => Number((low + i * step).toFixed(6)));
const rough = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => [1, 2, 5].map((n) => Number(`${n}e${from + i}`))).flat();

const STOPS = {
  points: even(10, 500, 10),
  noise: even(0, 1, 0.05),
  lr: rough(-5, 1),
  decay: [0, ...rough(-6, 0)],
  batch: [0, 1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 500],
  dropout: even(0, 0.9, 0.05),
  seed: even(0, 20, 1),
};

/** The stops of a setting between its limits. */
export function stops(name, [low, high]) {
  const found = (STOPS[name] ?? even(low, high, (high - low) / 20)).filter((stop) => stop >= low && stop <= high);
  return found.length ? found : [low, high];
}
