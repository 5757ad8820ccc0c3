// Reads a Redis URL from the command line or the configuration, and says in one sentence what is wrong with it.
import { HubError } from "../errors.ts";

/** Where Redis is and how to get in. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: boolean;
  /** Unix socket; host and port are unused then. */
  readonly path: string | null;
}

const form = "use redis://[user:password@]host[:port][/database], rediss://... for TLS, or unix:///path/to/socket";

/**
 * Takes `redis://`, `rediss://` and `unix://` URLs; the port defaults to 6379, the database to 0.
 * @throws HubError INVALID_CONFIG; the text never holds a password
 */
export function parseRedisUrl(text: string): RedisAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong(text, "it is not a URL");
  }
  const secrets = { username: secret(url.username, text), password: secret(url.password, text) };
  if (url.protocol === "unix:") {
    if (url.host !== "" || url.pathname.length < 2) throw wrong(text, "it names no socket");
    return { ...secrets, host: "", port: 0, database: 0, tls: false, path: decodeURIComponent(url.pathname) };
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw wrong(text, `${url.protocol.slice(0, -1)} is not a way to reach Redis`);
  }
  if (url.hostname === "") throw wrong(text, "it names no host");
  if (url.search !== "" || url.hash !== "") throw wrong(text, "it has something after the database");
  const database = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1];
  if (database === undefined) throw wrong(text, `${JSON.stringify(url.pathname.slice(1))} is no database number`);
  return {
    ...secrets,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 6379 : Number(url.port),
    database: Number(database),
    tls: url.protocol === "rediss:",
    path: null,
  };
}

function secret(text: string, url: string): string | null {
  try {
    return text === "" ? null : decodeURIComponent(text);
  } catch {
    throw wrong(url, "user name or password is not URL-encoded");
  }
}

function wrong(text: string, why: string): HubError {
  const masked = text.replace(/\/\/.*@/s, "//...@");
  return new HubError("INVALID_CONFIG", `The Redis URL ${JSON.stringify(masked)} cannot be used: ${why}; ${form}.`);
}
