// The lanes: numbers, charts of the last fifteen minutes, what is delayed, how many are dead.

import { tell } from "./attention.js";
import { Chart } from "./chart.js";
import { Samples, WINDOW, niceSeconds, niceTop } from "./series.js";
import { count, make, set, several } from "./text.js";
import { clock, now, span, ticks } from "./time.js";

const LANES = {
  resolve: { about: "asks the registry which digest a tag names", old: 30 },
  admission: { about: "images that a pod waits for", old: 60 },
  prewarm: { about: "images that nobody has asked for yet", old: 600 },
  check: { about: "is the analysis of a wanted image done?", old: 1800 },
  "check-prewarm": { about: "is the analysis of a prewarmed image done?", old: 3600 },
};
/** `old`: seconds after which an oldest step that only grows older is worth a look. */

const DECIMAL = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const FINE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

const LOOKS = {
  depth: {
    field: "ready",
    kind: "depth",
    top: (highest) => niceTop(highest, 10),
    tick: (top) => short(top),
    value: (number) => several(number, "step"),
  },
  rate: {
    field: "rate",
    kind: "rate",
    top: (highest) => niceTop(highest, 1),
    tick: (top) => `${short(top)}/s`,
    value: rate,
  },
  age: {
    field: "oldest",
    kind: "age",
    top: (highest) => niceSeconds(highest, 10),
    tick: span,
    value: span,
  },
};

const samples = new Samples();
const lanes = new Map();
const section = document.getElementById("lanes");
const list = document.getElementById("lane-list");
const aside = document.getElementById("lanes-aside");
const delays = document.getElementById("delays");
const deadCount = document.getElementById("dead-count");
const template = document.getElementById("lane-template");
const HINT = aside.textContent;

let cursor = null;
let report = null;
let reported = null;
let deadAtFirst = null;

function short(number) {
  return number >= 10_000 ? `${DECIMAL.format(number / 1000)}k` : DECIMAL.format(number);
}

function rate(number) {
  return `${(number < 10 ? FINE : DECIMAL).format(number)}/s`;
}

/** Build the rows: they stand before the first number comes, and nothing moves when it does. */
export function startLanes() {
  for (const [name, { about }] of Object.entries(LANES)) lanes.set(name, lane(name, about));
  list.replaceChildren(...[...lanes.values()].map((each) => each.node));
  for (const radio of document.querySelectorAll("input[name=chart]")) {
    radio.addEventListener("change", () => (list.dataset.chart = radio.value));
  }
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.(".charts")) point(null);
  });
  document.addEventListener("visibilitychange", draw);
}

function lane(name, about) {
  const node = template.content.firstElementChild.cloneNode(true);
  node.dataset.lane = name;
  node.querySelector("h3").textContent = name;
  node.querySelector(".hint").textContent = about;
  const numbers = Object.fromEntries(
    [...node.querySelectorAll("[data-number]")].map((dd) => [dd.dataset.number, dd]),
  );
  const charts = [...node.querySelectorAll("figure")].map((figure) => {
    const look = LOOKS[figure.dataset.chart];
    return { field: look.field, chart: new Chart(figure.querySelector("svg"), look) };
  });
  const made = { name, node, numbers, charts, trouble: node.querySelector(".lane-trouble") };
  listen(made, node.querySelector(".charts"));
  return made;
}

function listen(made, area) {
  made.area = area;
  area.setAttribute("aria-label", `${made.name}: a moment of its charts`);
  area.setAttribute("aria-valuetext", "now");
  area.addEventListener("pointermove", (event) => {
    const figure = event.target.closest?.("figure");
    const index = [...area.children].indexOf(figure);
    if (index >= 0) point(made.charts[index].chart.momentAt(event.clientX));
  });
  area.addEventListener("pointerdown", (event) => {
    const index = [...area.children].indexOf(event.target.closest?.("figure"));
    if (index >= 0) point(made.charts[index].chart.momentAt(event.clientX));
  });
  area.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") point(null);
  });
  area.addEventListener("keydown", (event) => moveByKey(made, event));
  area.addEventListener("focus", () => say(made));
  area.addEventListener("blur", () => point(null));
}

const STEPS = { ArrowLeft: -10, ArrowDown: -10, ArrowRight: 10, ArrowUp: 10, PageDown: -60, PageUp: 60 };

function moveByKey(made, event) {
  const latest = samples.last?.at ?? now();
  const from = cursor ?? latest;
  let to = from;
  if (event.key in STEPS) to = from + STEPS[event.key] * 1000;
  else if (event.key === "Home") to = latest - WINDOW;
  else if (event.key === "End") to = latest;
  else if (event.key === "Escape") to = null;
  else return;
  event.preventDefault();
  point(to === null ? null : Math.min(latest, Math.max(latest - WINDOW, to)));
  say(made);
}

/** Say to who does not see the charts what they show at the moment that is marked. */
function say(made) {
  const latest = samples.last?.at ?? now();
  const at = cursor ?? latest;
  const numbers = samples.near(at)?.lanes.get(made.name);
  const told = numbers
    ? made.charts.map(({ field }, index) => spoken(Object.keys(LOOKS)[index], numbers[field])).join(", ")
    : "nobody looked";
  made.area.setAttribute("aria-valuenow", Math.round((at - latest) / 1000));
  made.area.setAttribute("aria-valuetext", `${cursor === null ? "now" : clock(at)}: ${told}`);
}

function spoken(name, value) {
  return `${name} ${value === null ? "not known" : LOOKS[name].value(value)}`;
}

/** Mark one moment in all charts, or none with null. */
function point(at) {
  cursor = at;
  drawMarks();
}

function drawMarks() {
  const sample = cursor === null ? null : samples.near(cursor);
  for (const { name, charts } of lanes.values()) {
    const numbers = sample?.lanes.get(name);
    for (const { field, chart } of charts) {
      chart.mark(cursor === null ? null : (sample?.at ?? cursor), numbers?.[field] ?? null);
    }
  }
  drawAside(sample);
}

function drawAside(sample) {
  if (cursor !== null) {
    const at = sample?.at ?? cursor;
    aside.replaceChildren(`at ${clock(at)}, `, ticks(at));
  } else if (section.classList.contains("old") && reported) {
    aside.replaceChildren("numbers of ", `${clock(reported)}, `, ticks(reported));
  } else if (aside.textContent !== HINT) {
    aside.textContent = HINT;
  }
}

/** The samples of the last minutes, in columns (docs/design/console.md): they replace what there was. */
export function history(columns) {
  samples.replace(
    columns.at.map((at, index) => ({
      at,
      lanes: new Map(
        Object.entries(columns.lanes).map(([name, lane]) => [
          name,
          { ready: lane.ready[index], oldest: lane.oldest[index], rate: lane.rate[index] },
        ]),
      ),
    })),
  );
  draw();
}

/** One more sample. */
export function sample(one) {
  const named = new Map();
  for (const lane of one.queue?.lanes ?? []) {
    const { ready, oldest } = lane;
    named.set(lane.lane, { ready, oldest, rate: one.rates?.[lane.lane] ?? null });
  }
  samples.add({ at: one.at, lanes: named });
  if (one.queue) {
    report = one.queue;
    reported = one.at;
    drawNumbers(one.rates);
  }
  draw();
}

/** Whether the numbers are of now; they stay, and are shown as old. */
export function old(is) {
  section.classList.toggle("old", is);
  drawAside(null);
}

/** When the broker last answered (ms), or null. */
export function lastReport() {
  return reported;
}

function draw() {
  if (document.hidden) return;
  const until = Math.max(now(), samples.last?.at ?? 0);
  for (const { name, charts } of lanes.values()) {
    for (const { field, chart } of charts) chart.draw(samples.points(name, field), until);
  }
  drawMarks();
}

function drawNumbers(rates) {
  for (const each of report.lanes) {
    const made = lanes.get(each.lane);
    if (!made) continue;
    const { numbers } = made;
    set(numbers.ready, count(each.ready));
    set(numbers.in_hand, each.unacknowledged === null ? "–" : count(each.unacknowledged));
    set(numbers.workers, count(each.consumers));
    set(numbers.oldest, each.oldest === null ? (report.ages_known ? "–" : "?") : span(each.oldest));
    const known = rates?.[each.lane];
    set(numbers.rate, known == null ? "–" : rate(known));
    numbers.workers.classList.toggle("bad", each.consumers === 0);
    showTrouble(made, troubleOf(each));
  }
  drawDelays();
  drawDead();
  tell("lanes", problems());
}

function troubleOf(each) {
  if (each.consumers === 0) return each.ready ? "no worker takes these steps" : "no worker";
  return growing(each) ? "the oldest step only grows older" : "";
}

/** Whether the oldest is old for its lane and nothing moved it during the last minute. */
function growing(each) {
  if (each.oldest === null || each.oldest < LANES[each.lane].old) return false;
  const before = samples.before(each.lane, "oldest", 60);
  return before !== null && each.oldest - before > 45;
}

function showTrouble(made, text) {
  made.node.classList.toggle("troubled", text !== "");
  made.trouble.hidden = text === "";
  set(made.trouble, text);
}

function problems() {
  const found = [];
  const idle = report.lanes.filter((each) => each.consumers === 0);
  if (idle.length) {
    const names = idle.length === report.lanes.length ? "any lane" : idle.map((each) => each.lane).join(", ");
    found.push({
      level: "bad",
      section: "lanes",
      text: `No worker takes steps of ${names}: start \`imagegate worker\`, or look at its log and its /readyz.`,
    });
  }
  for (const each of report.lanes.filter((one) => one.consumers > 0 && growing(one))) {
    found.push({
      level: "warn",
      section: "lanes",
      text: `The oldest step of ${each.lane} only grows older: workers are there, but nothing moves.`,
    });
  }
  if (report.dead) {
    const text = `${several(report.dead, "dead letter")}: what no attempt could settle.`;
    found.push({ level: "warn", section: "dead", text });
  }
  return found;
}

function drawDelays() {
  const entries = Object.entries(report.delayed).sort(([one], [other]) => one - other);
  const most = Math.max(1, ...entries.map(([, number]) => number));
  while (delays.childElementCount > entries.length) delays.lastElementChild.remove();
  while (delays.childElementCount < entries.length) {
    delays.append(make("li", {}, make("span", { class: "delay" }), make("b"), make("i", { "aria-hidden": "true" })));
  }
  entries.forEach(([seconds, number], index) => {
    const [delay, total, bar] = delays.children[index].children;
    set(delay, span(Number(seconds)));
    set(total, count(number));
    bar.style.setProperty("--share", number / most);
    delays.children[index].classList.toggle("nothing", number === 0);
  });
}

function drawDead() {
  const [total, words] = deadCount.children;
  set(total, count(report.dead));
  set(words, report.dead === 1 ? "dead letter" : "dead letters");
  deadCount.classList.toggle("bad", report.dead > 0);
  if (deadAtFirst !== report.dead) {
    deadAtFirst = report.dead;
    deadCount.dispatchEvent(new CustomEvent("imagegate:dead", { bubbles: true }));
  }
}
