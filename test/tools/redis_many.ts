// Real Redis servers that stand for each other: a master with a replica and three Sentinels, and a Cluster.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ask, freePort, makeRedis, type RedisServer, startRedis, waitForPong } from "./redis.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The name under which the Sentinels know the master. */
const masterName = "hubs";

/** A process of redis-server that is told everything by a file of its own. */
class Sentinel {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "partidor-sentinel-"));
  #child: ChildProcess | null = null;

  constructor(port: number, host: string, masterPort: number) {
    this.port = port;
    const lines = [
      `port ${port}`,
      `bind 127.0.0.1${host === "127.0.0.1" ? "" : ` ${host}`}`,
      "protected-mode no",
      `sentinel announce-ip ${host}`,
      `dir ${this.#folder}`,
      `sentinel monitor ${masterName} ${host} ${masterPort} 2`,
      `sentinel down-after-milliseconds ${masterName} 1000`,
      `sentinel failover-timeout ${masterName} 4000`,
    ];
    writeFileSync(join(this.#folder, "sentinel.conf"), `${lines.join("\n")}\n`);
  }

  async start(): Promise<void> {
    this.#child = spawn("/usr/bin/redis-server", [join(this.#folder, "sentinel.conf"), "--sentinel"], {
      stdio: "ignore",
    });
    await waitForPong(this.port, Date.now() + 10_000);
  }

  async remove(): Promise<void> {
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      process.kill(child.pid, "SIGKILL");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A master, a replica, and three Sentinels that put the one in the other's place. */
export class SentinelStage {
  readonly url: string;
  readonly servers: readonly RedisServer[];
  readonly #sentinels: readonly Sentinel[];

  constructor(host: string, servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.servers = servers;
    this.#sentinels = sentinels;
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `${host}:${port}`).join(",")}/${masterName}`;
  }

  /** The server that says of itself that it is the master. */
  async master(): Promise<RedisServer> {
    for (const end = Date.now() + 60_000; Date.now() < end; await pause(50)) {
      for (const server of this.servers) {
        const role = await server.answer("ROLE", /(master|slave)\r\n/).catch(() => "");
        if (role === "master") return server;
      }
    }
    throw new Error("no server is the master");
  }

  /** The Sentinels know each other and the replica follows: what a failover needs. */
  async whole(): Promise<void> {
    for (const end = Date.now() + 60_000; Date.now() < end; await pause(100)) {
      const states = await Promise.all(
        this.#sentinels.map(({ port }) => {
          return ask(port, `SENTINEL CKQUORUM ${masterName}`).catch(() => "");
        }),
      );
      const master = await this.master();
      const link = await master.answer("INFO replication", /slave0:.*state=(online)/).catch(() => "");
      if (states.every((state) => state.startsWith("+OK 3")) && link === "online") return;
    }
    throw new Error("the Sentinels did not become whole");
  }

  /** kill -9 of the master; resolves with the one that the Sentinels have put in its place. */
  async failover(): Promise<{ readonly killed: RedisServer; readonly master: RedisServer }> {
    const killed = await this.master();
    await killed.kill();
    return { killed, master: await this.master() };
  }

  async remove(): Promise<void> {
    for (const sentinel of this.#sentinels) await sentinel.remove();
    for (const server of this.servers) await server.remove();
  }
}

/** `host`: an address of this machine that everything listens on, besides 127.0.0.1. */
export async function startSentinel(host = "127.0.0.1"): Promise<SentinelStage> {
  const more = host === "127.0.0.1" ? [] : ["--bind", "127.0.0.1", host, "--protected-mode", "no"];
  // Its first address would be what others are told, and not all of them may reach that.
  const bind = ["--repl-diskless-sync-delay", "0", "--replica-announce-ip", host, ...more];
  const master = await startRedis({ settings: bind });
  const replica = await startRedis({ settings: [...bind, "--replicaof", host, String(master.port)] });
  const sentinels: Sentinel[] = [];
  for (let i = 0; i < 3; i++) sentinels.push(new Sentinel(await freePort(), host, master.port));
  const stage = new SentinelStage(host, [master, replica], sentinels);
  try {
    await Promise.all(sentinels.map((sentinel) => sentinel.start()));
    await stage.whole();
  } catch (error) {
    await stage.remove();
    throw error;
  }
  return stage;
}

/** A Cluster of masters that share the slots, each with a replica when wanted. */
export class RedisClusterStage {
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];

  constructor(masters: readonly RedisServer[], replicas: readonly RedisServer[]) {
    this.masters = masters;
    this.replicas = replicas;
  }

  get url(): string {
    return `redis+cluster://${this.masters.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** Every member says that the Cluster is fit, and every replica follows. */
  async whole(): Promise<void> {
    const all = [...this.masters, ...this.replicas];
    for (const end = Date.now() + 30_000; Date.now() < end; await pause(100)) {
      const states = await Promise.all(
        all.map((one) => one.answer("CLUSTER INFO", /cluster_state:(\w+)/).catch(() => "")),
      );
      const links = await Promise.all(
        all.map((one) => one.answer("INFO replication", /(role:master|master_link_status:\w+)/).catch(() => "")),
      );
      const following = links.filter((link) => link === "master_link_status:up").length;
      if (states.every((state) => state === "ok") && following === this.replicas.length) return;
    }
    throw new Error("the Cluster did not become whole");
  }

  async remove(): Promise<void> {
    for (const server of [...this.masters, ...this.replicas]) await server.remove();
  }
}

/** By hand: slots given out, members introduced, replicas put under their masters. */
export async function startRedisCluster({ replicas = false } = {}): Promise<RedisClusterStage> {
  const settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];
  // The port of the bus is 10,000 above.
  const make = async (): Promise<RedisServer> => {
    for (;;) {
      const one = await makeRedis({ settings });
      if (one.port < 55_000) return one;
    }
  };
  const all: RedisServer[] = [];
  for (let i = 0; i < (replicas ? 6 : 3); i++) all.push(await make());
  const stage = new RedisClusterStage(all.slice(0, 3), all.slice(3));
  try {
    await Promise.all(all.map((one) => one.start()));
    const bounds = [0, 5461, 10923, 16384];
    for (const [i, master] of stage.masters.entries()) {
      await master.command(`CLUSTER ADDSLOTSRANGE ${bounds[i]} ${bounds[i + 1]! - 1}`);
      await master.command(`CLUSTER SET-CONFIG-EPOCH ${i + 1}`);
    }
    for (const one of all.slice(1)) await one.command(`CLUSTER MEET 127.0.0.1 ${all[0]!.port}`);
    for (const [i, replica] of stage.replicas.entries()) {
      const id = await stage.masters[i]!.answer("CLUSTER MYID", /([0-9a-f]{40})/);
      while (!(await replica.command(`CLUSTER REPLICATE ${id}`)).startsWith("+OK")) await pause(100);
    }
    await stage.whole();
  } catch (error) {
    await stage.remove();
    throw error;
  }
  return stage;
}
