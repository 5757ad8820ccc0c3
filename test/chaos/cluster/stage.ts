// Three hubs and a Redis as real processes, with the means to hurt them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { root, runner, scratch } from "../../tools/hub_process.ts";
import { makeRedis, type RedisServer } from "../../tools/redis.ts";
import { type ChaosNetwork, openNetwork } from "./network.ts";

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

  /** Resolves when it says that it serves; rejects with its words when it ends before. */
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
      child.stdout!.on("data", (bytes: Buffer) => {
        line += bytes.toString();
        const ready = line.split("\n").find((one) => one.startsWith('{"event":"ready"'));
        if (ready === undefined) return;
        this.ports = JSON.parse(ready) as ChaosHub["ports"];
        resolve();
      });
      child.once("exit", (code, signal) => {
        reject(
          new Error(`hub ${this.id} ended with ${code ?? signal} before it was ready:\n${this.words.slice(-3000)}`),
        );
      });
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
    const gone = new Promise<number | string>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? -1));
    });
    this.signal(name);
    return await gone;
  }
}

export class ChaosStage {
  readonly network: ChaosNetwork;
  readonly hubs: ChaosHub[];
  readonly redis: RedisServer;
  readonly redisUrl: string;
  readonly #folder: ReturnType<typeof scratch>;

  private constructor(network: ChaosNetwork, redis: RedisServer, hubs: number, env: Readonly<Record<string, string>>) {
    this.network = network;
    this.redis = redis;
    this.redisUrl = `redis://${network.redisHost}:${redis.port}`;
    this.#folder = scratch();
    this.hubs = Array.from({ length: hubs }, (_, i) => {
      return new ChaosHub(i + 1, this.#folder.folder, network, this.redisUrl, env);
    });
  }

  /** Starts Redis and all hubs. */
  static async open(hubs: number, env: Readonly<Record<string, string>> = {}): Promise<ChaosStage> {
    const network = openNetwork(hubs);
    const settings = ["--bind", "127.0.0.1", network.redisHost, "--protected-mode", "no"];
    const redis = await makeRedis({ settings: network.kind === "namespaces" ? settings : [] });
    const stage = new ChaosStage(network, redis, hubs, env);
    try {
      await redis.start();
      await Promise.all(stage.hubs.map((hub) => hub.start()));
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  bootstrap(): string {
    return this.hubs.map(({ host, ports }) => `${host}:${ports.kafka}`).join(",");
  }

  /** Ends what still runs and removes every trace. */
  async close(): Promise<void> {
    await Promise.all(this.hubs.map((hub) => hub.end("SIGKILL")));
    await this.redis.remove();
    this.network.remove();
    this.#folder.remove();
  }
}
