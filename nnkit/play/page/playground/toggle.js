// A button that is in or out.

import { element } from "../dom.js";
import { text } from "../language.js";

/** `changed(yes)` is called when it is pressed. */
export function toggle(name, changed) {
  const press = () => {
    const yes = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(yes));
    changed(yes);
  };
  const button = element("button", { type: "button", "data-action": name, "aria-pressed": "false", onclick: press }, text(`playground.${name}`));
  return button;
}
