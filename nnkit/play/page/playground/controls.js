// Everything that can be set but the hidden layers, which are set where the network is drawn.

import { element } from "../dom.js";
import { hasText, text } from "../language.js";
import { amount, choice, flag } from "./fields.js";
import { problems } from "./problems.js";
import { stops } from "./stops.js";

const GROUPS = {
  data: ["problem", "points", "noise"],
  network: ["activation", "initial", "batch_norm", "dropout"],
  learning: ["loss", "optimizer", "lr", "batch", "decay", "seed", "backend"],
};

/** Problems of four points, each as it is: nothing of them is drawn. */
const GATES = ["and", "nand", "or", "xor"];
const DRAWN = ["points", "noise"];

/** A choice in words, where there are any: most are the names that Python has for them. */
export const choiceName = (value) => (hasText(`playground.choice_${value}`) ? text(`playground.choice_${value}`) : value);

/** Controls for what the server offers: {root, show(settings), refuse(name, sentence), close()}.
 *
 * `changed(name, value)` is called for each change; `shown` has the names to offer, null: all.
 */
export function controls({ choices, limits, defaults }, shown, changed) {
  const fields = {};
  const make = (name) => {
    const set = (value) => changed(name, value);
    if (name === "problem") return problems(choices.problem, set);
    if (name in choices) return choice(name, choices[name], choiceName, set);
    if (typeof defaults[name] === "boolean") return flag(name, set);
    return amount(name, stops(name, limits[name]), limits[name], set);
  };
  const group = ([title, names]) => {
    const offered = names.filter((name) => name in defaults && (!shown || shown.includes(name)));
    offered.forEach((name) => (fields[name] = make(name)));
    if (!offered.length) return null;
    return element("fieldset", {}, element("legend", {}, text(`playground.group_${title}`)), offered.map((name) => fields[name].root));
  };
  const groups = Object.entries(GROUPS).map(group).filter(Boolean);
  return {
    root: groups.length ? element("section", { class: "panel controls", "aria-label": text("playground.settings") }, groups) : null,
    show(settings) {
      Object.entries(fields).forEach(([name, field]) => field.show(settings[name]));
      DRAWN.forEach((name) => fields[name]?.root.toggleAttribute("hidden", GATES.includes(settings.problem)));
    },
    close: () => Object.values(fields).forEach((field) => field.close?.()),
    /** Say beside a control what is refused; false where the setting has none here. */
    refuse(name, sentence) {
      Object.values(fields).forEach((field) => field.refuse(""));
      fields[name]?.refuse(sentence);
      return name in fields;
    },
  };
}
