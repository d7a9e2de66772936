// The learners' path: a list of chapters, or one of them.

import { element } from "../dom.js";
import { number, text } from "../language.js";
import { address } from "../places.js";
import { chapters, count, done } from "../progress.js";
import { openChapter } from "../chapters/chapter.js";

export function open(root, place) {
  const position = chapters.findIndex(({ id }) => id === place.path);
  if (position >= 0) return openChapter(root, position, place.there);
  const parts = [...new Set(chapters.map(({ part }) => part))];
  const label = text("chapters.progress", { count: number(count()), total: number(chapters.length) });
  root.append(
    place.path ? element("p", { class: "notice", role: "status" }, text("chapters.unknown", { name: place.path })) : "",
    element("h1", {}, text("chapters.title")),
    element("p", { class: "lead" }, text("chapters.text")),
    element("p", { class: "way" }, element("progress", { max: chapters.length, value: count(), "aria-label": label }), element("span", {}, label)),
    element("div", { class: "parts" }, parts.map(part)),
  );
}

function part(name) {
  const marked = done();
  const item = ({ id }, position) =>
    element(
      "li",
      { value: position + 1 },
      element("a", { href: address(`chapters/${id}`) }, text(`chapters.${id}.title`)),
      marked.has(id) && element("span", { class: "tick", role: "img", "aria-label": text("chapters.done") }, " ✓"),
    );
  const items = chapters.map((chapter, position) => (chapter.part === name ? item(chapter, position) : null));
  return element("section", { class: "panel" }, element("h2", {}, text(`chapters.part_${name}`)), element("ol", {}, items));
}
