// The parts: what answers, what it says of itself, how long that took.

import { ask } from "./api.js";
import { tell } from "./attention.js";
import { make, outside, show } from "./text.js";

const list = document.getElementById("parts-list");
const factList = document.getElementById("facts");
const EXPECTED = ["store", "queue", "scanner", "workers"];


/** The places of the parts, before anything is known of them. */
export function startParts() {
  draw(EXPECTED.map((name) => ({ name, ok: null, detail: "asking …", took: null })));
}

/** Ask again; `inTrouble` are those of which the stream tells already. */
export async function askParts(inTrouble) {
  let status;
  try {
    status = await ask("status");
  } catch (error) {
    if (error.status !== 401) list.classList.add("old");
    return;
  }
  list.classList.remove("old");
  draw(status.parts);
  factList.replaceChildren(
    ...Object.entries(status.facts).map(([name, value]) =>
      make("div", {}, outside("dt", "outside", name), outside("dd", "outside", value)),
    ),
  );
  tell("parts", [...emergencies(status.facts), ...problems(status.parts, inTrouble())]);
}

function draw(parts) {
  const known = new Map([...list.children].map((item) => [item.dataset.part, item]));
  list.replaceChildren(...parts.map((part) => filled(known.get(part.name) ?? place(part.name), part)));
}

function place(name) {
  return make(
    "li",
    { "data-part": name },
    outside("h3", "", name),
    make("details", { class: "told" }, make("summary", { class: "cell outside" })),
    make("span", { class: "took" }),
  );
}

function filled(item, part) {
  const [, told, took] = item.children;
  item.className = part.ok === null ? "wait" : part.ok ? "good" : "bad";
  show(took, part.took === null ? "" : milliseconds(part.took));
  const summary = told.firstElementChild;
  const said = part.ok === false && part.name !== "workers" ? `does not answer: ${part.detail}` : part.detail;
  if (summary.dataset.said !== said) {
    summary.dataset.said = said;
    show(summary, said);
  }
  return item;
}

function milliseconds(took) {
  return took < 0.1 ? "< 0.1 ms" : `${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
}

/** One of each cluster: `emergency`, or `emergency of NAME`. */
function emergencies(facts) {
  return Object.entries(facts)
    .filter(([name]) => name === "emergency" || name.startsWith("emergency of "))
    .map(([name, told]) => ({ level: "bad", section: "parts", text: `E${name.slice(1)}: ${told}.` }));
}

function problems(parts, inTrouble) {
  return parts
    // Lanes without workers are told beside the lanes, with their names.
    .filter((part) => !part.ok && !inTrouble.has(part.name) && part.name !== "workers")
    .map((part) => ({ level: "bad", section: "parts", text: `The ${part.name} does not answer: ${part.detail}.` }));
}
