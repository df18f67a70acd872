// The page: log-in, the stream, and what is asked now and then.

import { Refusal, ask, logIn, logOut, whenRefused } from "./api.js";
import { forget, tell } from "./attention.js";
import { askDead, startDead } from "./dead.js";
import { decisions, startDecisions } from "./decisions.js";
import { history, lastReport, old, sample, startLanes } from "./lanes.js";
import { askParts, startParts } from "./parts.js";
import { processes } from "./processes.js";
import { Stream } from "./stream.js";
import { set, visible } from "./text.js";
import { heard, startTicking } from "./time.js";
import { askVerdicts, refreshVerdicts, seekVerdicts, startVerdicts } from "./verdicts.js";

const AGAIN = 3_000;
const EVERY = { parts: 10_000, verdicts: 15_000, dead: 30_000 };

const views = ["login", "away", "console"].map((id) => document.getElementById(id));
const live = document.getElementById("live");
const token = document.getElementById("token");
const wrong = document.getElementById("login-error");

let trouble = {};
let lastSample = null;
let lost = false;
let timers = [];

const stream = new Stream({
  history: (columns) => history(columns),
  sample: seen,
  decisions,
  trouble: (now) => {
    trouble = now;
    drawTrouble();
  },
  lost: () => {
    lost = true;
    drawTrouble();
  },
  refused: showLogin,
});

function showOnly(id) {
  for (const view of views) view.hidden = view.id !== id;
}

/** The session holds: show the console. Otherwise the log-in; no answer: try again. */
async function start() {
  try {
    await ask("session");
  } catch (error) {
    if (error.status === 401) showLogin();
    else {
      showOnly("away");
      setTimeout(start, AGAIN);
    }
    return;
  }
  showConsole();
}

function showConsole() {
  showOnly("console");
  stream.open();
  poll(() => askParts(() => new Set(Object.keys(trouble))), EVERY.parts);
  poll(askDead, EVERY.dead);
  askVerdicts();
  timers.push(setInterval(() => document.hidden || refreshVerdicts(), EVERY.verdicts));
}

function poll(question, every) {
  question();
  timers.push(setInterval(() => document.hidden || question(), every));
}

/** Nothing that was shown stays: the page starts anew behind the next log-in. */
function showLogin() {
  const before = views.find((view) => view.id === "console");
  stream.stop();
  timers.forEach(clearInterval);
  timers = [];
  if (!before.hidden) {
    location.reload();
    return;
  }
  forget();
  showOnly("login");
  token.focus();
}

function seen(one) {
  heard(one.at);
  lastSample = one.at;
  if (lost) {
    lost = false;
    askVerdicts();
    askDead();
  }
  sample(one);
  if (one.processes) processes(one.processes, one.at);
  drawTrouble();
}

const STANDS_STILL = {
  queue: "Lanes, delays and dead letters stand still.",
  store: "Ages, rates, processes, decisions and verdicts stand still.",
};

function drawTrouble() {
  live.dataset.state = lost ? "lost" : lastSample ? "live" : "wait";
  set(live.lastElementChild, lost ? "reconnecting" : lastSample ? "live" : "connecting");
  old(lost || "queue" in trouble);
  document.body.classList.toggle("store-away", lost || "store" in trouble);
  const problems = Object.entries(trouble).map(([part, why]) => ({
    level: "bad",
    section: "parts",
    text: `No answer from the ${part}: ${why}. ${STANDS_STILL[part] ?? ""}`,
    since: part === "queue" ? lastReport() : null,
  }));
  if (lost) {
    problems.unshift({ level: "bad", section: "main", text: "The stream is lost, reconnecting.", since: lastSample });
  }
  if (lost || lastSample) tell("stream", problems);
}

document.getElementById("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  wrong.textContent = "";
  try {
    await logIn(token.value);
    token.value = "";
    showConsole();
    document.getElementById("main").focus();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    wrong.textContent = error.status === 401 ? "That is not the token." : `${visible(error.message)}.`;
    token.select();
  } finally {
    button.disabled = false;
  }
});

document.getElementById("logout").addEventListener("click", async () => {
  try {
    await logOut();
    showLogin();
  } catch (error) {
    tell("logout", [{ level: "bad", section: "main", text: `Could not log out: ${error.message}.` }]);
  }
});

whenRefused(showLogin);
startTicking();
startParts();
startLanes(askDead);
startDecisions(seekVerdicts);
startVerdicts();
startDead();
start();
