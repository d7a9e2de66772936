// What there is to see.

import { element } from "../dom.js";
import { text } from "../language.js";
import { address } from "../places.js";
import { chapters, count, next } from "../progress.js";

export function open(root, { there, unknown }) {
  root.append(
    unknown ? element("p", { class: "notice", role: "status" }, text(unknown === "watch" ? "home.no_run" : "home.unknown", { name: unknown })) : "",
    element("h1", {}, text("home.title")),
    element("p", { class: "lead" }, text("home.text")),
    element("ul", { class: "cards" }, there.map(card)),
    element("p", { class: "quiet" }, text("home.private")),
  );
}

function card(name) {
  return element(
    "li",
    { class: "panel card" },
    element("img", { src: `/page/pictures/${name}.svg`, alt: "", width: 240, height: 120 }),
    element("h2", {}, element("a", { href: address(name) }, text(`${name}.title`))),
    element("p", {}, text(`home.${name}`)),
    name === "chapters" && way(),
  );
}

function way() {
  const chapter = next();
  const label = text("chapters.progress", { count: count(), total: chapters.length });
  return element(
    "p",
    { class: "way" },
    element("progress", { max: chapters.length, value: count(), "aria-label": label }),
    element("span", {}, label),
    chapter && count() > 0 && element("a", { href: address(`chapters/${chapter.id}`) }, text("chapters.go_on", { title: text(`chapters.${chapter.id}.title`) })),
  );
}
