// A view's connection to its thread. Messages are as nnkit/play/wire.py describes them.

import { found, lost } from "./notice.js";

const TYPES = { uint8: Uint8Array, int8: Int8Array, int32: Int32Array, float32: Float32Array };

/** Open the connection of a view. `on` has a function for each type of message. When it is lost, the
 * page says so and opens the view again once it can, unless the view has a "closed" of its own. */
export function connect(view, on) {
  const socket = new WebSocket(`ws://${location.host}/talk/${view}`);
  socket.binaryType = "arraybuffer";
  let over = false;
  const waiting = [];
  socket.addEventListener("open", found);
  socket.addEventListener("open", () => waiting.splice(0).forEach((data) => socket.send(data)));
  socket.addEventListener("message", ({ data }) => {
    const message = typeof data === "string" ? JSON.parse(data) : unpack(data);
    on[message.type]?.(message);
  });
  socket.addEventListener("close", ({ code }) => {
    if (over) return;
    (on.closed ?? lost)(code);
  });
  return {
    /** Send a message: fields, of which typed arrays with a `shape` beside them go as bytes. */
    send(type, fields = {}, arrays = {}) {
      const data = pack({ type, ...fields }, arrays);
      if (socket.readyState === WebSocket.CONNECTING) waiting.push(data);
      else if (socket.readyState === WebSocket.OPEN) socket.send(data);
    },
    close() {
      over = true;
      found();
      socket.close();
    },
  };
}

/** Write a message; `arrays` has {name: {values, shape}}. */
export function pack(message, arrays = {}) {
  const entries = Object.entries(arrays);
  if (!entries.length) return JSON.stringify(message);
  const described = entries.map(([name, { values, shape }]) => [name, nameOf(values), shape]);
  let head = new TextEncoder().encode(JSON.stringify({ ...message, arrays: described }));
  const padded = head.length + ((8 - ((head.length + 4) % 8)) % 8);
  const sizes = entries.map(([, { values }]) => Math.ceil(values.byteLength / 8) * 8);
  const data = new Uint8Array(4 + padded + sizes.reduce((a, b) => a + b, 0)).fill(32, 4, 4 + padded);
  new DataView(data.buffer).setUint32(0, padded, true);
  data.set(head, 4);
  let start = 4 + padded;
  entries.forEach(([, { values }], i) => {
    data.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), start);
    start += sizes[i];
  });
  return data;
}

/** Read a message; its arrays are {values, shape}, under their names. */
export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const { arrays, ...message } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let start = 4 + size;
  for (const [name, dtype, shape] of arrays) {
    const values = new TYPES[dtype](buffer, start, shape.reduce((a, b) => a * b, 1));
    message[name] = { values, shape };
    start += Math.ceil(values.byteLength / 8) * 8;
  }
  return message;
}

const nameOf = (values) => Object.keys(TYPES).find((name) => values instanceof TYPES[name]);
