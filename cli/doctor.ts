// `partidor doctor`: looks at what a hub needs from this machine, and says what to do about what is missing.
import { closeSync, existsSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";
import { connect as connectTls } from "node:tls";
import { type Command, type Input, runCommand } from "./command.ts";
import { type ExitCode, exit } from "./exit.ts";
import { printJson, tableOf } from "./output.ts";

/** One thing looked at. `warn` lets a hub run, `fail` does not. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warn" | "fail";
  readonly found: string;
  readonly remedy: string;
}

const ok = (check: string, found: string): Finding => ({ check, state: "ok", found, remedy: "" });
const warn = (check: string, found: string, remedy: string): Finding => ({ check, state: "warn", found, remedy });
const fail = (check: string, found: string, remedy: string): Finding => ({ check, state: "fail", found, remedy });

const codeOf = (thrown: unknown): string => (thrown as { code?: string }).code ?? String(thrown);

/** Node 20.19 is the oldest that the hub is tested on. */
export function checkRuntime(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const good = major > 20 || (major === 20 && minor >= 19);
  if (good) return ok("runtime", `Node ${version}`);
  return fail("runtime", `Node ${version}`, "Install Node 20.19 or newer.");
}

const syncs = 25;
const syncMsGood = 20;

/** Writes and flushes 4 KiB blocks in the data folder (or where it will be made). */
export function checkFolder(data: string): Finding[] {
  let place = path.resolve(data);
  while (!existsSync(place)) place = path.dirname(place);
  const findings: Finding[] = [];
  let scratch: string;
  try {
    scratch = mkdtempSync(path.join(place, ".doctor-"));
  } catch (thrown) {
    const remedy = "Give this user the folder (chown), or name another with --data.";
    return [fail("data folder", `${place} is not writable (${codeOf(thrown)})`, remedy)];
  }
  try {
    findings.push(ok("data folder", place === path.resolve(data) ? data : `${data} can be made in ${place}`));
    findings.push(checkSync(path.join(scratch, "sync")));
  } catch (thrown) {
    findings.push(fail("disk flush", `writing fails (${codeOf(thrown)})`, "Free space, or replace the disk."));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const { bavail, blocks, bsize } = statfsSync(place);
  const [freeMiB, totalMiB] = [(bavail * bsize) / 2 ** 20, (blocks * bsize) / 2 ** 20];
  const found = `${Math.round(freeMiB)} of ${Math.round(totalMiB)} MiB free`;
  if (freeMiB < 128) findings.push(fail("free space", found, "Free space: below 128 MiB the hub refuses records."));
  else if (freeMiB < 512) findings.push(warn("free space", found, "Below 512 MiB the hub deletes old records early."));
  else findings.push(ok("free space", found));
  return findings;
}

function checkSync(file: string): Finding {
  const handle = openSync(file, "wx");
  const times: number[] = [];
  try {
    const block = Buffer.alloc(4096, 1);
    for (let i = 0; i < syncs; i++) {
      writeSync(handle, block, 0, block.length, i * block.length);
      const start = performance.now();
      fdatasyncSync(handle);
      times.push(performance.now() - start);
    }
  } finally {
    closeSync(handle);
  }
  times.sort((a, b) => a - b);
  const [median, worst] = [times[Math.floor(syncs / 2)]!, times.at(-1)!];
  const found = `${median.toFixed(2)} ms a flush, at worst ${worst.toFixed(1)} ms`;
  if (median <= syncMsGood) return ok("disk flush", found);
  return warn("disk flush", found, "Each acknowledgement waits for a flush; an SSD is faster than an SD card.");
}

/** A port that a hub would open. */
export function checkPort(name: string, host: string, port: number): Promise<Finding> {
  const check = `${name} port`;
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => {
      const code = codeOf(error);
      const found = code === "EADDRINUSE" ? `${host}:${port} is taken` : `${host}:${port} cannot be opened (${code})`;
      const remedy = `Stop what listens there (a running hub?), or choose another: --${name.toLowerCase()}-port N.`;
      if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") {
        resolve(warn(check, `${host} is no address of this machine`, "Name one with --listen."));
      } else resolve(code === "EADDRINUSE" ? warn(check, found, remedy) : fail(check, found, remedy));
    });
    server.listen({ host, port, exclusive: true }, () =>
      server.close(() => resolve(ok(check, `${host}:${port} is free`))),
    );
  });
}

/** Before this day the clock has certainly not been set. */
const builtAt = Date.UTC(2026, 0, 1);

export function checkClock(now: number, synchronised: boolean | null): Finding {
  const found = new Date(now).toISOString();
  const remedy = "Set the clock (chrony or systemd-timesyncd); retention and time lookup depend on it.";
  if (now < builtAt) return warn("clock", `${found} is in the past`, remedy);
  if (synchronised === false) return warn("clock", `${found}, not synchronised`, remedy);
  return ok("clock", synchronised === null ? found : `${found}, synchronised`);
}

/** What systemd-timesyncd says; null when it is not there to ask. */
function clockSynchronised(): boolean | null {
  if (!existsSync("/run/systemd/timesync")) return null;
  return existsSync("/run/systemd/timesync/synchronized");
}

const redisMsMax = 3_000;

/** PING over a plain or TLS socket. A password in the URL is not sent: this asks only whether someone answers. */
export function checkRedis(url: string): Promise<Finding> {
  let address: URL;
  try {
    address = new URL(url);
    if (address.protocol !== "redis:" && address.protocol !== "rediss:") throw new Error("protocol");
  } catch {
    return Promise.resolve(
      fail("Redis", "the URL cannot be read", "Write it as redis://host:port or rediss://host:port."),
    );
  }
  const [host, port] = [address.hostname.replace(/^\[|\]$/g, ""), Number(address.port || 6379)];
  const place = `${host}:${port}`;
  return new Promise((resolve) => {
    const secure = address.protocol === "rediss:";
    const socket = secure ? connectTls({ host, port, servername: host }) : connect({ host, port });
    const say = (finding: Finding): void => {
      socket.destroy();
      resolve(finding);
    };
    const remedy = "Start it, or correct the URL; until then offsets stay in the data folder.";
    socket.setTimeout(redisMsMax, () => say(fail("Redis", `${place} does not answer in ${redisMsMax} ms`, remedy)));
    socket.once("error", (error) => say(fail("Redis", `${place} is not reachable (${codeOf(error)})`, remedy)));
    socket.once(secure ? "secureConnect" : "connect", () => socket.write("PING\r\n"));
    socket.once("data", (bytes) => {
      const answer = bytes.toString("latin1");
      if (answer.startsWith("+PONG")) say(ok("Redis", `${place} answers`));
      else if (answer.startsWith("-NOAUTH")) say(ok("Redis", `${place} answers and wants a password`));
      else say(fail("Redis", `${place} answers, but not as Redis does`, remedy));
    });
  });
}

async function doctor(input: Input): Promise<ExitCode> {
  const { loadConfig } = await import("../hub/mod.ts");
  const file = input.text("config");
  const flags = { "hub.data": input.text("data"), "redis.url": input.text("redis") };
  const config = loadConfig({ ...(file === undefined ? {} : { file }), env: process.env, flags });
  const findings = [checkRuntime(process.versions.node), ...checkFolder(config.hub.data)];
  const ports = [
    ["MQTT", config.mqtt.port],
    ["Kafka", config.kafka.port],
    ["HTTP", config.http.port],
  ] as const;
  for (const host of config.hub.listen) {
    for (const [name, port] of ports) if (port !== 0) findings.push(await checkPort(name, host, port));
  }
  findings.push(checkClock(Date.now(), clockSynchronised()));
  if (config.redis.url !== null) findings.push(await checkRedis(config.redis.url));
  const { terminal } = input;
  if (terminal.json) for (const finding of findings) printJson(terminal, { ...finding });
  else {
    const rows = findings.map((finding) => ({ ...finding }));
    terminal.write(tableOf(["check", "state", "found", "remedy"], rows, terminal.width, terminal.color));
  }
  return codeFor(findings);
}

/** 0 when all is well, 7 with warnings, 70 when the data folder fails, 1 for another failure. */
export function codeFor(findings: readonly Finding[]): ExitCode {
  const failed = findings.filter((finding) => finding.state === "fail");
  if (failed.some(({ check }) => ["data folder", "disk flush", "free space"].includes(check))) return exit.dataFolder;
  if (failed.length > 0) return exit.failure;
  return findings.some((finding) => finding.state === "warn") ? exit.degraded : exit.ok;
}

export const commands: readonly Command[] = [
  {
    name: "doctor",
    summary: "Look at this machine: runtime, data folder, flush speed, ports, clock, Redis.",
    takes: [],
    flags: {
      config: { value: "FILE", doc: "Settings file; partidor.toml in this folder when left out." },
      data: { value: "DIR", doc: "Data folder." },
      redis: { value: "URL", doc: "Redis to ask." },
    },
    notes: ["Codes: 0 all is well, 7 with warnings, 70 when the data folder cannot be used, 1 for anything else."],
    run: doctor,
  },
];

export function run(argv: string[]): Promise<number> {
  return runCommand(commands[0]!, argv);
}
