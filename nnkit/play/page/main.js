// The page: which view is open, in which language and colours.

import { element } from "./dom.js";
import { drawHeader } from "./header.js";
import { chooseLanguage, speak, text } from "./language.js";
import { here, VIEWS } from "./places.js";
import { apply } from "./theme.js";

let close = () => {};
let there = [];
let opened = 0;

/** Open the view that the address names. Each module has open(root, place), which returns what
 * closes it; place has `path`, what is behind the view's name, `values`, the address's, and `there`,
 * the views that this server has. */
async function show() {
  const place = { ...here(), there };
  const known = place.name === "home" || there.includes(place.name);
  const name = known ? place.name : "home";
  const turn = ++opened;
  close();
  close = () => {};
  drawHeader(name, there, again);
  const root = document.getElementById("view");
  root.replaceChildren();
  root.className = `view-${name}`;
  try {
    const module = await import(`./views/${name}.js`);
    if (turn !== opened) return;
    close = module.open(root, known ? place : { ...place, unknown: place.name }) ?? (() => {});
    document.title = `${root.querySelector("h1").textContent} · nnkit`;
  } catch (error) {
    root.replaceChildren(element("p", { class: "error", role: "alert" }, text("shell.not_loaded")));
    throw error;
  }
}

/** Another view: the page begins at its top, and a screen reader with its heading. */
async function go() {
  await show();
  window.scrollTo(0, 0);
  const heading = document.querySelector("#view h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}

/** The same view in another language; whoever chose it is still at its choice. */
async function again(name) {
  await chooseLanguage(name);
  await show();
  document.getElementById("language").focus();
}

apply();
const [, views] = await Promise.all([speak(), fetch("/views").then((answer) => answer.json())]);
there = VIEWS.filter((name) => name === "chapters" || views.includes(name));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  document.getElementById("view").focus();
});
window.addEventListener("hashchange", go);
await show();
