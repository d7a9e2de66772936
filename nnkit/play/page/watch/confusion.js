// The confusion matrix: who is taken for whom.

import { drawArray, reachOf } from "../canvas.js";
import { element } from "../dom.js";
import { number, text } from "../language.js";
import { onTheme } from "../theme.js";

const NUMBERED = 30; // with more classes there is no room for numbers in the cells

/** A place for a matrix; update({values, shape}, names) draws counts, truth by answer; null: none. */
export function confusion() {
  const place = element("div", { class: "matrix", role: "region", tabindex: 0, "aria-label": text("watch.confusion") });
  let last = [null, []];
  const draw = () => {
    const [counts, names] = last;
    if (!counts) place.replaceChildren(element("p", { class: "quiet" }, text("watch.no_matrix")));
    else if (counts.shape[0] > NUMBERED) drawImage(place, counts, names);
    else drawTable(place, counts, names);
  };
  const ended = onTheme(draw);
  return {
    place,
    update(counts, names) {
      last = [counts, names];
      draw();
    },
    close: ended,
  };
}

function drawTable(place, { values, shape: [n] }, names) {
  const most = mostWrong(values, n);
  const head = element(
    "tr",
    {},
    element("td", { class: "corner" }, text("watch.truth_by_answer")),
    names.map((name) => element("th", { scope: "col", title: name }, element("span", {}, name))),
  );
  const row = (name, i) =>
    element("tr", {}, element("th", { scope: "row", title: name }, element("span", {}, name)), names.map((_, j) => cell(values[n * i + j], i === j, most)));
  place.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, names.map(row))));
}

function cell(count, right, most) {
  const made = element("td", { class: right ? "right" : count ? "wrong" : "none" }, number(count));
  if (!right) made.style.setProperty("--share", count / most);
  return made;
}

function drawImage(place, { values, shape: [n] }, names) {
  const canvas = element("canvas", { role: "img", "aria-label": text("watch.confusion_image", { n }) });
  const most = mostWrong(values, n);
  const shares = Float32Array.from(values, (count, i) => (i % (n + 1) ? Math.sqrt(count / most) : count ? -0.4 : 0));
  drawArray(canvas, shares, n, n, "signed", Math.max(1, reachOf(shares)));
  place.replaceChildren(canvas, element("p", { class: "quiet" }, text("watch.confusion_image", { n }), " ", `${names[0]} … ${names[n - 1]}`));
}

function mostWrong(values, n) {
  return Math.max(1, ...values.filter((_, i) => i % (n + 1)));
}
