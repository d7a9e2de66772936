// Light or dark, and the colours of numbers.

const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
let colors = {};

export const THEMES = ["auto", "light", "dark"];
export const theme = () => localStorage.getItem("nnkit.theme") ?? "auto";

/** Choose one of THEMES, and have everything drawn again. */
export function choose(name) {
  localStorage.setItem("nnkit.theme", name);
  apply();
}

/** Set the page's colours. */
export function apply() {
  const name = theme() === "auto" ? (dark.matches ? "dark" : "light") : theme();
  document.documentElement.dataset.theme = name;
  const style = getComputedStyle(document.documentElement);
  const read = (variable) => style.getPropertyValue(`--${variable}`).trim();
  colors = {
    ...Object.fromEntries(["paper", "panel", "line", "text", "quiet", "accent", "positive", "negative", "zero", "ink", "ground", "wrong", "right"].map((name) => [name, read(name)])),
    maps: { signed: signed(read("negative"), read("zero"), read("positive")), ink: ramp(read("ground"), read("ink")) },
  };
  listeners.forEach((listener) => listener());
}

/** Colours by name, and two maps of 256 of them: "signed" from -1 to 1, "ink" from 0 to 1. */
export const palette = () => colors;

/** Call when colours change; returns what ends that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

dark.addEventListener("change", apply);

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function ramp(from, to) {
  const [a, b] = [channels(from), channels(to)];
  return Array.from({ length: 256 }, (_, i) => a.map((x, k) => Math.round(x + ((b[k] - x) * i) / 255)));
}

function signed(low, middle, high) {
  const [down, up] = [ramp(middle, low), ramp(middle, high)];
  return Array.from({ length: 256 }, (_, i) => (i < 128 ? down[255 - 2 * i] : up[Math.min(255, 2 * (i - 128) + 1)]));
}
