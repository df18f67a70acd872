// What is wrong, in one line that is always there, and the whole of it behind a click.

import { make, set, several, visible } from "./text.js";
import { clock, ticks } from "./time.js";

const LEVELS = ["bad", "warn"];
const SOURCES = ["logout", "stream", "parts", "lanes", "verdicts", "processes"];
/** The worst first, and what explains other things before them. */

const details = document.getElementById("attention");
const text = document.getElementById("attention-text");
const old = document.getElementById("attention-old");
const list = document.getElementById("attention-list");
const TITLE = document.title;

const told = new Map();
let drawn = "";

/**
 * `source` (a part of the page) says what is wrong there now: `{text, level, section, since}`;
 * `level` is `bad` or `warn`, `since` (ms) is from when what is shown there is.
 */
export function tell(source, problems) {
  told.set(source, problems);
  draw();
}

/** Forget everything: somebody else may log in. */
export function forget() {
  told.clear();
  draw();
}

function draw() {
  const all = SOURCES.flatMap((source) => told.get(source) ?? []);
  const problems = LEVELS.flatMap((level) => all.filter((problem) => problem.level === level));
  const now = JSON.stringify([told.size > 0, problems]);
  if (now === drawn) return;
  drawn = now;
  const [worst] = problems;
  details.dataset.level = worst?.level ?? "good";
  set(text, line(problems));
  list.replaceChildren(...problems.map(entry));
  old.replaceChildren(...(worst?.since ? [since(worst.since)] : []));
  document.title = problems.length ? `(${problems.length}) ${TITLE}` : TITLE;
}

function line(problems) {
  if (!told.size) return "Looking …";
  if (!problems.length) return "Everything answers, and every lane has workers.";
  const more = problems.length - 1;
  return more ? `${problems[0].text} And ${several(more, "thing")} more.` : problems[0].text;
}

function entry(problem) {
  const link = make("a", { href: `#${problem.section}`, class: "outside" });
  link.textContent = visible(problem.text);
  const item = make("li", { class: problem.level }, link);
  if (problem.since) item.append(" ", since(problem.since));
  return item;
}

function since(at) {
  return make("span", { class: "since" }, `What is shown is of ${clock(at)}, `, ticks(at), ".");
}
