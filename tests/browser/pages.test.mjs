// The pages, with a keyboard alone: on small and large screens, light and dark, with and without JavaScript.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createRequire } from "node:module";
import { Stage, openBrowser } from "./stage.mjs";
import { PAGES, walk } from "./walk.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
let stage;

before(async () => {
  browser = await openBrowser();
  stage = await Stage.open();
});
after(async () => {
  await browser?.close();
  await stage?.close();
});

/** Walks in a context of its own and makes sure that no page was left out. */
async function walkIn(options, look) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(30_000);
  const complaints = [];
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    // What a page asks for and does not get is an error to the browser; ours answer 400 and 404 on purpose.
    if (!/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  const seen = [];
  await walk(stage, context, async (page, name) => {
    seen.push(name);
    await look(page, name);
  });
  await context.close();
  assert.deepEqual(seen.toSorted(), PAGES.toSorted());
  assert.deepEqual(complaints, []);
}

async function fitsIntoItsWindow(page, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${name} is ${wide} wide in a window of ${window}`);
}

async function isAccessible(page, name) {
  // Beside the page's own policy, not through it: the debugger is not bound by it.
  await page.evaluate(axe);
  const { violations, passes, incomplete } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], name);
  // An engine that found nothing to check would find nothing wrong either.
  const held = passes.map((rule) => rule.id);
  for (const rule of ["color-contrast", "document-title", "html-has-lang", "page-has-heading-one", "region"]) {
    assert.ok(held.includes(rule), `${name}: ${rule} was not checked`);
  }
  assert.deepEqual(incomplete.map((rule) => rule.id), [], `${name}: undecided`);
}

// All at once: a walk waits longest for the provider's pace between two questions about a device code.
describe("every page", { concurrency: true }, () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [screen, width, height] of [["narrow", 320, 568], ["wide", 1280, 800]]) {
      test(`accessible by keyboard: ${colorScheme}, ${screen}`, () =>
        walkIn({ colorScheme, viewport: { width, height } }, async (page, name) => {
          const shade = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
          const bright = shade.match(/\d+/g).slice(0, 3).every((part) => Number(part) > 127);
          assert.equal(bright, colorScheme === "light", `${name} in ${colorScheme}: ${shade}`);
          await fitsIntoItsWindow(page, name);
          await isAccessible(page, name);
        }));
    }
  }

  test("without JavaScript", () =>
    walkIn({ javaScriptEnabled: false, viewport: { width: 320, height: 568 } }, fitsIntoItsWindow));
});
