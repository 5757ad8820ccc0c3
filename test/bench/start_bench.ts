// Start and idle: milliseconds to the ready line and resident memory of a hub that nobody talks to.
//   npx tsx test/bench/start_bench.ts [--rounds 5]
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { root, scratch } from "../tools/hub_process.ts";
import { machine, median, usage } from "./systems.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const tools = path.join(root, "test/.tools/node_modules/.bin");
const bundle = path.join(root, "test/.runs/bundle/main.mjs");

function makeBundle(): boolean {
  const esbuild = path.join(root, "node_modules/.bin/esbuild");
  if (!existsSync(esbuild)) return false;
  const banner =
    "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";
  execFileSync(
    esbuild,
    [
      "cli/main.ts",
      "--bundle",
      "--platform=node",
      "--format=esm",
      "--target=node20",
      `--banner:js=${banner}`,
      "--external:@node-rs/crc32",
      "--external:snappy",
      "--external:lz4-napi",
      "--external:@bokuweb/zstd-wasm",
      `--outfile=${bundle}`,
      "--log-level=error",
    ],
    { cwd: root, stdio: "inherit" },
  );
  // what the code finds beside itself
  cpSync(path.join(root, "dashboards/page"), path.join(path.dirname(bundle), "page"), { recursive: true });
  return true;
}

const main = path.join(root, "cli/main.ts");
const ways: { name: string; command: readonly string[] }[] = [
  { name: "Node 20, tsx", command: [process.execPath, "--import", "tsx", main] },
  { name: "Node 24, from source", command: [path.join(tools, "node"), main] },
  { name: "Deno 2, from source", command: [path.join(tools, "deno"), "run", "-A", "--no-check", "--quiet", main] },
];
if (makeBundle()) ways.push({ name: "Node 20, bundled", command: [process.execPath, bundle] });

async function once(command: readonly string[]): Promise<{ readyMs: number; rssMib: number }> {
  const { folder, remove } = scratch();
  const args = ["up", "--json", "--data", folder, "--mqtt-port", "0", "--kafka-port", "0", "--http-port", "0"];
  const began = performance.now();
  const child: ChildProcess = spawn(command[0]!, [...command.slice(1), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const readyMs = await new Promise<number>((resolve, reject) => {
    child.stdout!.on("data", (bytes: Buffer) => {
      if (bytes.toString().includes('"event":"ready"')) resolve(performance.now() - began);
    });
    child.on("exit", (code) => reject(new Error(`${command.join(" ")} ended with ${code}`)));
  });
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const rssMib = usage(child.pid!).rssBytes / 2 ** 20;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.removeAllListeners("exit");
  child.once("exit", () => {});
  child.kill("SIGTERM");
  await Promise.race([gone, new Promise((resolve) => child.once("close", resolve))]);
  remove();
  return { readyMs, rssMib };
}

console.log(`${machine()}, medians of ${values.rounds} starts, memory 5 s after ready\n`);
console.log("| how | ready ms | idle RSS MiB |\n|---|---|---|");
for (const { name, command } of ways) {
  const runs: { readyMs: number; rssMib: number }[] = [];
  for (let i = 0; i < Number(values.rounds); i++) runs.push(await once(command));
  const ready = Math.round(median(runs.map((run) => run.readyMs)));
  console.log(`| ${name} | ${ready} | ${Math.round(median(runs.map((run) => run.rssMib)))} |`);
}
process.exit(0);
