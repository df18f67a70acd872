// What the store knows of images: the newest, or those of one image or digest.

import { ask } from "./api.js";
import { tell } from "./attention.js";
import { Rows, cell, facts, imageCell, plus, row } from "./rows.js";
import { block, count, make, outside, set, several } from "./text.js";
import { exact, now, ticks } from "./time.js";

const FIRST = 12;
const MORE = 100;
const LIMIT = 500;
const NOT_BELIEVED = "not believed";

const section = document.getElementById("verdicts");
const container = document.getElementById("verdicts-list");
const aside = document.getElementById("verdicts-aside");
const input = document.getElementById("verdicts-image");
const more = document.getElementById("verdicts-more");
const rows = new Rows(container);

let found = [];
let image = "";
let shown = FIRST;
let turn = 0;

/** Listen to the search. */
export function startVerdicts() {
  document.getElementById("verdicts-search").addEventListener("submit", (event) => {
    event.preventDefault();
    seek(input.value);
  });
  // The cross of a search field.
  input.addEventListener("search", () => input.value === "" && image !== "" && seek(""));
  more.addEventListener("click", () => {
    shown += MORE;
    draw();
  });
}

/** Search for the verdicts of an image or digest, and go there. */
export function seekVerdicts(text) {
  input.value = text;
  seek(text);
  section.scrollIntoView();
  input.focus({ preventScroll: true });
}

function seek(text) {
  image = text.trim();
  shown = FIRST;
  set(aside, "searching …");
  return askVerdicts();
}

/** Look again, unless somebody reads. */
export async function refreshVerdicts() {
  if (!rows.open && !container.matches(":hover")) await askVerdicts();
}

/** Ask for the verdicts of what is searched for; the last question's answer counts. */
export async function askVerdicts() {
  const mine = ++turn;
  let answer;
  try {
    answer = await ask("verdicts", { limit: LIMIT, image });
  } catch (error) {
    if (mine === turn && error.status !== 401) failed(error);
    return;
  }
  if (mine !== turn) return;
  // What nobody signed has no time, and would stand at the end.
  found = [...answer.filter(unbelieved), ...answer.filter((each) => !unbelieved(each))];
  container.classList.remove("old");
  draw();
  set(aside, image ? `${several(found.length, "record")} of ${image}` : newest());
  if (!image) tell("verdicts", problems());
}

function newest() {
  return found.length >= LIMIT ? `the newest ${count(found.length)}` : several(found.length, "record");
}

function failed(error) {
  container.classList.add("old");
  set(aside, error.message);
}

function unbelieved(each) {
  return each.outcome === NOT_BELIEVED;
}

function problems() {
  const number = found.filter(unbelieved).length;
  if (!number) return [];
  const [are, them] = number === 1 ? ["is", "it"] : ["are", "them"];
  const text = `${several(number, "record")} in the store ${are} not believed: no key that is trusted here signed ${them}.`;
  return [{ level: "bad", section: "verdicts", text }];
}

function draw() {
  rows.show(found.slice(0, shown), { key: (each) => JSON.stringify(timeless(each)), build, empty: nothing() });
  const hidden = found.length - shown;
  more.hidden = hidden <= 0;
  more.textContent = `Show ${count(Math.min(hidden, MORE))} more`;
}

/** A record that did not change keeps its row, though its age grew. */
function timeless(each) {
  return { ...each, age: 0 };
}

function nothing() {
  if (!image) return "The store knows no verdicts yet.";
  return "The store knows nothing of it. `imagegate scan IMAGE` has it judged.";
}

const LEVELS = { pass: "good", fail: "bad", error: "warn" };

function build(each) {
  const outcome = make("span", { class: `cell verdict ${LEVELS[each.outcome] ?? "bad"}` });
  outcome.append(outside("b", "outside", each.outcome), each.stale ? make("span", { class: "state" }, " stale") : "");
  const named = each.image.includes("@") || !each.digest;
  const digest = named ? null : outside("span", "digest outside", shortDigest(each.digest));
  const line = [
    make("span", { class: "cell when" }, each.at ? ticks(now() - each.age * 1000) : "–"),
    outcome,
    imageCell("image", each.image, digest),
    cell("policy", each.policy),
    make("span", { class: "cell why" }, outside("span", "outside", each.reasons[0] ?? ""), plus(each.reasons)),
  ];
  const item = row("verdict-row", line, () => detailsOf(each));
  item.classList.toggle("loud", unbelieved(each));
  return item;
}

function shortDigest(digest) {
  return digest.replace("sha256:", "").slice(0, 12);
}

function detailsOf(each) {
  return facts([
    ["image", block("", each.image)],
    ["digest", each.digest],
    ["evaluated", each.at ? exact(each.at) : "not known"],
    ["stale", each.stale ? "it is asked again when it is next used" : null],
    ["policy", each.policy],
    ["revision", each.revision],
    ["scan", each.scan_id],
    ["why", each.findings.length ? null : listOf(each.reasons)],
    ["findings", listOf(each.findings)],
  ]);
}

function listOf(texts) {
  if (!texts.length) return null;
  return make("ul", { class: "findings" }, ...texts.map(entry));
}

function entry(text) {
  const action = /^(stop|warn): /.exec(text)?.[1];
  const item = make("li", { class: action === "stop" ? "bad" : action === "warn" ? "warn" : "" });
  item.append(block("", text, { lines: false }));
  return item;
}
