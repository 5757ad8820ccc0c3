// A hub's link to Redis, be it one server, Sentinel or a Cluster: whether it is up and fit for use, and calls over it.
import type { Buffer } from "node:buffer";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { Clock, Millis } from "./ports.ts";
import {
  askServer,
  type Cluster,
  isCluster,
  type newRedis,
  type RedisClient,
  type RedisServerInfo,
} from "./redis_connection.ts";
import type { RedisScript } from "./redis_scripts.ts";

export interface RedisLinkOptions {
  readonly url: string;
  readonly scripts: Readonly<Record<string, RedisScript>>;
  /** What the trace calls it: `<name>_up`, `<name>_down`. */
  readonly name: string;
  readonly clock: Clock;
  readonly trace: Trace;
  /** How the connection is made. */
  readonly connect: typeof newRedis;
}

export type RedisArgument = string | number | Buffer;

/**
 * Connects and goes on connecting for as long as it is open.
 * "Up" says that the server answered that it is the one to write to and deletes nothing by itself.
 */
export class RedisLink {
  readonly #redis: RedisClient;
  readonly #options: RedisLinkOptions;
  readonly #watchers: ((up: boolean) => void)[] = [];
  #up = false;
  #closed = false;
  #checking = false;
  #server: RedisServerInfo | null = null;
  #lastError = "";
  #answered: (refusal: HubError | null) => void = () => {};

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#redis = options.connect(options.url, options.scripts);
    this.#redis.on("error", (error: Error) => this.#failed(error));
    this.#redis.on("ready", () => void this.#check());
    this.#redis.on("close", () => this.#setUp(false));
    if (isCluster(this.#redis)) this.#followMembers(this.#redis);
  }

  /** A Cluster has no "close" when one of its masters goes, and what it held may be older on the one that follows. */
  #followMembers(cluster: Cluster): void {
    const changed = (): void => {
      if (cluster.status === "ready") void this.#check();
    };
    cluster.on("+node", changed);
    cluster.on("-node", () => {
      this.#setUp(false);
      changed();
    });
    cluster.on("node error", (error: Error) => this.#failed(error));
  }

  /**
   * Resolves once Redis answered or did not within `redisReconnectMsMax`; it is "down" then.
   * @throws HubError INVALID_CONFIG when it refuses this hub, or may evict keys (maxmemory-policy)
   */
  firstAnswer(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(limits.redisReconnectMsMax, resolve);
      this.#answered = (refusal) => {
        timer.cancel();
        if (refusal === null) resolve();
        else reject(refusal);
      };
      // Refused at once: go on without it; the retries go on too.
      this.#redis.connect().catch(() => {
        timer.cancel();
        if (!/^(NOAUTH|WRONGPASS|NOPERM)/.test(this.#lastError)) resolve();
        else reject(new HubError("INVALID_CONFIG", `Redis refuses this hub: ${this.#lastError}`));
      });
    });
  }

  /** Asks what kind of Redis this is, at every new connection: it may be another one than before. */
  async #check(): Promise<void> {
    if (this.#checking || this.#closed) return;
    this.#checking = true;
    try {
      const server = await askServer(this.#redis);
      if (server.role !== "master") throw new Error(`READONLY this Redis is a ${server.role}`);
      if (server.runId !== this.#server?.runId) this.#setUp(false);
      this.#server = server;
      this.#answered(null);
      this.#setUp(true);
    } catch (error) {
      this.#failed(error);
      if (error instanceof HubError) this.#answered(error);
      else this.#again(String(error).includes("READONLY") ? limits.redisReconnectMsMax : limits.redisRecheckMs);
    } finally {
      this.#checking = false;
    }
  }

  #again(delayMs: Millis): void {
    this.#setUp(false);
    this.#options.clock.after(delayMs, () => {
      if (this.#closed || this.#redis.status !== "ready") return;
      if (isCluster(this.#redis)) void this.#check();
      else this.#redis.disconnect(true);
    });
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    const { name, trace } = this.#options;
    if (up) trace.event("info", `${name}_up`, { runId: this.#server?.runId, version: this.#server?.version });
    else if (!this.#closed) trace.event("warn", `${name}_down`, { why: this.#lastError });
    for (const watcher of this.#watchers) watcher(up);
  }

  /** One line per new reason, not one per attempt. */
  #failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#options.trace.count("redis_errors", 1, { kind: /^[A-Z]{3,}(?= )/.exec(text)?.[0] ?? "connection" });
    if (text === this.#lastError || this.#closed) return;
    this.#lastError = text;
    this.#options.trace.event("warn", "redis_error", { error: text });
  }

  /** Who answered last. */
  get server(): RedisServerInfo | null {
    return this.#server;
  }

  state(): "up" | "down" {
    return this.#up ? "up" : "down";
  }

  watch(watcher: (up: boolean) => void): void {
    this.#watchers.push(watcher);
  }

  /** EVALSHA, and EVAL where the server does not know the script (the library falls back by itself). */
  run(name: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const commands = this.#redis as unknown as Record<string, (...args: readonly RedisArgument[]) => Promise<unknown>>;
    return this.call(async () => commands[name]!(...keys, ...args));
  }

  async call<T>(make: (redis: RedisClient) => Promise<T>): Promise<T> {
    if (!this.#up) throw new HubError("COORDINATOR_NOT_AVAILABLE", "Redis is not reachable");
    try {
      return await make(this.#redis);
    } catch (error) {
      this.#failed(error);
      // The master of that slot is away or has moved: the others would go on as if nothing had happened.
      if (isCluster(this.#redis)) this.#again(limits.redisRecheckMs);
      throw new HubError("COORDINATOR_NOT_AVAILABLE", "Redis did not take the call", { cause: error });
    }
  }

  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
    this.#setUp(false);
  }
}
