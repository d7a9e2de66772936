// "This is a 7": the panel by which a network is taught drawings.

import { drawArray } from "../canvas.js";
import { element } from "../dom.js";
import { number, percent, text } from "../language.js";

const MOST_BUTTONS = 12;

/** Make the panel; ask(type, fields, withDrawing) sends what is wanted of the first network. */
export function teaching(ask) {
  const choice = element("div", { class: "row", role: "group", "aria-label": text("draw.teach_group") });
  const outcome = element("p", { role: "status", "data-taught": "" });
  const undo = element("button", { type: "button", disabled: true, onclick: () => ask("undo", {}) }, text("draw.unlearn"));
  const list = element("ul", { class: "drawings", "aria-label": text("draw.taught_list") });
  let classes = [];
  let buttons = [];
  let lessons = 0;
  let busy = false;

  const teach = (label) => {
    busy = true;
    allow(true);
    outcome.textContent = text("draw.learning");
    ask("teach", { label }, true);
  };
  let drawn = false;
  const allow = (now) => {
    drawn = now;
    for (const button of buttons) button.disabled = busy || !drawn;
    undo.disabled = busy || !lessons;
  };
  const settle = (words) => {
    busy = false;
    outcome.textContent = words;
    allow(drawn);
  };
  const thisIs = (name) => text("draw.this_is", { name });
  return {
    place: element(
      "section",
      { class: "panel teach" },
      element("h2", {}, text("draw.teach")),
      element("p", { class: "quiet small" }, text("draw.teach_how")),
      choice,
      outcome,
      list,
      element("div", { class: "row" }, undo),
    ),
    /** Buttons for the classes of a network. */
    model(names) {
      classes = names;
      lessons = 0;
      if (names.length <= MOST_BUTTONS) {
        buttons = names.map((name, i) => element("button", { type: "button", "aria-label": thisIs(name), onclick: () => teach(i) }, name));
        choice.replaceChildren(element("span", {}, text("draw.this_is_a")), ...buttons);
      } else {
        const select = element("select", { "aria-label": text("draw.this_is_a") }, names.map((name, i) => element("option", { value: String(i) }, name)));
        buttons = [element("button", { type: "button", onclick: () => teach(Number(select.value)) }, text("draw.teach_it"))];
        choice.replaceChildren(element("span", {}, text("draw.this_is_a")), select, ...buttons);
      }
      list.replaceChildren();
      settle("");
    },
    allow,
    taught({ steps, before, after, label, rehearsal }) {
      lessons++;
      const names = { before: classes[before], after: classes[after], label: classes[label], steps: number(steps) };
      const key = after !== label ? "not_learned" : steps ? "learned" : "known";
      const known = rehearsal ? ` ${text("draw.rehearsal", { before: percent(rehearsal[0]), after: percent(rehearsal[1]) })}` : "";
      settle(text(`draw.${key}`, names) + known);
    },
    undone() {
      lessons--;
      settle(text("draw.unlearned"));
    },
    /** What went wrong is told elsewhere. */
    refused: () => settle(""),
    noMore() {
      lessons = 0;
    },
    drawings({ labels, images: { values, shape } }) {
      const [, height, width] = shape;
      list.replaceChildren(
        ...labels.map((label, i) => {
          const canvas = element("canvas", { role: "img", "aria-label": text("draw.drawing_of", { name: classes[label] }) });
          drawArray(canvas, values.subarray(i * height * width, (i + 1) * height * width), height, width, "ink", 255);
          const forget = element("button", { type: "button", "aria-label": text("draw.forget", { name: classes[label], number: i + 1 }), onclick: () => ask("forget", { index: i }) }, "×");
          return element("li", {}, canvas, element("span", {}, classes[label]), forget);
        }),
      );
    },
  };
}
