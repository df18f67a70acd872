// The last decisions: who asked for what, what the answer was, and why.

import { ask } from "./api.js";
import { decisionRow } from "./decision-row.js";
import { Rows } from "./rows.js";
import { count, set, several } from "./text.js";

const FIRST = 15;
const MORE = 100;
const KEPT = 2_000;
/** As many as the console keeps (shared/ports/decisions.py). */

const section = document.getElementById("decisions");
const container = document.getElementById("decisions-list");
const aside = document.getElementById("decisions-aside");
const filter = document.getElementById("decisions-text");
const denied = document.getElementById("decisions-denied");
const more = document.getElementById("decisions-more");
const rows = new Rows(container);

let all = [];
let frozen = null;
let shown = FIRST;
let whole = false;
let pointed = false;
let build = null;

/** `whenImage(image)` is called when somebody wants to know what is known of an image. */
export function startDecisions(whenImage) {
  build = (each) => decisionRow(each, whenImage);
  container.addEventListener("pointerenter", (event) => hold(event.pointerType === "mouse"));
  container.addEventListener("pointerleave", () => hold(false));
  container.addEventListener("toggle", draw, true);
  container.addEventListener("focusin", draw);
  container.addEventListener("focusout", () => setTimeout(draw));
  document.getElementById("decisions-filter").addEventListener("submit", (event) => event.preventDefault());
  for (const input of [filter, denied]) input.addEventListener("input", filtered);
  more.addEventListener("click", showMore);
  draw();
}

/** These came, the newest first. */
export function decisions(some) {
  if (!some.length && all.length) return;
  const known = new Map(all.map((each) => [each.id, each]));
  const fresh = some.filter((each) => !known.has(each.id));
  if (fresh.length === some.length && some.length >= 100 && all.length) {
    // So many are new that others between these and ours may be missing: what is kept is asked again.
    all = fresh;
    whole = false;
  } else {
    all = [...fresh, ...all].slice(0, KEPT);
  }
  draw();
}

function hold(is) {
  pointed = is;
  draw();
}

/** Rows stand still while somebody points at them, is among them with the keyboard, or reads one. */
function paused() {
  return pointed || rows.open || container.querySelector(":focus-visible") !== null;
}

function draw() {
  if (!paused()) frozen = null;
  else frozen ??= all;
  const from = frozen ?? all;
  const matching = from.filter(wanted());
  const waiting = frozen ? all.length - from.length : 0;
  rows.show(matching.slice(0, shown), { key: (each) => each.id, build, empty: nothing(from) });
  section.classList.toggle("paused", frozen !== null);
  set(aside, asideOf(matching, from, waiting));
  drawMore(matching);
}

function asideOf(matching, from, waiting) {
  if (frozen) return waiting > 0 ? `paused, ${count(waiting)} new` : "paused";
  if (matching.length < from.length) return `${count(matching.length)} of ${count(from.length)}`;
  if (from.length < 100) return several(from.length, "decision");
  return whole ? `all ${count(from.length)} that are kept` : `the last ${count(from.length)}`;
}

function nothing(from) {
  return from.length ? "No decision is like that." : "No review was answered yet.";
}

function drawMore(matching) {
  const hidden = matching.length - shown;
  more.hidden = hidden <= 0 && (whole || all.length < 100);
  more.textContent = hidden > 0 ? `Show ${count(Math.min(hidden, MORE))} more` : "Load all that are kept";
}

async function showMore() {
  if (!whole) await load();
  shown += MORE;
  draw();
}

function filtered() {
  shown = FIRST;
  // What is looked for may be older than what came by itself.
  if (!whole && all.length >= 100) load();
  draw();
}

async function load() {
  whole = true;
  more.disabled = true;
  try {
    const kept = await ask("decisions", { limit: KEPT });
    const known = new Set(kept.map((each) => each.id));
    const later = kept.length ? all.slice(0, Math.max(0, all.findIndex((each) => known.has(each.id)))) : [];
    all = [...later, ...kept];
    if (frozen) frozen = all;
  } catch {
    whole = false;
  } finally {
    more.disabled = false;
  }
  draw();
}

function wanted() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  return (each) => (!denied.checked || !each.decision.allowed) && words.every((word) => textOf(each).includes(word));
}

const texts = new WeakMap();

function textOf(each) {
  if (!texts.has(each)) {
    const { decision } = each;
    const answer = `${decision.allowed ? "allowed" : "denied"} ${decision.code}`;
    const parts = [answer, ...(decision.images ?? []), ...Object.values(decision)];
    texts.set(each, parts.filter((part) => typeof part === "string").join("\n").toLowerCase());
  }
  return texts.get(each);
}
