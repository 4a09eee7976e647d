// Every page a person can meet, in the order they meet them. `look(page, name)` is called on each.

import assert from "node:assert/strict";
import { fill, press } from "./keyboard.mjs";

const ADDRESS = "ada@example.com";

/** The names of the pages, so that nobody can forget one. */
export const PAGES = [
  "sign-in", "sign-in-again", "consent", "signed-in", "not-signed-in", "not-the-answer", "not-taken", "another-account",
  "token-ready", "device", "device-again", "device-filled-in", "device-consent", "device-done", "device-declined",
  "device-cancelled", "paste", "paste-nothing", "error", "front",
];

export async function walk(stage, context, look) {
  await throughTheBrowser(stage, context, look);
  await declining(stage, context, look);
  await asSomebodyElse(stage, context, look);
  await forAMachine(stage, context, look);
  await withACode(stage, context, look);
  await decliningACode(stage, context, look);
  await pasting(stage, context, look);
  await strayPages(stage, context, look);
}

async function heading(page, expected) {
  assert.equal(await page.locator("h1").innerText(), expected, page.url());
}

async function throughTheBrowser(stage, context, look) {
  const login = await stage.login();
  const page = await context.newPage();
  await page.goto(login.url);
  await heading(page, "Sign in");
  await look(page, "sign-in");
  // The browser takes this for an address, the provider does not.
  await fill(page, "E-mail address", "ada@localhost..");
  await page.evaluate(() => document.querySelector("form").setAttribute("novalidate", ""));
  await press(page, "Continue");
  await heading(page, "Sign in");
  await look(page, "sign-in-again");
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await heading(page, "Allow keyfob-local?");
  await look(page, "consent");
  await press(page, "Allow");
  await heading(page, "You are signed in");
  const told = await page.locator("main").innerText();
  for (const fact of [ADDRESS, "default", stage.base, "close this tab"]) assert.ok(told.includes(fact), told);
  await look(page, "signed-in");
  assert.equal(await login.end(), 0, login.stderr);
  assert.match(login.stderr, /Signed in as ada@example\.com/);
  await page.close();
}

async function declining(stage, context, look) {
  const login = await stage.login();
  const page = await context.newPage();
  const stray = await context.newPage();
  const callback = new URL(new URL(login.url).searchParams.get("redirect_uri"));
  callback.search = "?code=stolen&state=guessed";
  await stray.goto(callback.href);
  await heading(stray, "This is not the answer keyfob is waiting for");
  await look(stray, "not-the-answer");
  await stray.close();
  // Cookies of everything that was ever developed on this host: more than is read.
  const loaded = await context.newPage();
  await loaded.setExtraHTTPHeaders({ "X-Cookies": "x".repeat(250_000), "X-More": "x".repeat(50_000) });
  callback.search = `?code=c&state=${new URL(login.url).searchParams.get("state")}`;
  await loaded.goto(callback.href);
  await heading(loaded, "This answer could not be taken");
  assert.match(await loaded.locator("main").innerText(), /paste it into the terminal/);
  await look(loaded, "not-taken");
  await loaded.close();
  await page.goto(login.url);
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await press(page, "Deny");
  await heading(page, "You are not signed in");
  assert.match(await page.locator("main").innerText(), /access_denied.*What to do:/s);
  await look(page, "not-signed-in");
  assert.equal(await login.end(), 5, login.stderr);
  assert.match(login.stderr, /access_denied/);
  await page.close();
}

/** Where the login of one account is, another one's is not saved unasked, and nobody is there to be asked. */
async function asSomebodyElse(stage, context, look) {
  const login = await stage.login();
  const page = await context.newPage();
  await page.goto(login.url);
  await fill(page, "E-mail address", "bob@example.com");
  await press(page, "Continue");
  await press(page, "Allow");
  await heading(page, "You are not signed in");
  assert.match(await page.locator("main").innerText(), /bob@example\.com signed in, and not ada@example\.com/);
  await look(page, "another-account");
  assert.notEqual(await login.end(), 0);
  await page.close();
}

/** A token is handed over, so no profile has it; and the page does not have it either. */
async function forAMachine(stage, context, look) {
  const run = stage.keyfob("setup-token", "--no-browser");
  const page = await context.newPage();
  await page.goto(await run.says(/^(http\S+)$/m));
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await press(page, "Allow");
  await heading(page, "Your token is ready");
  const token = await run.line();
  assert.ok(!(await page.content()).includes(token) && token.length > 20);
  await look(page, "token-ready");
  assert.equal(await run.end(), 0, run.stderr);
  await page.close();
}

/** The address stands alone on stdout, the code on a line of its own among the words for people. */
function deviceCode(login) {
  return login.says(/^ {4}(\S+)$/m);
}

async function deviceLogin(stage) {
  const login = stage.keyfob("login", "--device");
  login.url = await login.line();
  return login;
}

async function withACode(stage, context, look) {
  const login = await deviceLogin(stage);
  const code = await deviceCode(login);
  const page = await context.newPage();
  await page.goto(login.url);
  await heading(page, "Sign in a device");
  await look(page, "device");
  await fill(page, "Code", "BBBB-BBBB");
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  assert.equal(await page.evaluate(() => document.activeElement.id), "user_code");
  assert.equal(await page.locator("#email").inputValue(), ADDRESS);
  await look(page, "device-again");
  await fill(page, "Code", code.toLowerCase());
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await heading(page, "Allow keyfob-local?");
  assert.match(await page.locator("main").innerText(), new RegExp(code));
  await look(page, "device-consent");
  await press(page, "Allow");
  await heading(page, "Signed in");
  await look(page, "device-done");
  assert.equal(await login.end(), 0, login.stderr);
  await page.close();
}

async function decliningACode(stage, context, look) {
  const login = await deviceLogin(stage);
  const code = await deviceCode(login);
  const page = await context.newPage();
  await page.goto(`${login.url}?user_code=${code}`);
  await look(page, "device-filled-in");
  await press(page, "Cancel");
  await heading(page, "Cancelled");
  await look(page, "device-cancelled");
  await page.goto(`${login.url}?user_code=${code}`);
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await press(page, "Deny");
  await heading(page, "Declined");
  await look(page, "device-declined");
  assert.equal(await login.end(), 5, login.stderr);
  await page.close();
}

async function pasting(stage, context, look) {
  const login = await stage.login("--paste");
  const page = await context.newPage();
  await page.goto(login.url);
  await fill(page, "E-mail address", ADDRESS);
  await press(page, "Continue");
  await press(page, "Allow");
  await heading(page, "Almost there");
  await look(page, "paste");
  login.type(`${await page.locator("output").innerText()}\n`);
  assert.equal(await login.end(), 0, login.stderr);
  await page.close();
}

async function strayPages(stage, context, look) {
  const page = await context.newPage();
  await page.goto(`${stage.base}/oauth/code/callback?error=access_denied&error_description=the+person+declined`);
  await heading(page, "Not signed in");
  await look(page, "paste-nothing");
  await page.goto(`${stage.base}/oauth/authorize?client_id=nobody`);
  await heading(page, "Cannot continue");
  await look(page, "error");
  await page.goto(stage.base);
  await heading(page, "keyfob development provider");
  await look(page, "front");
  await page.close();
}
