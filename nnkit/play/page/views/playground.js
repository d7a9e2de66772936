// A small network that learns, and everything about it that can be set.

import { element } from "../dom.js";
import { text } from "../language.js";
import { lost } from "../notice.js";
import { bench } from "../playground/bench.js";
import { fromAddress, toAddress } from "../playground/settings.js";
import { session } from "../playground/session.js";

/** Open it with the settings of the address; `embedded`: in a chapter, small, the address untouched.
 *
 * Embedded, the value "show" names the settings that can be changed there; without it all can.
 */
export function open(root, { values, embedded = false }) {
  const view = element("div", { class: embedded ? "playground embedded" : "playground", "data-frames": 0, "data-steps": 0 });
  const waiting = element("p", { role: "status" }, text("playground.connecting"));
  root.append(view);
  if (!embedded) view.append(element("h1", {}, text("playground.title")));
  view.append(waiting);
  let desk = null;
  let settings = null;
  let setting = 0;

  const set = () => {
    cancelAnimationFrame(setting);
    setting = requestAnimationFrame(() => room.send("set", { settings }));
  };

  function greeted(hello) {
    waiting.remove();
    desk?.close();
    settings ??= fromAddress(values, hello.defaults);
    desk = bench(view, { hello, embedded, shown: values.get("show")?.split(",") ?? null, send: room.send, change, reset: set, link });
    desk.settings(settings); // not those of an answer, which may be older than what is being typed
    set();
    function link() {
      const query = toAddress(settings, hello.defaults);
      return `${location.origin}${location.pathname}#/playground${query && `?${query}`}`;
    }
    function change(changes) {
      settings = { ...settings, ...changes };
      if (!hello.losses[settings.problem]?.includes(settings.loss)) settings.loss = hello.losses[settings.problem][0];
      if (!embedded) history.replaceState(null, "", link());
      desk.settings(settings);
      if (Object.keys(changes).join() === "lr") room.send("rate", changes);
      else set();
    }
  }
  const room = session({
    hello: greeted,
    built: (message) => desk.built(message),
    code: ({ code }) => desk.code(code),
    frame: (frame) => desk.frame(frame),
    preparing: () => desk.say(text("playground.preparing")),
    problem: (message) => desk.problem(message),
    state: (state) => desk.state(state),
    closed(code) {
      waiting.textContent = "";
      desk?.lost();
      lost(code);
    },
  });
  return () => {
    cancelAnimationFrame(setting);
    desk?.close();
    room.close();
  };
}
