// Lists of rows that open: drawn again only where something changed, so that nothing jumps.

import { make, outside } from "./text.js";

/**
 * A row that opens: `cells` in its line, and what `details()` gives once it is opened.
 * A native `<details>`: the keyboard and screen readers know it.
 */
export function row(className, cells, details) {
  const summary = make("summary", { class: `row ${className}` }, ...cells);
  const item = make("details", { class: "item" }, summary);
  item.addEventListener("toggle", () => {
    if (item.open && item.childElementCount === 1) item.append(details());
  });
  return item;
}

/** One line of a row with text from outside: cut where it does not fit, whole when opened. */
export function cell(className, text) {
  return outside("span", `cell outside ${className}`, text);
}

/**
 * An image in a line: where it does not fit, its host and path give way first, for the name and
 * the tag tell more.
 */
export function imageCell(className, image, ...more) {
  const slash = image.lastIndexOf("/") + 1;
  return make(
    "span",
    { class: `cell image-cell ${className}` },
    slash ? outside("span", "outside host", image.slice(0, slash)) : null,
    outside("span", "outside name", image.slice(slash)),
    ...more,
  );
}

/** How many more there are than the first of them, or nothing. */
export function plus(texts) {
  return texts.length > 1 ? make("span", { class: "plus" }, `+${texts.length - 1}`) : null;
}

/** Names and what they stand for, below each other; what is empty is left out. */
export function facts(entries) {
  const list = make("dl", { class: "details" });
  for (const [name, value] of entries) {
    if (value === "" || value === null || value === undefined) continue;
    const told = typeof value === "object" ? value : outside("span", "outside", value);
    list.append(make("dt", {}, name), make("dd", {}, told));
  }
  return list;
}

/** The rows of one list, each known by its key. */
export class Rows {
  #container;
  #known = new Map();

  constructor(container) {
    this.#container = container;
  }

  /** Whether a row is open. */
  get open() {
    return this.#container.querySelector("details[open]") !== null;
  }

  /** Show these, in this order; `empty` is the sentence for none. */
  show(items, { key, build, empty }) {
    const rows = new Map();
    for (const item of items) {
      const name = key(item);
      if (!rows.has(name)) rows.set(name, this.#known.get(name) ?? build(item));
    }
    this.#known = rows;
    const wanted = rows.size ? [...rows.values()] : [make("p", { class: "none" }, empty)];
    this.#place(wanted);
  }

  /** Move only what is not in its place: a row that moves would close its focus and its text. */
  #place(wanted) {
    const keep = new Set(wanted);
    for (const child of [...this.#container.children]) {
      if (!keep.has(child)) child.remove();
    }
    let before = this.#container.firstElementChild;
    for (const child of wanted) {
      if (child === before) before = before.nextElementSibling;
      else this.#container.insertBefore(child, before);
    }
  }
}
