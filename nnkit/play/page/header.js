// What stands above every view: the way to the others, language and colours.

import { element } from "./dom.js";
import { LANGUAGES, language, text } from "./language.js";
import { THEMES, choose, theme } from "./theme.js";

/** Draw it; `current` is the open view, `there` are those that can be opened. `speak(language)` changes the language. */
export function drawHeader(current, there, speak) {
  const link = (name) => element("a", { href: `#/${name}`, "aria-current": name === current && "page" }, text(`${name}.title`));
  document.getElementById("header").replaceChildren(
    element(
      "a",
      { class: "brand", href: "#/", "aria-current": current === "home" && "page" },
      element("img", { src: "/page/icon.svg", alt: "", width: 24, height: 24 }),
      "nnkit",
    ),
    element("nav", { "aria-label": text("shell.views") }, there.map(link)),
    choice("language", Object.entries(LANGUAGES), language, speak),
    choice("theme", THEMES.map((name) => [name, text(`shell.theme_${name}`)]), theme(), choose),
  );
}

function choice(name, options, chosen, take) {
  return element(
    "select",
    { id: name, "aria-label": text(`shell.${name}`), onchange: (event) => take(event.target.value) },
    options.map(([value, label]) => element("option", { value, selected: value === chosen, lang: value in LANGUAGES && value }, label)),
  );
}
