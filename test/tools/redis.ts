// A real redis-server for tests: its own folder and port, stopped by its own pid.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const program = "/usr/bin/redis-server";

export interface RedisOptions {
  /** Extra settings, e.g. `["--maxmemory-policy", "allkeys-lru"]`. */
  readonly settings?: readonly string[];
}

/** One server that can be killed and brought back over the same folder. */
export class RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | null = null;

  constructor(port: number, directory: string, settings: readonly string[]) {
    this.port = port;
    this.directory = directory;
    this.#settings = settings;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Resolves when it answers PING. */
  async start(): Promise<void> {
    const child = spawn(
      program,
      [
        "--port",
        String(this.port),
        "--bind",
        "127.0.0.1",
        "--dir",
        this.directory,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        ...this.#settings,
      ],
      { stdio: "ignore" },
    );
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`redis-server ended with code ${code}`)));
      waitForPong(this.port, Date.now() + 10_000).then(resolve, reject);
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    this.#signal("SIGKILL");
    this.#child = null;
    await ended;
  }

  /** Stops the process from running, as a hung machine would, until `resume`. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  /** By pid: a ChildProcess takes one signal only under Deno. */
  #signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    const pid = this.#child?.pid;
    if (pid !== undefined) process.kill(pid, name);
  }

  /** Copies what is on its disk; while it runs under appendfsync always that is all it acknowledged. */
  save(): string {
    const copy = mkdtempSync(join(tmpdir(), "partidor-redis-copy-"));
    cpSync(this.directory, copy, { recursive: true });
    return copy;
  }

  /** Puts an older copy in place (the server must be down). */
  restore(copy: string): void {
    rmSync(this.directory, { recursive: true, force: true });
    cpSync(copy, this.directory, { recursive: true });
  }

  /** Sends one inline command and returns the first line of the answer. */
  command(line: string): Promise<string> {
    return ask(this.port, line);
  }

  /** Sends one inline command and returns the first group of what matches in the answer. */
  answer(line: string, wanted: RegExp): Promise<string> {
    return ask(this.port, line, wanted);
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A server that is not started yet. */
export async function makeRedis(options: RedisOptions = {}): Promise<RedisServer> {
  if (!existsSync(program)) {
    throw new Error(`${program} is not there: install it with \`apt-get install -y redis-server\``);
  }
  const directory = mkdtempSync(join(tmpdir(), "partidor-redis-"));
  return new RedisServer(await freePort(), directory, options.settings ?? []);
}

/** A server that answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await makeRedis(options);
  await redis.start();
  return redis;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** One inline command; the first line of the answer, or the first group of what matches the answer so far. */
export function ask(port: number, line: string, wanted = /^(.*?)\r\n/): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error("no answer within 2 s")));
    socket.on("error", reject);
    socket.on("connect", () => socket.write(`${line}\r\n`));
    socket.on("data", (bytes) => {
      text += bytes.toString();
      const found = wanted.exec(text)?.[1];
      if (found === undefined) return;
      socket.destroy();
      resolve(found);
    });
    socket.on("close", () => reject(new Error("closed without an answer")));
  });
}

export async function waitForPong(port: number, end: number): Promise<void> {
  for (;;) {
    try {
      if ((await ask(port, "PING")) === "+PONG") return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
