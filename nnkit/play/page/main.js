// The page: which view is open, in which language and colours.

import { element } from "./dom.js";
import { LANGUAGES, language, speak, text } from "./language.js";
import { THEMES, apply, choose, theme } from "./theme.js";

/** Views by their name in the address, "#/draw". Each module has open(root, place), which returns
 * what closes it; place has `path`, what is behind the view's name, and `values`, the address's. */
const VIEWS = { draw: "draw", playground: "playground", watch: "watch", chapters: "chapters" };

let close = () => {};
let there = [];

function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: name || "home", path: rest.join("/"), values: new URLSearchParams(query) };
}

async function show() {
  const here = place();
  const name = here.name in VIEWS && (there.includes(here.name) || here.name === "chapters") ? here.name : "home";
  close();
  close = () => {};
  drawHeader(name);
  const root = document.getElementById("view");
  root.replaceChildren();
  root.className = `view-${name}`;
  const module = await import(`./views/${name}.js`);
  if (place().name !== here.name) return;
  document.title = `${text(`${name}.title`)} – nnkit`;
  close = module.open(root, here) ?? (() => {});
}

function drawHeader(current) {
  const names = Object.keys(VIEWS).filter((name) => there.includes(name) || name === "chapters");
  const link = (name) => element("a", { href: `#/${name}`, "aria-current": name === current && "page" }, text(`${name}.title`));
  const option = (chosen) => ([value, label]) => element("option", { value, selected: value === chosen }, label);
  document.getElementById("header").replaceChildren(
    element("a", { class: "brand", href: "#/" }, element("img", { src: "/page/icon.svg", alt: "", width: 24, height: 24 }), "nnkit"),
    element("nav", { "aria-label": text("shell.views") }, names.map(link)),
    element(
      "select",
      { "aria-label": text("shell.language"), onchange: async (event) => (await change(event.target.value), show()) },
      Object.entries(LANGUAGES).map(option(language)),
    ),
    element(
      "select",
      { "aria-label": text("shell.theme"), onchange: (event) => choose(event.target.value) },
      THEMES.map((name) => [name, text(`shell.theme_${name}`)]).map(option(theme())),
    ),
  );
}

async function change(name) {
  localStorage.setItem("nnkit.language", name);
  await speak(name);
}

apply();
const [, views] = await Promise.all([speak(), fetch("/views").then((answer) => answer.json())]);
there = views;
window.addEventListener("hashchange", show);
await show();
