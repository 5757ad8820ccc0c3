// Connections to Redis: one place for the library, its options, and the question whether a server is fit for use.
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { RedisScript } from "./redis_scripts.ts";
import { parseRedisUrl, type RedisAddress } from "./redis_url.ts";

export type { Cluster, Redis } from "ioredis";
export type RedisClient = Redis | Cluster;

const retryDelay = (times: number): number => Math.min(50 * 2 ** Math.min(times, 10), limits.redisReconnectMsMax);

function serverOptions({ username, password, tls }: RedisAddress): RedisOptions & {
  readonly replyMapping: "legacy";
} {
  return {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
    maxRetriesPerRequest: 1,
    commandTimeout: limits.redisCommandMsMax,
    connectTimeout: limits.redisReconnectMsMax,
    // A call whose answer was lost may have been made; repeating it is decided above, where its place is known.
    autoResendUnfulfilledCommands: false,
    // Nobody waits for a subscription that the library renews: were it to fail, the process would end for it.
    autoResubscribe: false,
    disableClientInfo: true,
    replyMapping: "legacy",
  };
}

/** One server, or the one that the Sentinels name. */
function newServer(address: RedisAddress): Redis {
  const { nodes, path, master, database, tls } = address;
  const sentinel = {
    sentinels: nodes.map(({ host, port }) => ({ host, port })),
    name: master ?? "",
    // A master that hangs keeps its connections: what the Sentinels say of a failover ends them.
    failoverDetector: true,
    sentinelRetryStrategy: retryDelay,
    sentinelCommandTimeout: limits.redisCommandMsMax,
    enableTLSForSentinelMode: tls,
  };
  const place = path === null ? { ...nodes[0] } : { path };
  return new Redis({
    ...serverOptions(address),
    ...(address.kind === "sentinel" ? sentinel : place),
    db: database,
    // A call that cannot be made now is refused now: waiting is decided above, and the journal is there.
    enableOfflineQueue: false,
    retryStrategy: retryDelay,
    // After a failover the old primary answers so: look the name up again.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    lazyConnect: true,
  });
}

function newCluster(address: RedisAddress): Cluster {
  return new Cluster(
    address.nodes.map(({ host, port }) => ({ host, port })),
    {
      redisOptions: serverOptions(address),
      enableOfflineQueue: false,
      clusterRetryStrategy: retryDelay,
      // Calls are repeated above, see autoResendUnfulfilledCommands; only a slot that has moved is followed here.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshInterval: limits.redisProbeMs,
      slotsRefreshTimeout: limits.redisCommandMsMax,
      lazyConnect: true,
    },
  );
}

/** A connection that is not opened yet; it goes on connecting until it is closed. */
export function newRedis(url: string, scripts: Readonly<Record<string, RedisScript>> = {}): RedisClient {
  const address = parseRedisUrl(url);
  const redis = address.kind === "cluster" ? newCluster(address) : newServer(address);
  for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script);
  return redis;
}

/** Several masters behind one face. */
export const isCluster = (redis: RedisClient): redis is Cluster => redis instanceof Cluster;

/** What kind of server answers. */
export interface RedisServerInfo {
  /** Of a Cluster: of all its masters, so that it differs whenever one of them is another. */
  readonly runId: string;
  readonly version: string;
  /** "master" is the one to write to. */
  readonly role: string;
  readonly appendOnly: boolean;
}

/**
 * Asks at every new connection: it may be another server than before. Of a Cluster every master is asked.
 * @throws HubError INVALID_CONFIG when it may delete what the hub keeps there
 */
export async function askServer(redis: RedisClient): Promise<RedisServerInfo> {
  if (!isCluster(redis)) return askOne(redis);
  await new Promise<void>((resolve, reject) => {
    redis.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
  });
  const all = await Promise.all(redis.nodes("master").map(askOne));
  const [first] = all;
  if (first === undefined) throw new Error("the Cluster names no master");
  return {
    runId: all
      .map(({ runId }) => runId)
      .sort()
      .join(" "),
    version: first.version,
    // One that was a master when the slots were asked for and is none now: ask again.
    role: all.find(({ role }) => role !== "master")?.role ?? "master",
    appendOnly: all.every(({ appendOnly }) => appendOnly),
  };
}

async function askOne(redis: Redis): Promise<RedisServerInfo> {
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
