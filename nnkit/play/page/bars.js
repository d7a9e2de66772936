// Probabilities as bars.

import { element } from "./dom.js";
import { percent } from "./language.js";

/** A list of bars, one for each name; update(probabilities) moves them. */
export function bars(names, label) {
  const rows = names.map((name) => {
    const bar = element("div", { class: "bar" });
    const value = element("span", { class: "number" });
    return { item: element("li", {}, element("span", {}, name), bar, value), bar, value };
  });
  const list = element("ul", { class: "bars", "aria-label": label }, rows.map(({ item }) => item));
  return {
    list,
    update(probabilities) {
      const best = probabilities.indexOf(Math.max(...probabilities));
      rows.forEach(({ item, bar, value }, i) => {
        bar.style.transform = `scaleX(${probabilities[i] ?? 0})`;
        value.textContent = percent(probabilities[i]);
        item.classList.toggle("best", i === best && probabilities.length > 0);
      });
    },
  };
}
