// What the pages forbid, as the browser enforces it: scripts, frames, and a code that stays in the address bar.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { test } from "node:test";
import { fill, press } from "./keyboard.mjs";
import { forAllTests } from "./stage.mjs";
import { walk } from "./walk.mjs";

const here = forAllTests();

/** The directives of a policy. */
function directives(policy) {
  return new Map(policy.split(";").map((part) => {
    const [name, ...sources] = part.trim().split(/\s+/);
    return [name, sources];
  }));
}

test("no script runs, no page is framed, nothing comes from elsewhere", async () => {
  const context = await here.browser.newContext();
  const documents = new Map();
  const asked = new Set();
  context.on("request", (request) => asked.add(new URL(request.url()).hostname));
  context.on("response", (response) => {
    if (response.request().resourceType() === "document") documents.set(response.url(), response);
  });
  await walk(here.stage, context, async (page, name) => {
    const response = documents.get(page.url());
    assert.ok(response, `${name}: ${page.url()}`);
    const headers = await response.allHeaders();
    const policy = directives(headers["content-security-policy"]);
    assert.deepEqual(policy.get("default-src"), ["'none'"], name);
    for (const forbidden of ["frame-ancestors", "base-uri"]) {
      assert.deepEqual(policy.get(forbidden), ["'none'"], `${name}: ${forbidden}`);
    }
    assert.ok(policy.has("form-action"), `${name}: form-action does not fall back to default-src`);
    assert.ok(!policy.has("script-src") && !/unsafe-|\*/.test(headers["content-security-policy"]), name);
    assert.equal(headers["x-frame-options"], "DENY", name);
    assert.equal(headers["referrer-policy"], "no-referrer", name);
    assert.equal(headers["cache-control"], "no-store", name);
    assert.equal(headers["x-content-type-options"], "nosniff", name);

    // As somebody would who found a way to put markup into a page.
    const ran = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.ran = true";
      document.body.append(script);
      const image = document.createElement("p");
      image.innerHTML = "<img src=x onerror='globalThis.ran = true'>";
      document.body.append(image);
      return new Promise((resolve) => setTimeout(() => resolve(globalThis.ran === true), 50));
    });
    assert.equal(ran, false, `${name}: a script ran`);
    assert.equal(await page.locator("body script:not([src])").count(), 1, `${name}: it has a script of its own`);
  });
  await context.close();
  // The provider, and the callback of the command: nobody else.
  const callback = new URL(new URL((await here.stage.login()).url).searchParams.get("redirect_uri"));
  const expected = new Set([new URL(here.stage.base).hostname, callback.hostname]);
  assert.deepEqual(asked, expected);
});

test("a page in a frame stays empty", async () => {
  const login = await here.stage.login();
  const framed = [login.url, `${here.stage.base}/device`, `${here.stage.base}/oauth/code/callback?code=c&state=s`];
  framed.push(new URL(new URL(login.url).searchParams.get("redirect_uri")).origin + "/signed-in");
  const frames = framed.map((url) => `<iframe src="${url.replaceAll("&", "&amp;")}"></iframe>`);
  const attacker = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<!doctype html>${frames.join("")}`);
  }).listen(0, "127.0.0.1");
  await once(attacker, "listening");
  const page = await here.browser.newPage();
  await page.goto(`http://127.0.0.1:${attacker.address().port}/`, { waitUntil: "load" });
  const inside = page.frames().slice(1);
  assert.equal(inside.length, framed.length);
  for (const frame of inside) {
    // On a busy machine the browser's word about a frame comes after the page's own.
    while (frame.url() === "") await page.waitForTimeout(20);
    assert.match(frame.url(), /^chrome-error:/, "it was framed");
  }
  await page.close();
  attacker.close();
});

/** What the browser could give away later: the address, what Back leads to, what a page is told it came from. */
async function traces(page) {
  const session = await page.context().newCDPSession(page);
  const { entries } = await session.send("Page.getNavigationHistory");
  const addresses = entries.flatMap((entry) => [entry.url, entry.userTypedURL, entry.title]);
  addresses.push(...(await page.evaluate(() => [location.href, document.referrer, document.title])));
  return addresses;
}

for (const [decision, expected] of [["Allow", "/signed-in"], ["Deny", "/not-signed-in"]]) {
  test(`after ${decision} neither code nor state is left in the address bar`, async () => {
    const login = await here.stage.login();
    const state = new URL(login.url).searchParams.get("state");
    const page = await here.browser.newPage();
    const [codes, told] = [[], []];
    page.on("request", (request) => {
      const code = new URL(request.url()).searchParams.get("code");
      if (code) codes.push(code);
      if (request.headers().referer) told.push(`${request.url()} is told ${request.headers().referer}`);
    });
    await page.goto(login.url);
    await fill(page, "E-mail address", "ada@example.com");
    await press(page, "Continue");
    await press(page, decision);
    assert.equal(new URL(page.url()).pathname, expected);
    assert.equal(new URL(page.url()).search, "");
    assert.deepEqual(told, []);
    // The code went by, or this test would look for nothing.
    assert.equal(codes.length, decision === "Allow" ? 1 : 0);
    // The address that was opened holds the state by design: it is behind, where Back leads, and is of no use
    // without the verifier. What is asked for is what came after it.
    const left = (await traces(page)).filter((trace) => trace !== login.url);
    for (const secret of [...codes, state, "code=", "state="]) {
      for (const trace of left) assert.ok(!trace.includes(secret), `${secret} is left in ${trace}`);
    }
    await login.end();
    await page.close();
  });
}

test("the page that shows a code does not keep it in the address bar", async () => {
  const login = await here.stage.login("--paste");
  const page = await here.browser.newPage();
  await page.goto(login.url);
  await fill(page, "E-mail address", "ada@example.com");
  await press(page, "Continue");
  await press(page, "Allow");
  const [code] = (await page.locator("output").innerText()).split("#");
  for (const trace of (await traces(page)).filter((trace) => trace !== login.url)) {
    assert.ok(!trace.includes(code) && !trace.includes("state="), trace);
  }
  // Whoever reloads by mistake still has it; a tab opened there later in a new window of the browser does not.
  await page.reload();
  assert.ok((await page.locator("output").innerText()).startsWith(code));
  const stranger = await (await here.browser.newContext()).newPage();
  await stranger.goto(page.url());
  assert.equal(await stranger.locator("output").count(), 0);
  await stranger.context().close();
  await page.close();
});
