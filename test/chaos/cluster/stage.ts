// Three hubs and a Redis as real processes, with the means to hurt them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { root, runner, scratch } from "../../tools/hub_process.ts";
import { type RedisServer, startRedis } from "../../tools/redis.ts";
import { SentinelStage, startSentinel } from "../../tools/redis_many.ts";
import { PowerDisk, SmallDisk } from "./disks.ts";
import { type ChaosNetwork, openNetwork } from "./network.ts";

/** As long as a service manager waits (TimeoutStopSec). */
const endMsMax = 30_000;
/** A hub that says nothing for so long will not be ready; its words tell why. */
const readyMsMax = 60_000;

/** One hub of the cluster over its folder and ports, whatever process runs it now. */
export class ChaosHub {
  readonly id: number;
  readonly data: string;
  readonly host: string;
  ports = { mqtt: 0, kafka: 0, http: 0 };
  child: ChildProcess | null = null;
  words = "";
  paused = false;
  readonly #network: ChaosNetwork;
  readonly #redisUrl: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(
    id: number,
    folder: string,
    network: ChaosNetwork,
    redisUrl: string,
    env: Readonly<Record<string, string>>,
  ) {
    this.id = id;
    this.data = path.join(folder, `hub${id}`);
    this.host = network.hubHost(id);
    this.#network = network;
    this.#redisUrl = redisUrl;
    this.#env = env;
    mkdirSync(this.data, { recursive: true });
  }

  get up(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when it says that it serves; rejects with its words when it ends before, or says nothing for a minute. */
  start(): Promise<void> {
    const { mqtt, kafka, http } = this.ports;
    const args = [
      ...runner(),
      path.join(root, "cli/main.ts"),
      "up",
      "--json",
      "--insecure",
      "--hub-id",
      String(this.id),
    ];
    args.push("--data", this.data, "--listen", this.host, "--redis", this.#redisUrl);
    args.push("--mqtt-port", `${mqtt}`, "--kafka-port", `${kafka}`, "--http-port", `${http}`);
    const [program, all] = this.#network.command(this.id, process.execPath, args);
    const child = spawn(program, all, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#env },
    });
    this.child = child;
    this.paused = false;
    child.stderr!.on("data", (bytes: Buffer) => (this.words = (this.words + bytes.toString()).slice(-2_000_000)));
    return new Promise((resolve, reject) => {
      let line = "";
      const fail = (what: string): void => {
        clearTimeout(late);
        reject(new Error(`hub ${this.id} ${what} before it was ready:\n${this.words.slice(-3000)}`));
      };
      const late = setTimeout(fail, readyMsMax, "said nothing for a minute");
      child.stdout!.on("data", (bytes: Buffer) => {
        line += bytes.toString();
        const ready = line.split("\n").find((one) => one.startsWith('{"event":"ready"'));
        if (ready === undefined) return;
        clearTimeout(late);
        this.ports = JSON.parse(ready) as ChaosHub["ports"];
        resolve();
      });
      child.once("exit", (code, signal) => fail(`ended with ${code ?? signal}`));
    });
  }

  /** By pid: a ChildProcess takes one signal only under Deno. */
  signal(name: NodeJS.Signals): void {
    if (this.up) process.kill(this.child!.pid!, name);
    if (name === "SIGSTOP") this.paused = true;
    if (name === "SIGCONT") this.paused = false;
  }

  /** Ends it and waits until it is gone; the exit code, or the signal. */
  async end(name: NodeJS.Signals): Promise<number | string> {
    const { child } = this;
    if (!this.up || !child) return "down";
    if (this.paused && name !== "SIGKILL") this.signal("SIGCONT");
    const gone = new Promise<number | string>((resolve, reject) => {
      const late = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`hub ${this.id} still runs ${endMsMax} ms after ${name}:\n${this.words.slice(-3000)}`));
      }, endMsMax);
      child.once("exit", (code, signal) => {
        clearTimeout(late);
        resolve(code ?? signal ?? -1);
      });
    });
    this.signal(name);
    return await gone;
  }
}

export type RedisKind = "server" | "sentinel";

export interface StageOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly redis?: RedisKind;
  /** Gives one hub a small disk and another one whose power can be cut, where the system allows it. */
  readonly disks?: boolean;
}

export class ChaosStage {
  readonly network: ChaosNetwork;
  readonly hubs: ChaosHub[];
  /** The one server, or the first master. */
  readonly redis: RedisServer;
  readonly sentinel: SentinelStage | null;
  readonly redisUrl: string;
  readonly small: { readonly disk: SmallDisk; readonly hub: ChaosHub } | null = null;
  readonly power: { readonly disk: PowerDisk; readonly hub: ChaosHub } | null = null;
  readonly #folder = scratch();

  private constructor(
    network: ChaosNetwork,
    redis: RedisServer | SentinelStage,
    count: number,
    { env = {}, disks = false }: StageOptions,
  ) {
    this.network = network;
    this.sentinel = redis instanceof SentinelStage ? redis : null;
    this.redis = redis instanceof SentinelStage ? redis.servers[0]! : redis;
    this.redisUrl = this.sentinel?.url ?? `redis://${network.redisHost}:${this.redis.port}`;
    this.hubs = Array.from({ length: count }, (_, i) => {
      return new ChaosHub(i + 1, this.#folder.folder, network, this.redisUrl, env);
    });
    const [first, second] = this.hubs;
    if (!disks || !first || !second) return;
    const [power, small] = [PowerDisk.open(first.data), SmallDisk.open(second.data)];
    this.power = power && { disk: power, hub: first };
    this.small = small && { disk: small, hub: second };
  }

  /** Starts Redis and all hubs. */
  static async open(hubs: number, options: StageOptions = {}): Promise<ChaosStage> {
    const network = openNetwork(hubs);
    const redis = await openRedis(network, options.redis ?? "server").catch((error: unknown) => {
      network.remove();
      throw error;
    });
    const stage = new ChaosStage(network, redis, hubs, options);
    try {
      await Promise.all(stage.hubs.map((hub) => hub.start()));
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** The Redis that takes writes now. */
  async master(): Promise<RedisServer> {
    return this.sentinel === null ? this.redis : await this.sentinel.master();
  }

  bootstrap(): string {
    return this.hubs.map(({ host, ports }) => `${host}:${ports.kafka}`).join(",");
  }

  /** Ends what still runs and removes every trace. */
  async close(): Promise<void> {
    await Promise.all(this.hubs.map((hub) => hub.end("SIGKILL")));
    await (this.sentinel ?? this.redis).remove();
    this.network.remove();
    this.small?.disk.remove();
    this.power?.disk.remove();
    this.#folder.remove();
  }
}

function openRedis(network: ChaosNetwork, kind: RedisKind): Promise<RedisServer | SentinelStage> {
  if (kind === "sentinel") return startSentinel(network.redisHost);
  const settings = ["--bind", "127.0.0.1", network.redisHost, "--protected-mode", "no"];
  return startRedis({ settings: network.kind === "namespaces" ? settings : [] });
}
