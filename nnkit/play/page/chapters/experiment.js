// A chapter's experiment: the playground or the drawing pad, set to it.

import { element } from "../dom.js";
import { text } from "../language.js";
import { address } from "../places.js";

/** Make a block with a chapter's experiment, and the choice among its settings, where it has several. */
export function experiment({ id, view, tries }, there) {
  if (!there.includes(view)) {
    return { block: element("p", { class: "panel" }, text("chapters.not_here", { view: text(`${view}.title`) })), close: () => {} };
  }
  const stage = element("div", { class: "stage" });
  const whole = element("a", {}, text("chapters.whole", { view: text(`${view}.title`) }));
  let close = () => {};
  let turn = 0;

  async function set(name) {
    const mine = ++turn;
    close();
    close = () => {};
    stage.replaceChildren();
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.name === name));
    whole.href = address(view, tries[name]);
    const module = await import(`../views/${view}.js`);
    if (mine === turn) close = module.open(stage, { path: "", values: new URLSearchParams(tries[name]), embedded: true }) ?? (() => {});
  }

  const names = Object.keys(tries);
  const buttons = names.length === 1 ? [] : names.map((name) => element("button", { name, type: "button", onclick: () => set(name) }, text(`chapters.${id}.try_${name}`)));
  set(names[0]);
  const block = element(
    "section",
    { class: "experiment", "aria-label": text("chapters.experiment") },
    element("div", { class: "row" }, buttons.length > 0 && element("div", { class: "row", role: "group", "aria-label": text("chapters.settings") }, buttons), whole),
    stage,
  );
  return {
    block,
    close: () => {
      turn++;
      close();
    },
  };
}
