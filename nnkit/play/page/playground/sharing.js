// The link that reproduces the settings, and the lines of Python that do the same.

import { element } from "../dom.js";
import { text } from "../language.js";

/** {root, show(code)}; `link()` gives the address, `ask()` has the server write the lines anew. */
export function sharing({ link, ask }) {
  const said = element("span", { class: "quiet", role: "status" });
  const copy = (key, written) => async () => {
    try {
      await navigator.clipboard.writeText(written());
      said.textContent = text(`playground.${key}_copied`);
    } catch {
      said.textContent = text("playground.not_copied", { written: written() });
    }
  };
  const code = element("code");
  const lines = element("pre", { tabindex: 0, role: "region", "aria-label": text("playground.python") }, code);
  const python = element("details", { class: "python", ontoggle: () => python.open && ask() }, element("summary", {}, text("playground.python")), element("p", { class: "quiet" }, text("playground.python_text")), lines, element("button", { type: "button", "data-action": "copy-code", onclick: copy("code", () => code.textContent) }, text("playground.copy_code")));
  const root = element("section", { class: "panel sharing", "aria-label": text("playground.share") }, element("div", { class: "row" }, element("button", { type: "button", "data-action": "copy-link", onclick: copy("link", link) }, text("playground.copy_link")), said), python);
  return {
    root,
    show: (written) => (code.textContent = written),
    /** Have the lines written anew, where they are to be seen. */
    refresh: () => python.open && ask(),
  };
}
