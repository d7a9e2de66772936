// The space bar plays and pauses, where nothing else has a use for it.

/** Listen in a document or element; returns what ends that. */
export function keys(where, toggle) {
  const pressed = (event) => {
    if (event.key !== " " || event.defaultPrevented || event.target.closest?.("button, a, input, select, summary, pre")) return;
    event.preventDefault();
    if (!event.repeat) toggle();
  };
  where.addEventListener("keydown", pressed);
  return () => where.removeEventListener("keydown", pressed);
}
