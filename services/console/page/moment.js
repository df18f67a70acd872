// One moment, marked in all charts at once: by pointing at it, by a tap, or with the keyboard.

import { LOOKS } from "./looks.js";
import { WINDOW } from "./series.js";
import { clock, now } from "./time.js";

const STEPS = { ArrowLeft: -10, ArrowDown: -10, ArrowRight: 10, ArrowUp: 10, PageDown: -60, PageUp: 60 };
/** Seconds that a key goes. */

export class Moment {
  #samples;
  #moved;
  #at = null;

  /** `samples` are looked into; `moved()` is called when another moment is meant. */
  constructor(samples, moved) {
    this.#samples = samples;
    this.#moved = moved;
    document.addEventListener("pointerdown", (event) => {
      if (!event.target.closest?.(".charts")) this.#point(null);
    });
  }

  /** When (ms), or null: none is marked. */
  get at() {
    return this.#at;
  }

  /** The sample of it, or null where nobody looked. */
  get sample() {
    return this.#at === null ? null : this.#samples.near(this.#at);
  }

  /** Let `area`, which holds `charts` of the lane `name`, mark moments. */
  listen(area, name, charts) {
    area.setAttribute("aria-label", `${name}: a moment of its charts`);
    area.setAttribute("aria-valuetext", "now");
    const pointed = (event) => {
      const index = [...area.children].indexOf(event.target.closest?.("figure"));
      if (index >= 0) this.#point(charts[index].chart.momentAt(event.clientX));
    };
    area.addEventListener("pointermove", pointed);
    area.addEventListener("pointerdown", pointed);
    area.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#point(null));
    area.addEventListener("keydown", (event) => this.#key(event, area, name));
    area.addEventListener("focus", () => this.#say(area, name));
    area.addEventListener("blur", () => this.#point(null));
  }

  #key(event, area, name) {
    const latest = this.#latest();
    let to = null;
    if (event.key in STEPS) to = (this.#at ?? latest) + STEPS[event.key] * 1000;
    else if (event.key === "Home") to = latest - WINDOW;
    else if (event.key === "End") to = latest;
    else if (event.key !== "Escape") return;
    event.preventDefault();
    this.#point(to === null ? null : Math.min(latest, Math.max(latest - WINDOW, to)));
    this.#say(area, name);
  }

  #point(at) {
    if (at === this.#at) return;
    this.#at = at;
    this.#moved();
  }

  /** Say what the charts show there to who does not see them. */
  #say(area, name) {
    const latest = this.#latest();
    const at = this.#at ?? latest;
    const numbers = this.#samples.near(at)?.lanes.get(name);
    const told = numbers
      ? Object.entries(LOOKS).map(([chart, look]) => spoken(chart, look, numbers))
      : ["nobody looked"];
    area.setAttribute("aria-valuenow", Math.round((at - latest) / 1000));
    area.setAttribute("aria-valuetext", `${this.#at === null ? "now" : clock(at)}: ${told.join(", ")}`);
  }

  #latest() {
    return this.#samples.last?.at ?? now();
  }
}

function spoken(chart, { field, value }, numbers) {
  return `${chart} ${numbers[field] === null ? "not known" : value(numbers[field])}`;
}
