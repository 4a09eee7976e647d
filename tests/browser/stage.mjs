// The real command, its provider, and a browser: what every test here stands on.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

const command = process.env.KEYFOB;
if (!command) throw new Error("KEYFOB must name the built command: use tests/browser/run");

// Longer than anything here takes on a busy machine: whoever reaches it has failed.
const DEADLINE = 60_000;

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A provider and a home of their own, with nothing of the test's own environment. */
export class Stage {
  static async open() {
    const stage = new Stage();
    stage.home = await mkdtemp(join(tmpdir(), "keyfob-browser-"));
    stage.children = [];
    const server = stage.start(["dev-server", "--port", "0"], {});
    stage.base = await server.line();
    return stage;
  }

  async close() {
    for (const run of this.children) run.child.kill();
    await Promise.all(this.children.map((run) => run.ended));
    await rm(this.home, { recursive: true });
  }

  start(words, environment, program = command) {
    const run = new Run(program, words, { PATH: process.env.PATH, HOME: this.home, ...environment });
    this.children.push(run);
    return run;
  }

  keyfob(...words) {
    return this.start(words, this.environment());
  }

  /** Another program, for which keyfob means this provider and this home. */
  program(name, words, environment) {
    return this.start(words, { ...this.environment(), ...environment }, name);
  }

  environment() {
    return {
      KEYFOB_HOME: join(this.home, "keyfob"),
      USE_LOCAL_OAUTH: "1",
      CLAUDE_LOCAL_OAUTH_API_BASE: this.base,
      CLAUDE_LOCAL_OAUTH_APPS_BASE: this.base,
      CLAUDE_LOCAL_OAUTH_CONSOLE_BASE: this.base,
    };
  }

  /** Begins to sign in; `url` is what a person would open. */
  async login(...words) {
    const run = this.keyfob("login", "--no-browser", ...words);
    run.url = await run.line();
    return run;
  }
}

class Run {
  constructor(program, words, env) {
    this.words = words;
    this.child = spawn(program, words, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.stdout = "";
    this.child.stdout.setEncoding("utf8").on("data", (text) => (this.stdout += text));
    this.stderr = "";
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.stderr += text));
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.ended = once(this.child, "close").then(([code, signal]) => code ?? signal);
  }

  async line() {
    const { value } = await within(this.lines.next(), `a line of keyfob ${this.words.join(" ")}`);
    if (value === undefined) throw new Error(`keyfob ${this.words.join(" ")}: ${this.stderr}`);
    return value;
  }

  /** All that it writes to standard output, until it has written this. */
  async writes(text) {
    await this.until(() => this.stdout.includes(text), text);
    return this.stdout;
  }

  /** What it says to a person, as soon as it says something like this: the first group. */
  async says(pattern) {
    await this.until(() => pattern.test(this.stderr), pattern);
    return pattern.exec(this.stderr)[1];
  }

  async until(so, what) {
    for (const end = Date.now() + DEADLINE; !so(); ) {
      if (Date.now() > end) {
        throw new Error(`keyfob ${this.words.join(" ")} did not say ${what}: ${this.stdout} ${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  type(text) {
    this.child.stdin.write(text);
  }

  /** The exit code. */
  end() {
    return within(this.ended, `the end of keyfob ${this.words.join(" ")}: ${this.stderr}`);
  }
}

/** Debian's Chromium, or the one CHROMIUM names, in a new profile. */
export function openBrowser(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // Its own sandbox needs an ordinary user.
    chromiumSandbox: process.getuid() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
}

/** A browser and a stage for the tests of a file: there when the first begins, gone when the last has ended. */
export function forAllTests() {
  const here = {};
  before(async () => {
    here.browser = await openBrowser();
    here.stage = await Stage.open();
  });
  after(async () => {
    await here.browser?.close();
    await here.stage?.close();
  });
  return here;
}
