// The console's HTTP API (docs/design/console.md): questions, log-in, and the stream.

/** An answer that is none: what the server says, or that there is no server. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT = 20_000;

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT) });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Refusal(0, late ? "the console did not answer in time" : "the console does not answer");
  }
  if (answer.ok) return answer;
  throw new Refusal(answer.status, await said(answer));
}

async function said(answer) {
  try {
    const { error } = await answer.json();
    if (typeof error === "string" && error) return error;
  } catch {
    // What answers there is not the console: a proxy, perhaps. Its status has to do.
  }
  return `the console answered with ${answer.status}`;
}

/** The answer of `GET /api/NAME`; raises Refusal. A refused session is told to `whenRefused`. */
export async function ask(name, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
  try {
    const answer = await call(`/api/${name}${query.size ? `?${query}` : ""}`);
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(0, "the console's answer is no JSON");
    if (error.status === 401 && name !== "session") refused();
    throw error;
  }
}

let refused = () => {};

/** Who is called when the session has ended. */
export function whenRefused(then) {
  refused = then;
}

/** Trade the token for a session; raises Refusal. */
export async function logIn(token) {
  await call("/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
}

export async function logOut() {
  try {
    await call("/logout", { method: "POST" });
  } catch (error) {
    if (error.status !== 401) throw error;
  }
}
