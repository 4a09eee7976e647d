// Never run: what TypeScript has to accept and to refuse. It complains of a line that it expected an error in and that has none.
import { Client, type Credential, KeyfobError } from "keyfob";

export async function uses(client: Client, credential: Credential, error: unknown) {
  const texts: string[] = [credential.token, credential.source, await client.token("https://localhost"), ...Object.values(credential.headers)];
  const headers: Headers = (await client.get(new URL("https://localhost"), { rejected: credential.handle })).putOn(new Headers());
  const response: Response = await client.fetch(new Request("https://localhost"), { redirect: "follow" });
  const code: number = error instanceof KeyfobError ? error.exitCode : (credential.expiresIn ?? 0);
  return [texts, headers, response, code, new Client({ profile: "work", environment: "local", program: "/usr/bin/keyfob" })];
}

export async function mistakes(client: Client, credential: Credential) {
  // @ts-expect-error
  await client.get(7);
  // @ts-expect-error
  await client.get("https://localhost", { minValid: "60" });
  // @ts-expect-error
  credential.handle.toUpperCase();
  // @ts-expect-error
  credential.token = "t";
  // @ts-expect-error
  credential.refreshToken;
  // @ts-expect-error
  new Client({ path: "/usr/bin/keyfob" });
}
