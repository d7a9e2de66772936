// Addresses of the page: "#/draw", "#/chapters/xor", "#/playground?problem=xor&hidden=4".

/** Views by their name in the address, in the order in which they are offered. */
export const VIEWS = ["draw", "playground", "watch", "chapters"];

/** Where the address leads: a view's name, what is behind it, and its values. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: name || "home", path: rest.join("/"), values: new URLSearchParams(query) };
}

/** The address of a view, with these values. */
export function address(name, values = {}) {
  const query = new URLSearchParams(values).toString().replaceAll("%2C", ",");
  return `#/${name}${query && `?${query}`}`;
}
