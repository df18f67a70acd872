// What stands in no lane: steps that wait for their next try, and dead letters.

import { count, make, set } from "./text.js";
import { span } from "./time.js";

const delays = document.getElementById("delays");
const deadCount = document.getElementById("dead-count");

let told = null;

/** Show `delayed` (by delay in seconds) and how many are `dead`; `whenDead` is called when that changed. */
export function waiting({ delayed, dead }, whenDead) {
  drawDelays(delayed);
  const [total, words] = deadCount.children;
  set(total, count(dead));
  set(words, dead === 1 ? "dead letter" : "dead letters");
  deadCount.classList.toggle("bad", dead > 0);
  if (told !== null && told !== dead) whenDead();
  told = dead;
}

function drawDelays(delayed) {
  const entries = Object.entries(delayed).sort(([one], [other]) => one - other);
  const most = Math.max(1, ...entries.map(([, number]) => number));
  while (delays.childElementCount > entries.length) delays.lastElementChild.remove();
  while (delays.childElementCount < entries.length) delays.append(place());
  entries.forEach(([seconds, number], index) => {
    const item = delays.children[index];
    const [delay, total, bar] = item.children;
    set(delay, span(Number(seconds)));
    set(total, count(number));
    bar.style.setProperty("--share", number / most);
    item.classList.toggle("nothing", number === 0);
  });
}

function place() {
  return make("li", {}, make("span", { class: "delay" }), make("b"), make("i", { "aria-hidden": "true" }));
}
