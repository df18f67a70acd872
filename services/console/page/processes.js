// Who of us is alive, by service.

import { tell } from "./attention.js";
import { Rows, cell, facts, row } from "./rows.js";
import { make, outside, set, several } from "./text.js";
import { aim, ticks } from "./time.js";

const SILENT = 6_000;
/** Milliseconds without a beat that are worth saying: three were missed. */

const SHOWN = 300;

const rows = new Rows(document.getElementById("processes-list"));
const aside = document.getElementById("processes-aside");
const known = new Map();

/** Show these (`Alive`), as they were seen at `at` (ms). */
export function processes(alive, at) {
  for (const each of alive) {
    const process = known.get(each.beat.name) ?? { seen: ticks(at) };
    known.set(each.beat.name, { ...process, alive: each, at });
  }
  const names = new Set(alive.map((each) => each.beat.name));
  for (const name of known.keys()) {
    if (!names.has(name)) known.delete(name);
  }
  rows.show(alive.slice(0, SHOWN), { key: keyOf, build, empty: "Nobody was heard lately." });
  for (const each of alive) aim(known.get(each.beat.name).seen, at - each.seen);
  set(aside, asideOf(alive));
  tell("processes", problems(alive));
}

function asideOf(alive) {
  const told = [`${several(alive.length, "process", "processes")} alive`];
  const versions = new Set(alive.map(({ beat }) => beat.version)).size;
  if (versions > 1) told.push(several(versions, "version"));
  if (alive.length > SHOWN) told.push(`the first ${SHOWN} are shown`);
  return told.join(", ");
}

/** Whatever is shown in a closed row: it is built again when one of these changes. */
function keyOf({ beat, seen }) {
  return [beat.name, beat.version, beat.started, beat.stopping, beat.away, seen > SILENT].join("\n");
}

function stateOf({ stopping, away = [] }, seen) {
  if (stopping) return "stopping";
  if (away.length) return `without ${away.join(", ")}`;
  return seen > SILENT ? "silent" : "alive";
}

function build({ beat, seen }) {
  const state = stateOf(beat, seen);
  const told = outside("span", `cell state ${state === "alive" ? "good" : "warn"}`, state);
  const line = [
    cell("service", beat.service),
    nameCell(beat.name),
    told,
    cell("version", beat.version),
    make("span", { class: "cell up" }, "up ", ticks(beat.started, "for")),
    make("span", { class: "cell seen" }, "seen ", known.get(beat.name).seen),
  ];
  return row("process-row", line, () => detailsOf(beat.name));
}

/** `HOST:PID:RANDOM`: where it does not fit, the host's beginning gives way, which many share. */
function nameCell(name) {
  const place = name.slice(name.indexOf("@") + 1);
  const own = place.lastIndexOf("-", place.indexOf(":")) + 1;
  return make(
    "span",
    { class: "cell name" },
    own ? outside("span", "outside", place.slice(0, own)) : null,
    outside("span", "outside", place.slice(own)),
  );
}

function detailsOf(name) {
  const { beat } = known.get(name).alive;
  return facts([
    ["name", beat.name],
    ["version", beat.version],
    ["started", ticks(beat.started)],
    ["away", (beat.away ?? []).join(", ")],
    ["in hand", byLane(beat.in_hand)],
    ["handed to it", byLane(beat.delivered)],
  ]);
}

function byLane(numbers = {}) {
  return Object.entries(numbers)
    .map(([lane, number]) => `${lane} ${number}`)
    .join(", ");
}

function problems(alive) {
  return alive
    .filter(({ beat }) => beat.away?.length)
    .slice(0, 5)
    .map(({ beat }) => ({
      level: "warn",
      section: "processes",
      text: `${beat.name} has no answer from ${beat.away.join(", ")}.`,
    }));
}
