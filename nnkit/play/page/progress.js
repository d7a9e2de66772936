// Which chapters have been worked through: kept in this browser.

const KEY = "nnkit.chapters";

/** The chapters, in their order: see chapters.json. */
export const chapters = await fetch("/page/chapters.json").then((answer) => answer.json());

/** Ids of those that are done. */
export function done() {
  try {
    return new Set(JSON.parse(localStorage.getItem(KEY)));
  } catch {
    return new Set(); // what is kept is no list
  }
}

/** Keep that a chapter is done, or is not. */
export function mark(id, is) {
  const ids = done();
  ids[is ? "add" : "delete"](id);
  localStorage.setItem(KEY, JSON.stringify([...ids]));
}

/** The first that is not done. */
export const next = () => chapters.find(({ id }) => !done().has(id));

/** How many of those that there are. */
export const count = () => chapters.filter(({ id }) => done().has(id)).length;
