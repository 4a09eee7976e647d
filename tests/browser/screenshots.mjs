// Makes the pictures of the guides: node screenshots.mjs DIRECTORY

import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Stage, openBrowser } from "./stage.mjs";
import { walk } from "./walk.mjs";

/** What the guide shows, and in which light. */
const SHOWN = {
  "sign-in": "light", "consent": "light", "signed-in": "dark", "device-consent": "dark", "paste": "light",
};
const LARGEST = 60_000;

const directory = process.argv[2];
if (!directory) throw new Error("usage: screenshots.mjs DIRECTORY");
await mkdir(directory, { recursive: true });
const browser = await openBrowser();
const stage = await Stage.open();
try {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 480, height: 600 } });
    await walk(stage, context, async (page, name) => {
      if (SHOWN[name] !== colorScheme) return;
      const path = join(directory, `${name}.png`);
      await page.screenshot({ path, caret: "hide" });
      const { size } = await stat(path);
      if (size > LARGEST) throw new Error(`${path} has ${size} bytes`);
      process.stdout.write(`${path} ${size}\n`);
    });
    await context.close();
  }
} finally {
  await browser.close();
  await stage.close();
}
