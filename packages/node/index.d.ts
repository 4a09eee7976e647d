/** Why there is no credential. `id` and `exitCode` are stable: 4 means that a person has to sign in, 6 that asking later is right. */
export class KeyfobError extends Error {
  readonly id: string;
  /** keyfob's word for the cause. */
  readonly reason: string | null;
  readonly what: string;
  readonly why: string;
  readonly hint: string;
  readonly exitCode: number;
}

/** What to send. Ask for another one before every request. */
export class Credential {
  readonly headers: Readonly<Record<string, string>>;
  readonly token: string;
  readonly kind: "access" | "id";
  readonly source: string;
  /** What to name as `rejected` after a 401; `null` where nothing could take its place. */
  readonly handle: string | null;
  readonly profile: string | null;
  readonly expiresAt: string | null;
  readonly expiresIn: number | null;
  readonly warning: { id: string; what: string; why: string; hint: string } | null;
  putOn(headers: Headers): Headers;
}

export interface ClientOptions {
  profile?: string;
  environment?: string;
  /** The path of the program. Never take it from a variable that a repository can set. */
  program?: string;
}

export interface Wanted {
  profile?: string;
  kind?: "access" | "id";
  /** Seconds that it has to be valid for. */
  minValid?: number;
  rejected?: string | null;
  /** Seconds that the answer may take: 1 to 60. */
  wait?: number;
}

export class Client {
  constructor(options?: ClientOptions);
  get(uri?: string | URL, wanted?: Wanted): Promise<Credential>;
  token(uri?: string | URL): Promise<string>;
  /** Sent once more after a 401, unless the body is a stream or that of a `Request`: then the 401 is returned. */
  fetch(resource: string | URL | Request, init?: RequestInit): Promise<Response>;
  close(): void;
}

export function findProgram(): string;
