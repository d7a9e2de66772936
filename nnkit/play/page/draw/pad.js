// A pad to draw on, white on black: by mouse, touch, pen or keys.

import { element } from "../dom.js";
import { text } from "../language.js";

export const SIDE = 280;
const STEP = 8;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Make a pad; changed(time) is called for each change, with the time of the event that made it.
 *
 * Its parts are `place`, an element, and pixels(), gray bytes of SIDE x SIDE. Of keys: arrows move a
 * pen, space puts it down or up, Ctrl+Z undoes, Ctrl+Shift+Z or Ctrl+Y does again.
 */
export function pad(changed) {
  const canvas = element("canvas", { class: "pad", width: SIDE, height: SIDE, tabindex: 0, role: "img", "aria-label": text("draw.pad"), "aria-describedby": "pad-keys" });
  const pen = element("canvas", { class: "pen", width: SIDE, height: SIDE, "aria-hidden": "true" });
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  let strokes = [];
  let undone = [];
  let width = 22;
  let current = null;
  let at = [SIDE / 2, SIDE / 2];
  let down = false;

  const line = (stroke, from) => {
    context.lineWidth = stroke.width;
    context.beginPath();
    context.moveTo(...stroke.points[Math.max(0, from - 1)]);
    for (const point of stroke.points.slice(from)) context.lineTo(...point);
    context.stroke();
  };
  const redraw = () => {
    Object.assign(context, { fillStyle: "#000", strokeStyle: "#fff", lineCap: "round", lineJoin: "round" });
    context.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of strokes) line(stroke, 0);
  };
  const begin = (point) => {
    current = { width, points: [point] };
    strokes.push(current);
    undone = [];
    line(current, 0);
  };
  const go = (points) => {
    const from = current.points.length;
    current.points.push(...points);
    line(current, from);
  };
  const change = (time) => (changed(time), buttons());
  const placed = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || current) return;
    canvas.setPointerCapture(event.pointerId);
    lift();
    begin(placed(event));
    change(event.timeStamp);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!current || !canvas.hasPointerCapture(event.pointerId)) return;
    const all = event.getCoalescedEvents?.() ?? [];
    go((all.length ? all : [event]).map(placed));
    change(event.timeStamp);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (current = null));

  const showPen = () => {
    const mark = pen.getContext("2d");
    mark.clearRect(0, 0, SIDE, SIDE);
    if (document.activeElement !== canvas || !canvas.matches(":focus-visible")) return;
    mark.lineWidth = 3;
    for (const [color, radius] of [["#000", width / 2 + 3], [down ? "#ff8a3d" : "#63b5ec", width / 2 + 1]]) {
      mark.strokeStyle = color;
      mark.beginPath();
      mark.arc(...at, radius, 0, 2 * Math.PI);
      mark.stroke();
    }
  };
  const lift = () => {
    if (down) current = null;
    down = false;
    showPen();
  };
  canvas.addEventListener("focus", showPen);
  canvas.addEventListener("blur", lift);
  canvas.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      if (key === "y" || event.shiftKey) redo(event);
      else undo(event);
    } else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key === " ") {
      if (down) lift();
      else {
        down = true;
        begin(at);
        change(event.timeStamp);
      }
    } else if (event.key in ARROWS) {
      const [across, below] = ARROWS[event.key];
      const inside = (x) => Math.max(0, Math.min(SIDE, x));
      at = [inside(at[0] + STEP * across), inside(at[1] + STEP * below)];
      if (down) {
        go([at]);
        change(event.timeStamp);
      }
    } else return;
    event.preventDefault();
    showPen();
  });

  const undo = (event) => move(strokes, undone, event);
  const redo = (event) => move(undone, strokes, event);
  const move = (from, to, event) => {
    lift();
    if (!from.length) return;
    to.push(from.pop());
    redraw();
    change(event.timeStamp);
  };
  const clear = (event) => {
    lift();
    [strokes, undone, current] = [[], [], null];
    redraw();
    change(event.timeStamp);
  };
  const save = () =>
    canvas.toBlob((blob) => {
      const address = URL.createObjectURL(blob);
      element("a", { href: address, download: "drawing.png" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    });

  const button = (name, onclick) => element("button", { type: "button", onclick }, text(`draw.${name}`));
  const [undoing, redoing, clearing, saving] = [button("undo", undo), button("redo", redo), button("clear", clear), button("save", save)];
  const buttons = () => {
    undoing.disabled = clearing.disabled = saving.disabled = !strokes.length;
    redoing.disabled = !undone.length;
  };
  const thickness = element("input", { type: "range", min: "8", max: "40", value: String(width), oninput: (event) => ((width = Number(event.target.value)), showPen()) });
  redraw();
  buttons();
  return {
    place: element(
      "div",
      { class: "pad-place" },
      element("div", { class: "pad-frame" }, canvas, pen),
      element("div", { class: "row" }, undoing, redoing, clearing),
      element("label", {}, text("draw.thickness"), thickness),
      element("div", { class: "row" }, saving),
      element("p", { class: "quiet small", id: "pad-keys" }, text("draw.keys")),
    ),
    empty: () => !strokes.length,
    pixels() {
      const { data } = context.getImageData(0, 0, SIDE, SIDE);
      const values = new Uint8Array(SIDE * SIDE);
      for (let i = 0; i < values.length; i++) values[i] = data[4 * i];
      return { values, shape: [SIDE, SIDE] };
    },
  };
}
