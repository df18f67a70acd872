// Times: relative ones that tick, the exact ones beside them, all on the server's clock.

import { make } from "./text.js";

let skew = 0;

/** The server says that it is `at` (ms) now: this machine's clock may be wrong. */
export function heard(at) {
  const measured = at - Date.now();
  // Two seconds are the look and the way here, not a clock that is wrong.
  skew = Math.abs(measured) < 2000 ? 0 : measured;
}

/** Now, on the server's clock (ms). */
export function now() {
  return Date.now() + skew;
}

const STEPS = [
  [86_400, "d", 3_600, "h"],
  [3_600, "h", 60, "min"],
  [60, "min", 1, "s"],
];

/** `0.4 s`, `12 s`, `4 min`, `1 h 20 min`, `3 d 2 h`: seconds for people. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, seconds);
  if (whole < 1) return whole === 0 ? "0 s" : `${Math.max(0.1, Math.round(whole * 10) / 10)} s`;
  for (const [size, unit, lesser, lesserUnit] of STEPS) {
    if (whole < size) continue;
    const big = Math.floor(whole / size);
    const rest = Math.floor((whole - big * size) / lesser);
    return rest && unit !== "min" ? `${big} ${unit} ${rest} ${lesserUnit}` : `${big} ${unit}`;
  }
  return `${Math.floor(whole)} s`;
}

/** The same with its biggest unit alone. */
export function coarse(seconds) {
  return span(seconds).split(" ").slice(0, 2).join(" ");
}

const LOCAL = new Intl.DateTimeFormat("sv-SE", {
  dateStyle: "short",
  timeStyle: "medium",
});

/** The exact time: here, and in UTC. */
export function exact(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? "at an unknown time"
    : `${LOCAL.format(date)} here, ${date.toISOString()}`;
}

/** `16:03:12`, here. */
export function clock(at) {
  return LOCAL.format(new Date(at)).slice(-8);
}

const ticking = new Map([
  ["ago", (seconds) => (seconds < 1 ? "now" : `${coarse(seconds)} ago`)],
  ["for", (seconds) => span(Math.floor(seconds))],
]);

/** A time that ticks: `form` is `ago` (`12 s ago`) or `for` (`12 s`). `at` in ms. */
export function ticks(at, form = "ago") {
  const node = make("time", { class: "tick", "data-at": at, "data-form": form });
  return aim(node, at);
}

/** Let a ticking time count from another moment. */
export function aim(node, at) {
  node.dataset.at = at;
  node.title = exact(at);
  const date = new Date(at);
  if (!Number.isNaN(date.getTime())) node.dateTime = date.toISOString();
  tick(node);
  return node;
}

function tick(node) {
  const seconds = Math.max(0, (now() - Number(node.dataset.at)) / 1000);
  const text = ticking.get(node.dataset.form)(seconds);
  if (node.textContent !== text) node.textContent = text;
}

/** Let all times on the page tick, once a second. */
export function startTicking() {
  setInterval(() => {
    if (document.hidden) return;
    for (const node of document.querySelectorAll("time.tick")) tick(node);
  }, 1000);
}
