// The lanes: numbers, charts of the last fifteen minutes, and what is wrong with one.

import { tell } from "./attention.js";
import { Chart } from "./chart.js";
import { LOOKS, rate } from "./looks.js";
import { Moment } from "./moment.js";
import { Samples } from "./series.js";
import { count, set, several } from "./text.js";
import { clock, now, span, ticks } from "./time.js";
import { waiting } from "./waiting.js";

const LANES = {
  resolve: { about: "asks the registry for digests", old: 30 },
  admission: { about: "images that a pod waits for", old: 60 },
  prewarm: { about: "images nobody has asked for yet", old: 600 },
  check: { about: "analyses of wanted images", old: 1800 },
  "check-prewarm": { about: "analyses of prewarmed images", old: 3600 },
};
/** `old`: seconds after which an oldest step that only grows older is worth a look. */

const samples = new Samples();
const moment = new Moment(samples, drawMarks);
const lanes = new Map();
const section = document.getElementById("lanes");
const list = document.getElementById("lane-list");
const aside = document.getElementById("lanes-aside");
const template = document.getElementById("lane-template");
const HINT = aside.textContent;

let reported = null;
let agesKnown = false;
let deadChanged = () => {};

/**
 * Build the rows: they stand before the first number comes, and nothing moves when it does.
 * `whenDead()` is called when the number of dead letters changed.
 */
export function startLanes(whenDead) {
  deadChanged = whenDead;
  for (const [name, { about }] of Object.entries(LANES)) lanes.set(name, lane(name, about));
  list.replaceChildren(...[...lanes.values()].map((each) => each.node));
  for (const radio of document.querySelectorAll("input[name=chart]")) {
    radio.addEventListener("change", () => (list.dataset.chart = radio.value));
  }
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
  moment.listen(node.querySelector(".charts"), name, charts);
  return { node, numbers, charts, trouble: node.querySelector(".lane-trouble") };
}

/** The samples of the last minutes, in columns (docs/design/console.md): they replace what there was. */
export function history(columns) {
  const named = Object.entries(columns.lanes);
  const at = (lane, index) => ({ ready: lane.ready[index], oldest: lane.oldest[index], rate: lane.rate[index] });
  samples.replace(
    columns.at.map((when, index) => ({
      at: when,
      lanes: new Map(named.map(([name, lane]) => [name, at(lane, index)])),
    })),
  );
  if (reported === null) recall(columns);
  draw();
}

/** The last numbers of a past that the page did not see: better than none while the broker is away. */
function recall({ at, lanes: columns }) {
  const [first] = Object.values(columns);
  const index = first.ready.findLastIndex((ready) => ready !== null);
  if (index < 0) return;
  reported = at[index];
  for (const [name, lane] of Object.entries(columns)) {
    const made = lanes.get(name);
    if (!made) continue;
    drawLane(made, {
      ready: lane.ready[index],
      unacknowledged: lane.in_hand[index],
      oldest: lane.oldest[index],
      rate: lane.rate[index],
    });
  }
}

/** One more sample. */
export function sample({ at, queue, rates }) {
  const named = (queue?.lanes ?? []).map(({ lane, ready, oldest }) => [
    lane,
    { ready, oldest, rate: rates?.[lane] ?? null },
  ]);
  samples.add({ at, lanes: new Map(named) });
  if (queue) {
    reported = at;
    agesKnown = queue.ages_known;
    drawNumbers(queue, rates);
    waiting(queue, deadChanged);
    tell("lanes", problems(queue));
  }
  draw();
}

/** Whether the numbers are no longer of now; they stay, and are shown as old. */
export function old(is) {
  section.classList.toggle("old", is);
  drawAside();
}

/** When the broker last answered (ms), or null. */
export function lastReport() {
  return reported;
}

function draw() {
  if (document.hidden) return;
  const until = Math.max(now(), samples.last?.at ?? 0);
  for (const [name, { charts }] of lanes) {
    for (const { field, chart } of charts) {
      // No age is one, too: nothing is under way, unless nobody could be asked.
      const nothing = field === "oldest" && agesKnown ? "nothing was waiting" : undefined;
      chart.draw(samples.points(name, field), until, nothing);
    }
  }
  drawMarks();
}

function drawMarks() {
  const marked = moment.sample;
  for (const [name, { charts }] of lanes) {
    const numbers = marked?.lanes.get(name);
    for (const { field, chart } of charts) chart.mark(marked?.at ?? moment.at, numbers?.[field] ?? null);
  }
  drawAside();
}

function drawAside() {
  if (moment.at !== null) {
    const at = moment.sample?.at ?? moment.at;
    aside.replaceChildren(`at ${clock(at)}, `, ticks(at));
  } else if (section.classList.contains("old") && reported) {
    aside.replaceChildren(`numbers of ${clock(reported)}, `, ticks(reported));
  } else if (aside.textContent !== HINT) {
    aside.textContent = HINT;
  }
}

function drawNumbers(report, rates) {
  for (const each of report.lanes) {
    const made = lanes.get(each.lane);
    if (!made) continue;
    drawLane(made, { ...each, rate: rates?.[each.lane] ?? null });
    if (!report.ages_known) set(made.numbers.oldest, "?");
    drawTrouble(made, troubleOf(each));
  }
}

/** The numbers of one lane; what is null or missing is not known. */
function drawLane({ numbers }, { ready, unacknowledged, consumers, oldest, rate: known }) {
  const written = (number, write) => (number === null || number === undefined ? "–" : write(number));
  set(numbers.ready, written(ready, count));
  set(numbers.in_hand, written(unacknowledged, count));
  set(numbers.workers, written(consumers, count));
  set(numbers.oldest, written(oldest, span));
  set(numbers.rate, written(known, rate));
  numbers.workers.classList.toggle("bad", consumers === 0);
}

function drawTrouble({ node, trouble }, text) {
  node.classList.toggle("troubled", text !== "");
  trouble.hidden = text === "";
  set(trouble, text);
}

function troubleOf(each) {
  if (each.consumers === 0) return each.ready ? "no worker takes these steps" : "no worker";
  return growing(each) ? "the oldest step only grows older" : "";
}

/** Whether the oldest is old for its lane and nothing moved it during the last minute. */
function growing(each) {
  if (each.oldest === null || !(each.oldest >= LANES[each.lane]?.old)) return false;
  const before = samples.before(each.lane, "oldest", 60);
  return before !== null && each.oldest - before > 45;
}

function problems(report) {
  const found = [];
  const idle = report.lanes.filter((each) => each.consumers === 0);
  if (idle.length) {
    const names = idle.length === report.lanes.length ? "any lane" : idle.map((each) => each.lane).join(", ");
    const text = `No worker takes steps of ${names}: start \`imagegate worker\`, or look at its log and its /readyz.`;
    found.push({ level: "bad", section: "lanes", text });
  }
  for (const each of report.lanes.filter((one) => one.consumers > 0 && growing(one))) {
    const text = `The oldest step of ${each.lane} only grows older: workers are there, but nothing moves.`;
    found.push({ level: "warn", section: "lanes", text });
  }
  if (report.dead) {
    const text = `${several(report.dead, "dead letter")}: steps that no attempt could settle.`;
    found.push({ level: "warn", section: "dead", text });
  }
  return found;
}
