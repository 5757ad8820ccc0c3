// Connections to Redis: one place for the library, its options, and the question whether a server is fit for use.
import { Redis, type RedisOptions } from "ioredis";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { RedisScript } from "./redis_scripts.ts";
import { parseRedisUrl } from "./redis_url.ts";

export type { Redis } from "ioredis";

function connectionOptions(url: string): RedisOptions & { readonly replyMapping: "legacy" } {
  const { host, port, database, username, password, tls, path } = parseRedisUrl(url);
  return {
    ...(path === null ? { host, port } : { path }),
    db: database,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
    // A call that cannot be made now is refused now: waiting is decided above, and the journal is there.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: limits.redisCommandMsMax,
    connectTimeout: limits.redisReconnectMsMax,
    // A call whose answer was lost may have been made; repeating it is decided above, where its place is known.
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), limits.redisReconnectMsMax),
    // After a failover the old primary answers so: look the name up again.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    disableClientInfo: true,
    replyMapping: "legacy",
    lazyConnect: true,
  };
}

/** A connection that is not opened yet; it goes on connecting until it is closed. */
export function newRedis(url: string, scripts: Readonly<Record<string, RedisScript>> = {}): Redis {
  const redis = new Redis(connectionOptions(url));
  for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script);
  return redis;
}

/** What kind of server answers. */
export interface RedisServerInfo {
  readonly runId: string;
  readonly version: string;
  /** "master" is the one to write to. */
  readonly role: string;
  readonly appendOnly: boolean;
}

/**
 * Asks at every new connection: it may be another server than before.
 * @throws HubError INVALID_CONFIG when it may delete what the hub keeps there
 */
export async function askServer(redis: Redis): Promise<RedisServerInfo> {
  const info = new Map(
    (await redis.info()).split("\r\n").map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    throw new HubError(
      "INVALID_CONFIG",
      `Redis may delete what the hub keeps there: set its maxmemory-policy to noeviction (it is ${policy}).`,
    );
  }
  return {
    runId: info.get("run_id") ?? "",
    version: info.get("redis_version") ?? "",
    role: info.get("role") ?? "master",
    appendOnly: info.get("aof_enabled") === "1",
  };
}
