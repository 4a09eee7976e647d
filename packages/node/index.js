// Credentials from keyfob, which signs in once and hands every program a valid one: docs/protocol.md of keyfob.
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SECRET = ["authorization", "x-api-key"];

/** Why there is no credential: what failed, why, and one thing to do. */
export class KeyfobError extends Error {
  constructor({ id, cause, what, why, hint, exit_code }) {
    super(`${what}: ${why} (hint: ${hint})`);
    Object.assign(this, { name: "KeyfobError", id, reason: cause ?? null, what, why, hint, exitCode: exit_code });
  }
}

const failure = (id, why, hint, exit_code) => new KeyfobError({ id, what: "keyfob gives no credential", why, hint, exit_code });

/** What to send. Token and headers are not shown by console.log, and are left out of JSON. */
export class Credential {
  constructor({ headers, token, kind, source, handle, profile, expires_at, expires_in, warning }) {
    Object.assign(this, { kind, source, handle, profile, expiresAt: expires_at, expiresIn: expires_in, warning: warning ?? null });
    const joined = Object.entries(headers).map(([name, values]) => [name, values.join(", ")]);
    Object.defineProperty(this, "headers", { value: Object.freeze(Object.fromEntries(joined)) });
    Object.defineProperty(this, "token", { value: token });
  }

  /** Puts the headers on. One that is a list, as anthropic-beta is, is added to what is sent anyway. */
  putOn(headers) {
    for (const [name, value] of Object.entries(this.headers)) {
      const there = headers.get(name)?.split(",").map((part) => part.trim());
      if (!there || SECRET.includes(name.toLowerCase())) headers.set(name, value);
      else if (!there.includes(value)) headers.append(name, value);
    }
    return headers;
  }
}

/** The request with its credential. A redirect that fetch follows to another host takes every header there but `Authorization`. */
function guarded(request, credential) {
  const isTakenAlong = ([name, value]) =>
    name.toLowerCase() !== "authorization" && (SECRET.includes(name.toLowerCase()) || value.includes(credential.token));
  if (request.redirect === "follow" && Object.entries(credential.headers).some(isTakenAlong))
    throw new TypeError('redirect: "follow" would give this credential to whatever host is redirected to: leave it out');
  credential.putOn(request.headers);
  return request;
}

/** The program: in the package of this platform, beside this file, or in PATH. No variable of keyfob's own is read: one that a
 * repository sets must not name what is run. */
export function findProgram() {
  const places = [join(dirname(fileURLToPath(import.meta.url)), "bin")];
  try {
    const manifest = `@keyfob/${process.platform}-${process.arch}/package.json`;
    places.unshift(join(dirname(createRequire(import.meta.url).resolve(manifest)), "bin"));
  } catch {
    // This platform has none, or it was installed without optional packages.
  }
  places.push(...(process.env.PATH ?? "").split(delimiter).filter(isAbsolute));
  for (const place of places) {
    const path = join(place, "keyfob");
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here.
    }
  }
  throw failure("keyfob-missing", "the program is not installed", "install keyfob, or give its path as `program`", 2);
}

/** Asks one keyfob, which is started when it is first needed and again when it has ended. */
export class Client {
  #words;
  #child = null;
  #next = 1;

  constructor({ profile, environment, program } = {}) {
    this.#words = [program ?? findProgram(), "serve", "--stdio"];
    if (profile) this.#words.push(`--profile=${profile}`);
    if (environment) this.#words.push(`--environment=${environment}`);
  }

  /** A credential for a request to this address, renewed if that is due. `rejected` is the handle of one that got a 401. */
  async get(uri, { profile, kind = "access", minValid = 0, rejected, wait = 10 } = {}) {
    const question = { v: 1, uri: uri === undefined ? undefined : String(uri), profile, kind, min_valid: minValid, rejected, wait };
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = await this.#ask({ ...question, id: this.#next++ }, (wait + 20) * 1000);
      if (answer?.error) throw new KeyfobError(answer.error);
      if (answer) return new Credential(answer);
    }
    throw failure("keyfob-ended", "it has ended without an answer", "see what it said on standard error, or try `keyfob token`", 70);
  }

  /** The token alone: a function as SDKs take it, such as `new OpenAI({ apiKey: () => client.token() })`. */
  async token(uri) {
    return (await this.get(uri)).token;
  }

  /** As `fetch`, with the credential, and once more with another one after a 401, unless the body is a stream: what was read from one
   * cannot be sent twice, and so the 401 is returned, and the next request has the new one. Redirects are not followed unless asked for, which
   * is a TypeError for a credential in another header than `Authorization`: fetch would send that to any host redirected to. */
  async fetch(resource, init) {
    const request = new Request(resource, { redirect: "manual", ...init });
    // The signal ends the waiting for keyfob as well.
    const { signal } = request;
    signal.throwIfAborted();
    const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    const credential = await Promise.race([this.get(request.url), aborted]);
    // A clone of a stream keeps in memory all of it that the first request reads.
    const isStream = (body) => body instanceof ReadableStream || typeof body?.[Symbol.asyncIterator] === "function";
    const isStreamed = request.body && (isStream(init?.body) || !init?.body);
    const again = isStreamed ? null : request.clone();
    const response = await fetch(guarded(request, credential));
    const isOther = response.redirected && new URL(response.url).origin !== new URL(request.url).origin;
    if (response.status !== 401 || !credential.handle || isOther) return response;
    const rejected = { rejected: credential.handle, profile: credential.profile ?? undefined };
    const next = await Promise.race([this.get(request.url, rejected), aborted]);
    if (!again) return response;
    await response.body?.cancel();
    return fetch(guarded(again, next));
  }

  /** Ends the process. It ends with this one too. */
  close() {
    this.#child?.stdin.end();
    this.#child = null;
  }

  #start() {
    const child = spawn(this.#words[0], this.#words.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    child.waiting = new Map();
    const end = (failed) => {
      if (this.#child === child) this.#child = null;
      for (const done of child.waiting.values()) done(failed);
      child.waiting.clear();
    };
    child.on("error", (error) => end(failure("keyfob-missing", error.message, "give its path as `program`", 2)));
    child.stdin.on("error", () => {});
    createInterface({ input: child.stdout }).on("close", () => end(null)).on("line", (line) => {
      try {
        const answer = JSON.parse(line);
        child.waiting.get(answer.id)?.(answer);
      } catch {
        // It is none, and nobody's: who waits for one is told when its time is over.
      }
    });
    return child;
  }

  #ask(question, time) {
    const child = (this.#child ??= this.#start());
    // What waits for an answer keeps this process, and nothing else of it does.
    const keep = (does) => [child, child.stdin, child.stdout].forEach((part) => (does ? part.ref() : part.unref()));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        // What it has started may hold the pipes for long: the next question starts another one.
        if (this.#child === child) this.#child = null;
        child.stdin.destroy();
        done(failure("keyfob-silent", "no answer came in time", "ask again", 6));
      }, time);
      const done = (answer) => {
        clearTimeout(timer);
        child.waiting.delete(question.id);
        if (child.waiting.size === 0) keep(false);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      child.waiting.set(question.id, done);
      keep(true);
      child.stdin.write(`${JSON.stringify(question)}\n`);
    });
  }
}
