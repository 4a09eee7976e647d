// Does what it is told, a line of JSON each: the tests of keyfob run the same with the packages of all languages. TypeScript
// holds it to index.d.ts.
import { createInterface } from "node:readline";
import { inspect } from "node:util";

import { Client, Credential, KeyfobError } from "keyfob";

const client = new Client({ program: process.argv[2] });

/** @param {() => Promise<Credential>} call */
async function told(call) {
  try {
    const { headers, token, kind, source, handle, profile, expiresAt, expiresIn, warning } = await call();
    const said = { headers, token, kind, source, handle, profile, expires_at: expiresAt, expires_in: expiresIn };
    return warning ? { ...said, warning } : said;
  } catch (error) {
    if (!(error instanceof KeyfobError)) throw error;
    const { id, reason, what, why, hint, exitCode } = error;
    return { error: { id, ...(reason && { cause: reason }), what, why, hint, exit_code: exitCode } };
  }
}

/** @type {Record<string, (...words: any[]) => Promise<unknown>>} */
const acts = {
  get: ({ uri, min_valid: minValid, ...wanted }) => told(() => client.get(uri, { minValid, ...wanted })),
  many: (count) => Promise.all(Array.from({ length: count }, () => told(() => client.get()))),
  fetch: async (_, url) => (await client.fetch(url)).status,
  stream: async (url) => {
    const body = new ReadableStream({ start: (to) => (to.enqueue(Buffer.from("streamed")), to.close()) });
    return (await client.fetch(url, /** @type {any} */ ({ method: "POST", body, duplex: "half" }))).status;
  },
  follow: (url) => client.fetch(url, { redirect: "follow" }).then(({ status }) => status, ({ name }) => name),
  shown: async () => {
    const credential = await client.get();
    const deep = { depth: 9, showHidden: false };
    return [inspect(client, deep), inspect(credential, deep), String(credential), JSON.stringify([client, credential])];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [act, ...words] = JSON.parse(line);
  console.log(JSON.stringify(await acts[act](...words)));
}
