// The stream of server-sent events: opened again when it was lost, and known to be lost.

import { ask } from "./api.js";

const EVENTS = ["history", "sample", "decisions", "trouble"];

/** No event for so long (ms): it is lost, whatever the connection says. */
const SILENCE = 20_000;
const AGAIN = 3_000;

/**
 * Calls `handlers[EVENT](data)`; `handlers.lost()` once when it is lost, which ends with the next
 * event; `handlers.refused()` when the session has ended.
 */
export class Stream {
  #handlers;
  #source = null;
  #watch = null;
  #again = null;
  #lost = false;
  #turn = 0;

  constructor(handlers) {
    this.#handlers = handlers;
  }

  open() {
    this.#close();
    const source = new EventSource("/api/stream");
    this.#source = source;
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => this.#heard(name, event.data));
    }
    source.addEventListener("error", () => this.#failed(source));
    this.#listen();
  }

  stop() {
    this.#close();
    this.#lost = false;
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    this.#turn += 1;
    clearTimeout(this.#watch);
    clearTimeout(this.#again);
  }

  #heard(name, data) {
    this.#lost = false;
    this.#listen();
    this.#handlers[name](JSON.parse(data));
  }

  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#lose();
      this.open();
    }, SILENCE);
  }

  #failed(source) {
    if (source !== this.#source) return;
    this.#lose();
    // Otherwise it comes again by itself, after the time that the server asked for.
    if (source.readyState === EventSource.CLOSED) {
      this.#close();
      this.#again = setTimeout(() => this.#reopen(), AGAIN);
    }
  }

  async #reopen() {
    const turn = this.#turn;
    const status = await ask("session").then(() => 204, (error) => error.status);
    // Stopped, or opened otherwise, while the question was under way.
    if (turn !== this.#turn) return;
    if (status === 204) this.open();
    else if (status === 401) this.#handlers.refused();
    else this.#again = setTimeout(() => this.#reopen(), AGAIN);
  }

  #lose() {
    if (this.#lost) return;
    this.#lost = true;
    this.#handlers.lost();
  }
}
