// One chapter: what it is about, something to try, and what is to be seen then.

import { element } from "../dom.js";
import { number, text } from "../language.js";
import { address } from "../places.js";
import { chapters, done, mark } from "../progress.js";
import { experiment } from "./experiment.js";

/** Open the chapter at a position; returns what closes it. */
export function openChapter(root, position, there) {
  const chapter = chapters[position];
  const of = (name) => text(`chapters.${chapter.id}.${name}`);
  const lines = (name, label) => chapter[name] && element("pre", { tabindex: 0, role: "group", "aria-label": text(label) }, chapter[name].join("\n"));
  const where = text("chapters.where", { number: number(position + 1), total: number(chapters.length) });
  const { block, close } = experiment(chapter, there);
  root.append(
    element("p", { class: "quiet" }, element("a", { href: address("chapters") }, text("chapters.all")), ` · ${where}`),
    element("h1", {}, of("title")),
    element(
      "div",
      { class: "columns chapter" },
      element("section", {}, of("text").split("\n").map((part) => element("p", {}, part)), lines("formula", "chapters.formula"), lines("code", "chapters.code")),
      element("section", { class: "panel" }, element("h2", {}, text("chapters.question")), element("p", {}, of("question")), answer(chapter.id, of("answer"))),
    ),
    block,
    element("p", { class: "quiet" }, text("chapters.files", { example: chapter.example, file: chapter.file })),
    element("nav", { class: "row turn", "aria-label": text("chapters.turn") }, turn(position - 1, "chapters.previous"), turn(position + 1, "chapters.next")),
  );
  return close;
}

/** What is to be seen, behind a click; who has looked is done with the chapter. */
function answer(id, words) {
  const tick = element("input", { type: "checkbox", checked: done().has(id), onchange: () => mark(id, tick.checked) });
  const seen = ({ target }) => {
    if (!target.open) return;
    tick.checked = true;
    mark(id, true);
  };
  return [
    element("details", { ontoggle: seen }, element("summary", {}, text("chapters.answer")), words.split("\n").map((part) => element("p", {}, part))),
    element("label", { class: "tick" }, tick, text("chapters.done")),
  ];
}

function turn(position, key) {
  const chapter = chapters[position];
  return chapter && element("a", { href: address(`chapters/${chapter.id}`) }, text(key, { title: text(`chapters.${chapter.id}.title`) }));
}
