// Asks the server that the page came from, and sees to it that only what is current is asked and shown.

const PATIENCE_MS = 10_000;

let token = ""; // in memory alone: whoever loads the page anew has to give it again

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0 where there was no answer at all
  }
}

export function authorise(given) {
  token = given;
}

/** The JSON at a path; with a body, the answer to it. Throws Refused with the server's own words. */
export async function ask(path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let reply;
  let content;
  try {
    reply = await fetch(path, options);
    content = await reply.text();
  } catch (error) {
    throw new Refused(0, `the server does not answer (${error.name})`);
  }
  let told;
  try {
    told = JSON.parse(content);
  } catch {
    throw new Refused(reply.status, `the server answered ${reply.status} without JSON`);
  }
  if (!reply.ok) throw new Refused(reply.status, told.error ?? `the server answered ${reply.status}`);
  return told;
}

/**
 * A line to the server on which at most one request is under way. Wishes are collected for `pause_ms`, of those that
 * wait only the newest is sent, and an answer is shown only while nothing newer was wished for.
 */
export function newest(pause_ms, send, show, fail) {
  let wish = null;
  let number = 0;
  let timer = null;
  let busy = false;

  async function go() {
    timer = null;
    const [mine, wanted] = [number, wish];
    wish = null;
    busy = true;
    try {
      const answer = await send(wanted);
      if (mine === number) show(answer, wanted);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === number) fail(error);
    } finally {
      busy = false;
      if (wish !== null) timer = setTimeout(go, pause_ms);
    }
  }

  return (wanted) => {
    wish = wanted;
    number += 1;
    if (!busy && timer === null) timer = setTimeout(go, pause_ms);
  };
}

/** A request's tensors of one column each: `columns` holds, by name, as many numbers (null: missing) as there are rows. */
export function tensors(columns) {
  return Object.entries(columns).map(([name, data]) => ({ name, datatype: "FP32", shape: [data.length, 1], data }));
}

/** An answer's columns by output. */
export function columns(answer) {
  return Object.fromEntries(answer.outputs.map((output) => [output.name, output.data]));
}
