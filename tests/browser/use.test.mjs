// What a person does beside filling in: going back, loading again, selecting with a click.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, press } from "./keyboard.mjs";
import { forAllTests } from "./stage.mjs";

const here = forAllTests();

const heading = (page) => page.locator("h1").innerText();

/** Every request that sent a form. */
function forms(page) {
  const sent = [];
  page.on("request", (request) => {
    if (request.method() === "POST") sent.push(request.url());
  });
  return sent;
}

test("Back and Reload never send a form again", async () => {
  const login = await here.stage.login();
  const page = await here.browser.newPage();
  const sent = forms(page);
  await page.goto(login.url);
  await fill(page, "E-mail address", "ada");
  await page.evaluate(() => document.querySelector("form").setAttribute("novalidate", ""));
  await press(page, "Continue");
  await page.reload();
  assert.equal(await page.locator("#email").inputValue(), "ada");
  await fill(page, "E-mail address", "ada@example.com");
  await press(page, "Continue");
  await page.reload();
  assert.equal(await heading(page), "Allow keyfob-local?");
  await page.goBack();
  assert.equal(await heading(page), "Sign in");
  await page.goForward();
  assert.equal(await heading(page), "Allow keyfob-local?");
  await press(page, "Use another address");
  assert.equal(await page.locator("#email").inputValue(), "ada@example.com");
  await press(page, "Continue");
  assert.equal(sent.length, 4);
  await press(page, "Allow");
  assert.equal(await heading(page), "You are signed in");
  await page.goBack();
  assert.equal(await heading(page), "Cannot continue");
  assert.match(await page.locator("main").innerText(), /has ended/);
  assert.equal(sent.length, 5);
  assert.equal(await login.end(), 0, login.stderr);
  await page.close();
});

test("Back and Reload never answer for a device again", async () => {
  const login = here.stage.keyfob("login", "--device");
  const page = await here.browser.newPage();
  const sent = forms(page);
  await page.goto(await login.line());
  await fill(page, "Code", await login.says(/^ {4}(\S+)$/m));
  await fill(page, "E-mail address", "ada@example.com");
  await press(page, "Continue");
  await page.reload();
  await press(page, "Allow");
  await page.reload();
  assert.equal(await heading(page), "Signed in");
  await page.goBack();
  assert.equal(await heading(page), "Sign in a device");
  assert.equal(sent.length, 2);
  assert.equal(await login.end(), 0, login.stderr);
  await page.close();
});

test("one click selects what has to be copied or compared", async () => {
  const selected = (page) => page.evaluate(() => getSelection().toString().trim());
  const page = await here.browser.newPage();
  const login = await here.stage.login("--paste");
  await page.goto(login.url);
  await fill(page, "E-mail address", "ada@example.com");
  await press(page, "Continue");
  await press(page, "Allow");
  await page.locator("output").click();
  const code = await selected(page);
  assert.equal(code, (await page.locator("output").innerText()).trim());
  login.type(`${code}\n`);
  assert.equal(await login.end(), 0, login.stderr);

  const device = here.stage.keyfob("login", "--device");
  const address = await device.line();
  const shown = await device.says(/^ {4}(\S+)$/m);
  await page.goto(`${address}?user_code=${shown}`);
  await fill(page, "E-mail address", "ada@example.com");
  await press(page, "Continue");
  await page.locator(".code").click();
  assert.equal(await selected(page), shown);
  await press(page, "Deny");
  assert.equal(await device.end(), 5, device.stderr);
  await page.close();
});
