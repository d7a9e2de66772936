// The page's sentences, from strings/<language>.json.

export const LANGUAGES = { en: "English", ko: "한국어" };

let strings = {};
export let language = "en";

/** Read the sentences of a language, or of the one chosen before, else of the browser's. */
export async function speak(wanted = localStorage.getItem("nnkit.language")) {
  const found = [wanted, ...navigator.languages.map((name) => name.slice(0, 2))].find((name) => name in LANGUAGES);
  language = found ?? "en";
  const answer = await fetch(`/page/strings/${language}.json`);
  strings = await answer.json();
  document.documentElement.lang = language;
  for (const marked of document.querySelectorAll("[data-text]")) marked.textContent = text(marked.dataset.text);
}

/** Choose a language, for the next time as well. */
export async function chooseLanguage(name) {
  localStorage.setItem("nnkit.language", name);
  await speak(name);
}

/** The sentence of a key such as "draw.clear"; {name} in it is replaced by the value of that name. */
export function text(key, values = {}) {
  const found = key.split(".").reduce((part, name) => part?.[name], strings);
  if (typeof found !== "string") throw new Error(`no text ${key}`);
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Whether there is a sentence of this key. */
export function hasText(key) {
  return typeof key.split(".").reduce((part, name) => part?.[name], strings) === "string";
}

/** A number as it is written here, with so many digits behind the point; what rounds to nothing has no sign. */
export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" });
}

export const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${number(100 * value, digits)} %`);
