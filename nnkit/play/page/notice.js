// What the page says when its server is gone, and how it comes back.

import { element } from "./dom.js";
import { text } from "./language.js";

const AGAIN_AFTER = 2000;
const FULL = 1013;
const FAILED = [1007, 1011];

let timer = 0;

/** Say that a view's connection was lost, by its code; look for the server, and open the view again
 * as soon as it answers. Nothing is opened again by itself where that would fail again. */
export function lost(code) {
  if (code === FULL) return say("full", true);
  if (FAILED.includes(code)) return say("failed", true);
  return look();
}

/** Take the notice away; a view that is opened does so. */
export function found() {
  clearTimeout(timer);
  document.getElementById("notice").replaceChildren();
}

async function look() {
  clearTimeout(timer);
  const answer = await fetch("/views").catch(() => null);
  if (answer?.ok) return again();
  if (answer) return say("other", false);
  say("gone", true);
  timer = setTimeout(look, AGAIN_AFTER);
}

/** Open the view that the address names once more. */
function again() {
  found();
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

function say(why, button) {
  const notice = document.getElementById("notice");
  if (notice.dataset.why === why && notice.childElementCount) return; // heard once is enough
  notice.dataset.why = why;
  notice.replaceChildren(
    element("p", {}, text(`shell.lost_${why}`)),
    button ? element("button", { type: "button", onclick: again }, text("shell.again")) : "",
  );
}
