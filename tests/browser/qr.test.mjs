// The QR code of --qr in a real terminal emulator, light and dark, as a camera sees it: zbarimg has to read the address.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Stage, openBrowser } from "./stage.mjs";

const resolve = createRequire(import.meta.url).resolve;
const emulator = await readFile(resolve("@xterm/xterm/lib/xterm.js"), "utf8");
const style = await readFile(resolve("@xterm/xterm/css/xterm.css"), "utf8");

/** Backgrounds people have, and the colours they call black and white there. */
const THEMES = {
  light: { background: "#ffffff", foreground: "#000000" },
  dark: { background: "#000000", foreground: "#d0d0d0" },
  "solarized light": { background: "#fdf6e3", foreground: "#657b83", black: "#073642", white: "#eee8d5" },
  "solarized dark": { background: "#002b36", foreground: "#839496", black: "#073642", white: "#eee8d5" },
};
const COLUMNS = 80;

let browser;
let stage;
let directory;

before(async () => {
  browser = await openBrowser();
  stage = await Stage.open();
  directory = await mkdtemp(join(tmpdir(), "keyfob-qr-"));
});
after(async () => {
  await browser?.close();
  await stage?.close();
  if (directory) await rm(directory, { recursive: true });
});

/** What a program wrote to a terminal of this size until it said `end`. */
async function typescript(words, lines, term, end) {
  // A pseudo-terminal from util-linux: node has none.
  const line = `stty cols ${COLUMNS} rows ${lines}; exec "$KEYFOB" ${words.join(" ")}`;
  const run = stage.program("script", ["-qfec", line, "/dev/null"], { TERM: term, KEYFOB: process.env.KEYFOB });
  const shown = await run.writes(end);
  run.child.kill();
  return shown;
}

/** A picture of the terminal with all of this on it. */
async function photograph(shown, lines, theme, path) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 1600 } });
  await page.setContent(`<!doctype html><style>${style}</style><body style="margin:0"><div id="t"></div>`);
  await page.addScriptTag({ content: emulator });
  await page.evaluate(({ shown, columns, lines, theme }) => {
    const terminal = new globalThis.Terminal({
      cols: columns, rows: lines, theme, fontFamily: "DejaVu Sans Mono", fontSize: 15, scrollback: 0,
    });
    terminal.open(document.getElementById("t"));
    return new Promise((done) => terminal.write(shown, () => requestAnimationFrame(() => requestAnimationFrame(done))));
  }, { shown, columns: COLUMNS, lines, theme });
  await page.locator("#t").screenshot({ path });
  await page.close();
}

/** What stands in the codes on a picture. */
async function scanned(path) {
  const zbar = spawn("zbarimg", ["--nodbus", "--quiet", "--raw", path], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  zbar.stdout.setEncoding("utf8").on("data", (more) => (text += more));
  await new Promise((done, failed) => zbar.on("close", done).on("error", failed));
  return text.trim();
}

for (const [what, words, lines, end] of [
  ["the address of the page", ["login", "--no-browser", "--qr"], 60, "Waiting for the browser"],
  // The smallest usual terminal: the code to type below it is in sight as well.
  ["the address with the code to type", ["login", "--device", "--qr"], 24, "Waiting. The code"],
]) {
  for (const term of ["xterm", "xterm-256color"]) {
    test(`${what} is read from ${term}, light and dark`, async () => {
      const shown = await typescript(words, lines, term, end);
      const code = /^ {4}([A-Z]{4}-[A-Z]{4})\r?$/m.exec(shown)?.[1];
      const address = code
        ? `${stage.base}/device?user_code=${code}`
        : /^(http\S+code_challenge=\S+)\r?$/m.exec(shown)[1];
      for (const [name, theme] of Object.entries(THEMES)) {
        const path = join(process.env.KEEP ?? directory, `${words[1]}-${term}-${name}.png`.replaceAll(" ", "-"));
        await photograph(shown, lines, theme, path);
        assert.equal(await scanned(path), address, name);
      }
    });
  }
}
