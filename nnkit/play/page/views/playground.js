import { element } from "../dom.js";
import { text } from "../language.js";

export function open(root) {
  root.append(element("h1", {}, text("playground.title")));
}
