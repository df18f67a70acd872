// The three charts of a lane: which number, which axis, which words.

import { niceSeconds, niceTop } from "./series.js";
import { several } from "./text.js";
import { span } from "./time.js";

const DECIMAL = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const FINE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

/** By name: `field` of a lane's numbers, and what `Chart` wants to know. */
export const LOOKS = {
  depth: {
    field: "ready",
    kind: "depth",
    top: (highest) => niceTop(highest, 10),
    tick: short,
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

function short(number) {
  return number >= 10_000 ? `${DECIMAL.format(number / 1000)}k` : DECIMAL.format(number);
}

/** `0.45/s`, `12.3/s`: steps a second. */
export function rate(number) {
  return `${(number < 10 ? FINE : DECIMAL).format(number)}/s`;
}
