// Dead letters: what no attempt could settle, why, and the command that tries it again.

import { ask } from "./api.js";
import { Rows, cell, facts, imageCell, row } from "./rows.js";
import { block, count, make, outside, set, several, visible } from "./text.js";
import { now, span, ticks } from "./time.js";

const FIRST = 8;
const MORE = 50;
const LIMIT = 200;

const container = document.getElementById("dead-list");
const aside = document.getElementById("dead-aside");
const more = document.getElementById("dead-more");
const rows = new Rows(container);

let letters = [];
let total = 0;
let shown = FIRST;
let turn = 0;

export function startDead() {
  more.addEventListener("click", () => {
    shown += MORE;
    draw();
  });
}

/** Ask for the oldest dead letters. */
export async function askDead() {
  const mine = ++turn;
  let answer;
  try {
    answer = await ask("dead", { limit: LIMIT });
  } catch (error) {
    if (mine !== turn || error.status === 401) return;
    container.classList.add("old");
    set(aside, error.message);
    return;
  }
  if (mine !== turn) return;
  ({ letters, total } = answer);
  container.classList.remove("old");
  set(aside, asideOf());
  draw();
}

function asideOf() {
  if (total > letters.length) return `the oldest ${count(letters.length)} of ${count(total)}`;
  return total ? `${several(total, "letter")}, the oldest first` : "";
}

function draw() {
  rows.show(letters.slice(0, shown), { key: (each) => each.id, build, empty: "None: every step was settled." });
  const hidden = letters.length - shown;
  more.hidden = hidden <= 0;
  more.textContent = `Show ${count(Math.min(hidden, MORE))} more`;
}

function build(letter) {
  const step = letter.kind ? `${letter.kind} in ${letter.lane}` : `no step, in ${letter.lane}`;
  const line = [
    letter.image ? imageCell("image", letter.image) : cell("image", "a message that is no step"),
    make("span", { class: "cell when" }, letter.age === null ? "" : ticks(now() - letter.age * 1000)),
    cell("step", step),
    cell("why", letter.history.at(-1) ?? letter.reason),
  ];
  return row("dead-row", line, () => detailsOf(letter));
}

function detailsOf(letter) {
  const whole = make("div", { class: "letter" }, make("p", { class: "hint" }, "fetching …"));
  fetchLetter(letter, whole);
  return whole;
}

async function fetchLetter(letter, place) {
  try {
    const found = await ask(`dead/${encodeURIComponent(letter.id)}`);
    place.replaceChildren(told(found), requeue(found.id));
  } catch (error) {
    const text = error.status === 404 ? "It is not there any more: somebody requeued or dropped it." : error.message;
    place.replaceChildren(outside("p", "error", text));
  }
}

function told(letter) {
  return facts([
    ["image", letter.image ? block("", letter.image) : null],
    ["died", `${letter.reason}, in ${letter.lane}${letter.age === null ? "" : `, ${span(letter.age)} ago`}`],
    ["wanted", letter.waited === null ? null : `${span(letter.waited)} ago, for ${letter.why}`],
    ["attempts", letter.kind ? letter.attempt : null],
    ["history", history(letter.history)],
    ["message", letter.body ? block("body", pretty(letter.body)) : null],
    ["id", letter.id],
  ]);
}

function history(reasons) {
  if (!reasons.length) return null;
  return make("ol", { class: "history" }, ...reasons.map((reason) => make("li", {}, block("", reason))));
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9._:@%+=/-]*$/;

/** The command with an id that a shell takes as it stands, or null where nobody could type it. */
export function requeueCommand(id) {
  if (PLAIN.test(id)) return `imagegate dead requeue ${id}`;
  if (visible(id) !== id) return null;
  return `imagegate dead requeue -- '${id.replaceAll("'", "'\\''")}'`;
}

function requeue(id) {
  const command = requeueCommand(id);
  if (command === null) {
    return make("p", { class: "hint" }, "Its id cannot be typed: `imagegate dead` tells what can be done.");
  }
  const code = make("code", {}, command);
  const copy = make("button", { type: "button" }, "Copy");
  const told = make("span", { class: "hint", role: "status" });
  copy.addEventListener("click", async () => set(told, await copied(command, code)));
  const hint = make("p", { class: "hint" }, "To try it again, as a first attempt:");
  return make("div", { class: "requeue" }, hint, make("div", { class: "command" }, code, copy, told));
}

async function copied(command, code) {
  try {
    await navigator.clipboard.writeText(command);
    return "copied";
  } catch {
    // Over plain HTTP from another machine, browsers give pages no clipboard.
    getSelection().selectAllChildren(code);
    return "selected: copy it with the keyboard";
  }
}
