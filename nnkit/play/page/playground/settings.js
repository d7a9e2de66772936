// Settings, as an address writes them: only what differs from the defaults.

/** The settings that an address's values name, in the types of the defaults; the server checks them. */
export function fromAddress(values, defaults) {
  const read = (name, usual) => (values.has(name) ? parsed(values.get(name), usual) : usual);
  return Object.fromEntries(Object.entries(defaults).map(([name, usual]) => [name, read(name, usual)]));
}

/** What stands behind the question mark: "problem=spirals&hidden=8,8". */
export function toAddress(settings, defaults) {
  const written = new URLSearchParams();
  for (const [name, usual] of Object.entries(defaults)) {
    if (String(settings[name]) !== String(usual)) written.set(name, String(settings[name]));
  }
  return written.toString().replaceAll("%2C", ",");
}

/** What is no number stays the text that it is, for the server to say so. */
function parsed(written, usual) {
  if (typeof usual === "boolean") return written === "true" ? true : written === "false" ? false : written;
  if (Array.isArray(usual)) return written === "" ? [] : written.split(",").map(numeric);
  return typeof usual === "number" ? numeric(written) : written;
}

const numeric = (written) => (written.trim() !== "" && Number.isFinite(Number(written)) ? Number(written) : written);
