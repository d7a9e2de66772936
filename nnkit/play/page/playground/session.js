// The connection to the room that trains, and the pace of what is drawn.

import { connect } from "../socket.js";

/** Open it. `on` has a function for each type of message; `frame` is called where the browser draws.
 *
 * The next frame is asked for when one has been drawn: a page that is hidden, or slow, gets no more
 * than it draws.
 */
export function session(on) {
  let latest = null;
  let asked = 0;
  const draw = () => {
    asked = 0;
    on.frame(latest);
    socket.send("ready");
  };
  const socket = connect("playground", {
    ...on,
    frame(message) {
      latest = message;
      asked ||= requestAnimationFrame(draw);
    },
  });
  return {
    send: socket.send,
    close() {
      cancelAnimationFrame(asked);
      socket.close();
    },
  };
}
