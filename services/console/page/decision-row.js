// One decision: its line, and everything that is known of it.

import { cell, facts, imageCell, plus, row } from "./rows.js";
import { block, count, make, outside, visible } from "./text.js";
import { exact, ticks } from "./time.js";

function level({ allowed, state }) {
  if (allowed) return state === "pass" || state === "exempt" ? "good" : "warn";
  return state === "pending" ? "warn" : "bad";
}

function word({ allowed }) {
  return allowed ? "allowed" : "denied";
}

function objectOf({ namespace, kind, name }) {
  return `${namespace ? `${namespace}/` : ""}${kind}${name ? `/${name}` : ""}`;
}

/** A decision as a row that opens; `whenImage(image)` is called when somebody asks about an image. */
export function decisionRow(each, whenImage) {
  const { decision } = each;
  const images = decision.images ?? [];
  const alike = decision.times ?? 1;
  const verdict = make("span", { class: `cell verdict ${level(decision)}` });
  verdict.append(
    make("b", {}, word(decision)),
    " ",
    outside("span", "state outside", decision.state === "pass" ? "" : words(decision.state)),
    ...(alike > 1 ? [make("span", { class: "times", title: `${alike} reviews alike` }, ` ×${count(alike)}`)] : []),
  );
  const line = [
    make("span", { class: "cell when" }, ticks(decision.at)),
    verdict,
    cell("object", objectOf(decision)),
    userCell(decision.user),
    imageCell("images", images[0] ?? "", plus(images)),
    cell("why", shortReason(decision.reason ?? "", images)),
  ];
  return row("decision-row", line, () => detailsOf(each, whenImage));
}

const ACCOUNT = "system:serviceaccount:";

/** A service account without the words that all of them begin with. */
function userCell(user) {
  if (!user.startsWith(ACCOUNT)) return cell("user", user);
  const name = outside("span", "outside", user.slice(ACCOUNT.length));
  const mark = make("span", { class: "account", title: "service account" }, "sa");
  return make("span", { class: "cell user" }, mark, name);
}

/** The image stands beside it already. */
function shortReason(reason, images) {
  const named = images.map((image) => `image ${image}: `).find((beginning) => reason.startsWith(beginning));
  return reason.slice(named?.length ?? 0);
}

function words(state) {
  return state.replaceAll("_", " ");
}

function detailsOf({ id, decision }, whenImage) {
  return facts([
    ["at", exact(decision.at)],
    ["decision", `${word(decision)} (${decision.code}), ${words(decision.state)}`],
    ["dry run", decision.dry_run ? "yes: nothing was to run" : null],
    ["why", decision.reason ? block("", decision.reason) : null],
    ["rule", decision.rule ? block("", decision.rule) : null],
    ["object", block("", `${objectOf(decision)} (${decision.operation})`)],
    ["user", block("", decision.user)],
    ["images", imagesOf(decision.images ?? [], whenImage)],
    ["reviews alike", decision.times ?? 1],
    ["took", `${Math.round((decision.took ?? 0) * 10) / 10} ms`],
    ["webhook", decision.webhook],
    ["id", id],
  ]);
}

function imagesOf(images, whenImage) {
  if (!images.length) return null;
  const list = make("ul", { class: "images" });
  for (const image of images) {
    const find = make("button", { type: "button", class: "quiet" }, "verdicts");
    find.setAttribute("aria-label", `Verdicts of ${visible(image)}`);
    find.addEventListener("click", () => whenImage(image));
    list.append(make("li", {}, outside("span", "outside", image), " ", find));
  }
  return list;
}
