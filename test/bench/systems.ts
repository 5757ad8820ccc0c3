// The systems a bench compares: how each is started on an empty folder, what it uses, and how it is stopped.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { root } from "../tools/hub_process.ts";

export interface System {
  readonly name: string;
  /** The command line that serves MQTT on `port` from an empty `folder`. */
  readonly command: (port: number, folder: string) => readonly string[];
}

export interface Running {
  readonly pid: number;
  readonly port: number;
  readonly startMs: number;
  readonly stop: () => Promise<void>;
}

function written(file: string, text: string): string {
  writeFileSync(file, text);
  return file;
}

const mosquittoConf = (port: number): string =>
  [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "set_tcp_nodelay true",
    "log_type error",
    "user root",
    "persistence false",
    "",
  ].join("\n");

const natsConf = (port: number, folder: string): string =>
  [
    `server_name: lab`,
    `listen: "127.0.0.1:${port + 500}"`,
    `jetstream { store_dir: "${folder}/js" }`,
    `mqtt { listen: "127.0.0.1:${port}" }`,
    `logfile: "${folder}/n.log"`,
    "",
  ].join("\n");

type Fsync = "always" | "interval" | "os";

const hub =
  (fsync: Fsync, ...runtime: readonly string[]) =>
  (port: number, folder: string): readonly string[] => [
    ...runtime,
    path.join(root, "cli/main.ts"),
    "up",
    "--json",
    "--config",
    written(`${folder}/partidor.toml`, `[log]\nlevel = "warn"\n[settings]\n"log.fsync" = "${fsync}"\n`),
    "--data",
    `${folder}/data`,
    "--listen",
    "127.0.0.1",
    "--mqtt-port",
    String(port),
    "--kafka-port",
    String(port + 1000),
    "--http-port",
    "0",
  ];

const native = path.join(root, "test/.tools/node_modules/.bin/node");
const tsx = [process.execPath, "--import", "tsx"];
const folderOf = ({ name }: System): string => path.join(os.tmpdir(), "partidor-bench", name);

export const systems: readonly System[] = [
  {
    name: "mosquitto",
    command: (port, folder) => ["mosquitto", "-c", written(`${folder}/m.conf`, mosquittoConf(port))],
  },
  {
    name: "nats",
    command: (port, folder) => ["nats-server", "-c", written(`${folder}/n.conf`, natsConf(port, folder))],
  },
  { name: "partidor", command: hub("always", ...tsx) },
  { name: "partidor-interval", command: hub("interval", ...tsx) },
  { name: "partidor-os", command: hub("os", ...tsx) },
  { name: "partidor-node24", command: hub("always", native) },
];

/** Where a program stands, also where only root's PATH leads and where Go puts what it builds; null: nowhere. */
export function find(command: string): string | null {
  if (path.isAbsolute(command)) return existsSync(command) ? command : null;
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", path.join(os.homedir(), "go/bin")];
  return folders.map((folder) => path.join(folder, command)).find((file) => existsSync(file)) ?? null;
}

/** The program of the system is there. */
export const isPresent = (system: System): boolean => {
  const folder = folderOf(system);
  mkdirSync(folder, { recursive: true });
  return find(system.command(0, folder)[0]!) !== null;
};

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });

/** Starts a system; resolves once its port accepts. */
export async function start(system: System, port: number): Promise<Running> {
  const folder = folderOf(system);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [command, ...args] = system.command(port, folder) as [string, ...string[]];
  const began = performance.now();
  const child: ChildProcess = spawn(find(command) ?? command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: root,
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`${system.name} ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return {
    pid: child.pid!,
    port,
    startMs: performance.now() - began,
    async stop() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(late);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The process and all below it. */
function family(pid: number): readonly number[] {
  const all = [pid];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ").filter(Boolean);
    for (const child of children) all.push(...family(Number(child)));
  }
  return all;
}

/** CPU seconds (user and system) and resident bytes of a process and its children, from /proc. */
export function usage(pid: number): { readonly cpuSeconds: number; readonly rssBytes: number } {
  let [ticks, pages] = [0, 0];
  for (const one of family(pid)) {
    const stat = readFileSync(`/proc/${one}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    for (const at of [11, 12, 13, 14]) ticks += Number(fields[at]); // the last two: of children that are over
    pages += Number(fields[21]);
  }
  return { cpuSeconds: ticks / 100, rssBytes: pages * 4096 };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** The line that every table begins with: what it was measured on. */
export function machine(): string {
  const [cpu] = os.cpus();
  return `${os.cpus().length} cores (${cpu?.model ?? "unknown"}), ${os.type()} ${os.release()}, Node ${process.version}`;
}
