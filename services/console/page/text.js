// Everything that is shown passes here: text from outside is untrusted, and never becomes markup.

// Control and format characters (bidi marks among them), separators, halves of surrogate pairs,
// and code points that nobody assigned: what a reader cannot see, or what turns the text around.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** How one unseen character is written: as the log writes it. */
function escaped(character) {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0);
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}

/** The text in one line, with what is unseen written out. */
export function visible(text) {
  return String(text ?? "").replace(UNSEEN, escaped);
}

/**
 * Put `text` into `node`; what is unseen is written out and marked as such.
 * With `lines` the line breaks of the text stay what they are.
 */
export function show(node, text, { lines = false } = {}) {
  const whole = String(text ?? "");
  const parts = [];
  let from = 0;
  for (const match of whole.matchAll(UNSEEN)) {
    if (lines && match[0] === "\n") continue;
    if (match.index > from) parts.push(whole.slice(from, match.index));
    parts.push(make("span", { class: "unseen" }, escaped(match[0])));
    from = match.index + match[0].length;
  }
  parts.push(whole.slice(from));
  node.replaceChildren(...parts);
  return node;
}

/** Put `text` into `node` only where it differs: what did not change is neither drawn nor read out. */
export function set(node, text) {
  const next = visible(text);
  if (node.textContent !== next) node.textContent = next;
}

/** An element with attributes and children; a child that is text stays text. */
export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** An element of that class with text from outside in it. */
export function outside(name, className, text, options) {
  return show(make(name, { class: className }), text, options);
}

const LONG = 600;

/** A block of text from outside; of a long one the beginning, and the whole behind a button. */
export function block(className, text, { lines = true } = {}) {
  const whole = String(text ?? "");
  if (whole.length <= LONG) return outside("div", `${className} outside`, whole, { lines });
  const shown = outside("div", `${className} outside`, `${whole.slice(0, LONG)}…`, { lines });
  const more = make("button", { type: "button", class: "quiet" });
  more.textContent = `Show all ${count(whole.length)} characters`;
  more.addEventListener("click", () => {
    show(shown, whole, { lines });
    more.remove();
  });
  return make("div", {}, shown, more);
}

const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** A count, its thousands apart. */
export function count(number) {
  return WHOLE.format(number).replaceAll(",", "\u202f");
}

/** `1 image`, `2 images`. */
export function several(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
