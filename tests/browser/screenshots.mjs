// Makes the pictures of the guides, each in the light and in the dark: node screenshots.mjs DIRECTORY
//
// Needs pngquant, which makes them a third as large, and looks best with the typeface Inter (Debian: fonts-inter).

import { execFileSync } from "node:child_process";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Stage, openBrowser } from "./stage.mjs";
import { walk } from "./walk.mjs";

/** What the guides show. */
const SHOWN = ["sign-in", "consent", "signed-in", "not-signed-in", "device-consent", "paste"];
const LARGEST = 20_000;

const directory = process.argv[2];
if (!directory) throw new Error("usage: screenshots.mjs DIRECTORY");
await mkdir(directory, { recursive: true });
const browser = await openBrowser("--disable-lcd-text", "--font-render-hinting=none");
const stage = await Stage.open();
try {
  for (const [colorScheme, suffix] of [["light", ""], ["dark", "-dark"]]) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 480, height: 600 } });
    await walk(stage, context, async (page, name) => {
      if (!SHOWN.includes(name) && !process.argv.includes("--all")) return;
      const path = join(directory, `${name}${suffix}.png`);
      await page.screenshot({ path, caret: "hide" });
      execFileSync("pngquant", ["--strip", "--speed", "1", "--force", "--output", path, "96", path]);
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
