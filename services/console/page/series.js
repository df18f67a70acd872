// The last fifteen minutes of every lane, and what a chart draws of them.

export const WINDOW = 15 * 60_000;

/** Points further apart than this (ms) have a gap between them; nobody watching, one comes in 10 s. */
const GAP = 22_000;

/** Samples in the order of their times, the last WINDOW of them. */
export class Samples {
  #all = [];

  get last() {
    return this.#all.at(-1) ?? null;
  }

  /** Start anew with these. */
  replace(samples) {
    this.#all = samples.toSorted((one, other) => one.at - other.at);
    this.#trim();
  }

  add(sample) {
    // A clock that was put back: what it had said for later is no longer true.
    while (this.last && this.last.at >= sample.at) this.#all.pop();
    this.#all.push(sample);
    this.#trim();
  }

  /** The points of one lane: `{at, value}`, value null where it was not known. */
  points(lane, field) {
    return this.#all.map((sample) => ({ at: sample.at, value: sample.lanes.get(lane)?.[field] ?? null }));
  }

  /** The sample nearest to `at`, or null where none is near. */
  near(at, within = GAP) {
    let best = null;
    for (const sample of this.#all) {
      if (!best || Math.abs(sample.at - at) < Math.abs(best.at - at)) best = sample;
    }
    return best && Math.abs(best.at - at) <= within ? best : null;
  }

  /** What `field` of a lane was about `seconds` before the last sample; null where not known. */
  before(lane, field, seconds) {
    if (!this.last) return null;
    return this.near(this.last.at - seconds * 1000)?.lanes.get(lane)?.[field] ?? null;
  }

  #trim() {
    const first = (this.last?.at ?? 0) - WINDOW - GAP;
    const keep = this.#all.findIndex((sample) => sample.at >= first);
    if (keep > 0) this.#all.splice(0, keep);
  }
}

/**
 * Runs of points without a gap in them, each thinned to one point every `width` ms: the highest,
 * so that a peak does not vanish. The slots are fixed in time: a point that was drawn stays put.
 */
export function runs(points, width) {
  const all = [];
  let run = null;
  let before = null;
  for (const point of points) {
    if (point.value === null) {
      run = null;
      continue;
    }
    if (run === null || point.at - before > GAP) all.push((run = []));
    before = point.at;
    const slot = Math.floor(point.at / width);
    const same = run.at(-1);
    if (same?.slot !== slot) run.push({ slot, at: point.at, value: point.value });
    else if (point.value >= same.value) same.value = point.value;
  }
  return all;
}

const NICE_SECONDS = [
  10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 345_600, 604_800,
];

/** The top of an axis that holds `highest`: 1, 2 or 5 times a power of ten, at least `least`. */
export function niceTop(highest, least) {
  const wanted = Math.max(highest, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= wanted * 0.999);
}

/** The same for seconds: a round number of seconds, minutes, hours or days. */
export function niceSeconds(highest, least) {
  const wanted = Math.max(highest, least);
  return NICE_SECONDS.find((top) => top >= wanted) ?? Math.ceil(wanted / 604_800) * 604_800;
}
