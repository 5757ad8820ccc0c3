// A real hub as a process of its own: started on free ports, killed by pid, its words kept.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export const root = path.resolve(import.meta.dirname, "../..");

/** How this runtime starts one of our files. */
export function runner(): readonly string[] {
  if ("Deno" in globalThis) return ["run", "-A", "--no-check", "--quiet"];
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  const native = major > 22 || (major === 22 && minor >= 18);
  return native ? [] : ["--import", "tsx"];
}

export interface HubProcess {
  readonly pid: number;
  readonly data: string;
  readonly mqtt: number;
  readonly kafka: number;
  readonly http: number;
  /** Milliseconds from the start of the process to its ready line. */
  readonly readyMs: number;
  /** stderr so far. */
  readonly words: () => string;
  /** Sends the signal and resolves with the exit code (or the signal) once the process is gone. */
  readonly end: (signal?: NodeJS.Signals) => Promise<number | string>;
  readonly exited: Promise<number | string>;
}

export interface HubProcessOptions {
  /** Kept over restarts; a new one that `end` does not remove when left out. */
  readonly data?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ports?: { readonly mqtt: number; readonly kafka: number; readonly http: number };
}

/** A folder for one test below the system's temporary one, and how to remove it. */
export function scratch(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(path.join(tmpdir(), "partidor-test-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Starts `partidor up` and resolves when it says that it is ready; rejects with its words when it ends before. */
export function startHub(options: HubProcessOptions = {}): Promise<HubProcess> {
  const data = options.data ?? scratch().folder;
  const ports = options.ports ?? { mqtt: 0, kafka: 0, http: 0 };
  const child = spawnCli(
    [
      "up",
      "--json",
      "--data",
      data,
      "--mqtt-port",
      String(ports.mqtt),
      "--kafka-port",
      String(ports.kafka),
      "--http-port",
      String(ports.http),
      ...(options.args ?? []),
    ],
    options.env,
  );
  const began = performance.now();
  let words = "";
  child.stderr!.on("data", (bytes: Buffer) => {
    words = (words + bytes.toString()).slice(-100_000);
  });
  const exited = new Promise<number | string>((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? signal ?? -1));
  });
  return new Promise((resolve, reject) => {
    let line = "";
    child.stdout!.on("data", (bytes: Buffer) => {
      line += bytes.toString();
      const found = line.split("\n").find((one) => one.startsWith('{"event":"ready"'));
      if (found === undefined) return;
      const { mqtt, kafka, http } = JSON.parse(found) as { mqtt: number; kafka: number; http: number };
      const end = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> => {
        if (child.exitCode === null && child.signalCode === null) process.kill(child.pid!, signal);
        return await exited;
      };
      const readyMs = performance.now() - began;
      resolve({ pid: child.pid!, data, mqtt, kafka, http, readyMs, words: () => words, end, exited });
    });
    void exited.then((code) => reject(new Error(`the hub ended with ${code} before it was ready:\n${words}`)));
  });
}

/** Runs a verb of the command line to its end. */
export function runCli(
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = spawnCli(args, options.env);
  child.stdin!.end(options.input ?? "");
  let [stdout, stderr] = ["", ""];
  child.stdout!.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr!.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr })));
}

function spawnCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [...runner(), path.join(root, "cli/main.ts"), ...args], {
    cwd: root,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
}

/** Runs any program to its end, with its output; rejects when it does not exit with 0. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly input?: string | Uint8Array; readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: options.env ?? process.env });
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  const late = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(late);
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code ?? signal}:\n${stderr}${stdout}`));
    });
  });
}
