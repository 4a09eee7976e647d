// The pages, with a keyboard alone: on small and large screens, light and dark, with and without JavaScript.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { createRequire } from "node:module";
import { forAllTests } from "./stage.mjs";
import { PAGES, walk } from "./walk.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const here = forAllTests();

/** Walks in a context of its own and makes sure that no page was left out. */
async function walkIn(options, look) {
  const context = await here.browser.newContext(options);
  context.setDefaultTimeout(30_000);
  const complaints = [];
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    // What a page asks for and does not get is an error to the browser; ours answer 400 and 404 on purpose.
    if (!/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  const seen = [];
  await walk(here.stage, context, async (page, name) => {
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

async function isAccessible(page, name, undecidable = []) {
  // Beside the page's own policy, not through it: the debugger is not bound by it.
  await page.evaluate(axe);
  const { violations, passes, incomplete } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], name);
  // An engine that found nothing to check would find nothing wrong either.
  const held = passes.map((rule) => rule.id);
  for (const rule of ["color-contrast", "document-title", "html-has-lang", "page-has-heading-one", "region"]) {
    assert.ok(held.includes(rule) || undecidable.includes(rule), `${name}: ${rule} was not checked`);
  }
  const undecided = incomplete.map((rule) => rule.id).filter((rule) => !undecidable.includes(rule));
  assert.deepEqual(undecided, [], `${name}: undecided`);
}

/** Allow and Deny are one choice: neither may be looked for. */
async function showsItsButtons(page, name) {
  const low = await page.evaluate(() => {
    const below = (button) => button.getBoundingClientRect().bottom > innerHeight;
    return [...document.querySelectorAll("button:not(.quiet)")].filter(below).map((button) => button.textContent);
  });
  assert.deepEqual(low, [], `${name}: below the fold of ${page.viewportSize().height}`);
}

// All at once: a walk waits longest for the provider's pace between two questions about a device code.
describe("every page", { concurrency: true }, () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [screen, width, height] of [["narrow", 320, 560], ["wide", 1280, 800]]) {
      test(`accessible by keyboard: ${colorScheme}, ${screen}`, () =>
        walkIn({ colorScheme, viewport: { width, height } }, async (page, name) => {
          const shade = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
          const bright = shade.match(/\d+/g).slice(0, 3).every((part) => Number(part) > 127);
          assert.equal(bright, colorScheme === "light", `${name} in ${colorScheme}: ${shade}`);
          await fitsIntoItsWindow(page, name);
          await showsItsButtons(page, name);
          await isAccessible(page, name);
        }));
    }
  }

  // WCAG 2.2, 1.4.10: a window of 1280 by 1024, four times as large.
  test("at 400 % zoom", () =>
    walkIn({ viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 }, async (page, name) => {
      await fitsIntoItsWindow(page, name);
      await isAccessible(page, name);
    }));

  test("in the colours of the system", () =>
    walkIn({ forcedColors: "active", viewport: { width: 320, height: 568 } }, async (page, name) => {
      await fitsIntoItsWindow(page, name);
      // The colours are the system's, and axe does not see them.
      await isAccessible(page, name, ["color-contrast"]);
      // A background tells nothing there: how it ended must have an edge.
      for (const sign of await page.locator(".sign, .facts, .code").all()) {
        const edge = await sign.evaluate((element) => getComputedStyle(element).borderTopWidth);
        assert.notEqual(edge, "0px", name);
      }
    }));

  test("without JavaScript", () =>
    walkIn({ javaScriptEnabled: false, viewport: { width: 320, height: 568 } }, fitsIntoItsWindow));
});
