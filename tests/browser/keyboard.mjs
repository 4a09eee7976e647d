// A person without a mouse: everything is reached with Tab and pressed with Enter.

import assert from "node:assert/strict";

/** What has the focus: its label or its text. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return "";
    return element.labels?.[0]?.textContent ?? element.textContent;
  });
}

/** Goes to the control with this label or text. */
export async function reach(page, name) {
  const seen = [];
  for (let steps = 0; steps < 12; steps += 1) {
    const here = await focused(page);
    if (here === name) {
      await assertVisibleFocus(page, name);
      return;
    }
    seen.push(here);
    await page.keyboard.press("Tab");
  }
  assert.fail(`no way to "${name}" with Tab at ${page.url()}: ${JSON.stringify(seen)}`);
}

/** Where the keyboard is must be seen. */
async function assertVisibleFocus(page, name) {
  const outline = await page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth);
  });
  assert.ok(outline >= 2, `"${name}" does not show that it has the focus`);
}

/** Fills the field with this label in. */
export async function fill(page, label, text) {
  await reach(page, label);
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type(text);
}

/** Presses the button with this text and waits for the page it leads to. */
export async function press(page, button) {
  await reach(page, button);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);
}
