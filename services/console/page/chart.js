// One small chart: a line over the last fifteen minutes, its axes, and a mark at one moment.

import { WINDOW, runs } from "./series.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 66;
const TOP = 8;
const BOTTOM = 16;
const LEFT = 46;
const RIGHT = 8;
const GRID = [0, 5, 10, 15];
/** Minutes before now that have a line. */

/** Draws into an `<svg>`; its words are for eyes only, whoever owns it says them in others' too. */
export class Chart {
  #svg;
  #parts = {};
  #look;
  #width = 0;
  #drawn = null;

  /**
   * `look` says how to draw: `{kind, top(highest), tick(top), value(number)}`; `kind` is the class
   * that colours it, `top` the upper end of the axis, `tick` and `value` write numbers with units.
   */
  constructor(svg, look) {
    this.#svg = svg;
    this.#look = look;
    svg.classList.add("chart", look.kind);
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("height", HEIGHT);
    this.#build();
    new ResizeObserver(([entry]) => this.#resized(entry.contentRect.width)).observe(svg);
  }

  /** Show `points` (`{at, value}`) as they are at `now`; `nothing` is said where none has a value. */
  draw(points, now, nothing = "no data yet") {
    this.#drawn = { points, now };
    write(this.#parts.empty, nothing);
    if (this.#width < LEFT + RIGHT + 20) return;
    const start = now - WINDOW;
    const inside = this.#width - LEFT - RIGHT;
    const lines = runs(points, slotWidth(inside)).map((run) => run.filter((point) => point.at >= start));
    const highest = Math.max(0, ...lines.flat().map((point) => point.value));
    const top = this.#look.top(highest);
    const x = (at) => LEFT + ((at - start) / WINDOW) * inside;
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    this.#drawn = { points, now, x, y, start };
    const { line, area, top: label, empty } = this.#parts;
    line.setAttribute("d", lines.map((run) => lineOf(run, x, y)).join(""));
    area.setAttribute("d", lines.map((run) => areaOf(run, x, y)).join(""));
    write(label, this.#look.tick(top));
    empty.classList.toggle("gone", lines.some((run) => run.length > 0));
  }

  /** The moment (ms) at a place of the screen, within the window. */
  momentAt(clientX) {
    if (!this.#drawn?.x) return null;
    const box = this.#svg.getBoundingClientRect();
    const inside = this.#width - LEFT - RIGHT;
    const share = Math.min(1, Math.max(0, (clientX - box.left - LEFT) / inside));
    return this.#drawn.start + share * WINDOW;
  }

  /** Mark the value of one moment, or nothing with null. */
  mark(at, value) {
    const { mark } = this.#parts;
    const shown = at !== null && this.#drawn?.x && at >= this.#drawn.start;
    mark.classList.toggle("gone", !shown);
    if (!shown) return;
    const x = this.#drawn.x(at);
    const [rule, dot, text] = mark.children;
    place(rule, { x1: x, x2: x });
    dot.classList.toggle("gone", value === null);
    if (value !== null) place(dot, { cx: x, cy: this.#drawn.y(value) });
    const left = x > this.#width / 2;
    place(text, { x: x + (left ? -6 : 6), "text-anchor": left ? "end" : "start" });
    write(text, value === null ? "not known" : this.#look.value(value));
  }

  #resized(width) {
    if (Math.round(width) === this.#width) return;
    this.#width = Math.round(width);
    this.#svg.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    this.#lay();
    if (this.#drawn) this.draw(this.#drawn.points, this.#drawn.now, this.#parts.empty.textContent);
  }

  #build() {
    const text = (className) => shape("text", { class: className });
    const mark = shape("g", { class: "mark gone" });
    mark.append(
      shape("line", { y1: TOP - 4, y2: HEIGHT - BOTTOM }),
      shape("circle", { r: 3 }),
      shape("text", { y: TOP + 5, class: "value" }),
    );
    this.#parts = {
      grid: shape("g", { class: "grid" }),
      area: shape("path", { class: "area" }),
      line: shape("path", { class: "line" }),
      top: text("tick"),
      zero: text("tick"),
      past: text("tick"),
      third: text("tick"),
      half: text("tick"),
      today: text("tick"),
      empty: text("empty"),
      mark,
    };
    write(this.#parts.zero, "0");
    write(this.#parts.past, "−15 min");
    write(this.#parts.third, "−10");
    write(this.#parts.half, "−5");
    write(this.#parts.today, "now");
    this.#svg.replaceChildren(...Object.values(this.#parts));
  }

  #lay() {
    const floor = HEIGHT - BOTTOM;
    const right = this.#width - RIGHT;
    const { grid, top, zero, past, third, half, today, empty } = this.#parts;
    const at = (minutes) => right - (minutes / 15) * (right - LEFT);
    grid.replaceChildren(
      shape("line", { x1: LEFT, x2: right, y1: TOP, y2: TOP }),
      shape("line", { x1: LEFT, x2: right, y1: floor, y2: floor, class: "floor" }),
      ...GRID.map((minutes) =>
        shape("line", { x1: at(minutes), x2: at(minutes), y1: floor, y2: floor + 3, class: "floor" }),
      ),
    );
    place(top, { x: LEFT - 6, y: TOP + 4, "text-anchor": "end" });
    place(zero, { x: LEFT - 6, y: floor + 3, "text-anchor": "end" });
    place(past, { x: LEFT, y: HEIGHT - 2, "text-anchor": "start" });
    place(third, { x: at(10), y: HEIGHT - 2, "text-anchor": "middle" });
    place(half, { x: at(5), y: HEIGHT - 2, "text-anchor": "middle" });
    place(today, { x: right, y: HEIGHT - 2, "text-anchor": "end" });
    place(empty, { x: LEFT + (right - LEFT) / 2, y: TOP + 24, "text-anchor": "middle" });
  }
}

/** How much time one point stands for (ms), so that there is about one for two pixels. */
function slotWidth(inside) {
  return Math.max(1000, Math.ceil((WINDOW / inside) * 2 / 1000) * 1000);
}

function lineOf(run, x, y) {
  // A single point would be a line without length: it gets one of a pixel.
  if (run.length === 1) return `M${fixed(x(run[0].at) - 0.5)} ${fixed(y(run[0].value))}h1`;
  return run.map((point, index) => `${index ? "L" : "M"}${fixed(x(point.at))} ${fixed(y(point.value))}`).join("");
}

function areaOf(run, x, y) {
  if (run.length < 2) return "";
  const floor = HEIGHT - BOTTOM;
  return `${lineOf(run, x, y)}L${fixed(x(run.at(-1).at))} ${floor}L${fixed(x(run[0].at))} ${floor}Z`;
}

function fixed(number) {
  return Math.round(number * 10) / 10;
}

function shape(name, attributes) {
  return place(document.createElementNS(SVG, name), attributes);
}

function place(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
