// What there is to see.

import { element } from "../dom.js";
import { text } from "../language.js";

export function open(root) {
  root.append(element("h1", {}, text("home.title")), element("p", {}, text("home.text")));
}
