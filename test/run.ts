// The test command: fetches what the tests need, then types, lint, the house, and every test on three runtimes.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { mayLeaveOut } from "./compat/clients.ts";
import { clearNotes, writeTable } from "./compat/table.ts";

const root = path.resolve(import.meta.dirname, "..");
const tools = path.join(root, "test/.tools");
const bin = (name: string): string => path.join(tools, "node_modules/.bin", name);

/** Foreign programs the tests speak with: a command that shows one is there, and Debian's package for it. */
const programs: readonly { readonly check: readonly string[]; readonly debian: string }[] = [
  { check: ["mosquitto_pub", "--help"], debian: "mosquitto-clients" },
  // it stands where only root's PATH leads
  { check: ["sh", "-c", "PATH=$PATH:/usr/sbin command -v mosquitto"], debian: "mosquitto" },
  { check: ["redis-server", "--version"], debian: "redis-server" },
  { check: ["kcat", "-V"], debian: "kcat" },
  { check: ["/usr/bin/python3", "-c", "import kafka"], debian: "python3-kafka" },
  { check: ["chromium", "--version"], debian: "chromium" },
  { check: ["javac", "-version"], debian: "default-jdk-headless" },
  { check: ["mvn", "--version"], debian: "maven" },
  { check: ["/usr/bin/python3", "-m", "pip", "--version"], debian: "python3-pip" },
  { check: ["go", "version"], debian: "golang" },
];

/** Tests of this kind need foreign programs, a browser or the whole machine, and run on the first runtime only. */
const foreign = /^test\/(?:compat|conformance\/mqtt|dashboards\/browser|cli|house_test|bench|chaos\/cluster_)/;
/** These take the whole machine for themselves: one after the other, with nothing beside them. */
const whole = /^test\/(?:chaos\/cluster_|sim\/(?:full|protocol)_test)/;
/** A part that takes longer hangs, and fails for that. */
const partMinutesMax = 25;

function present(check: readonly string[]): boolean {
  const result = spawnSync(check[0]!, check.slice(1), { stdio: "ignore" });
  return result.error === undefined && (result.status === 0 || check[1] === "--help");
}

function must(command: string, args: readonly string[], options: { cwd?: string } = {}): void {
  const result = spawnSync(command, args, { stdio: "inherit", cwd: options.cwd ?? root });
  if (result.status !== 0) fail(`${path.basename(command)} ${args.join(" ")} failed`);
}

function fail(sentence: string): never {
  console.error(`\ntest: ${sentence}`);
  process.exit(1);
}

function installPrograms(): void {
  const missing = programs.filter(({ check }) => !present(check)).map(({ debian }) => debian);
  if (missing.length === 0) return;
  const sentence = `install with: sudo apt-get install ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    if (mayLeaveOut) return console.log(`left out, what needs ${missing.join(", ")}; ${sentence}`);
    fail(`missing ${missing.join(", ")}; ${sentence}`);
  }
  console.log(`test: installing ${missing.join(", ")}`);
  const quiet = { stdio: "ignore" as const, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  spawnSync("apt-get", ["update", "-qq"], quiet);
  // Without recommended packages: a server's start-up files and a desktop are not needed here.
  spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], quiet);
  const still = programs.filter(({ check }) => !present(check)).map(({ debian }) => debian);
  if (still.length > 0) fail(`could not install ${still.join(", ")}; ${sentence}`);
}

/** Every tool is there at the version that test/.tools/package.json names. */
function toolsCurrent(): boolean {
  const versionOf = (file: string): string | null =>
    existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : null;
  const manifest = JSON.parse(readFileSync(path.join(tools, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const wanted = Object.entries(manifest.dependencies);
  const at = (name: string): string => path.join(tools, "node_modules", name, "package.json");
  return existsSync(bin("node")) && wanted.every(([name, version]) => versionOf(at(name)) === version);
}

function installTools(): void {
  if (toolsCurrent()) return;
  console.log("test: fetching the test tools (once)");
  // versions are exact in its package.json; a lock file would name packages of systems that a mirror may not carry
  must("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: tools });
  for (const name of ["tsc", "biome", "deno", "node"]) {
    if (!present([bin(name), "--version"])) fail(`${name} does not run; remove test/.tools/node_modules and try again`);
  }
}

function testsBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder))
    .sort()
    .flatMap((name) => {
      const file = `${folder}/${name}`;
      if (name.startsWith(".") || name === "node_modules") return [];
      if (statSync(path.join(root, file)).isDirectory()) return testsBelow(file);
      return name.endsWith("_test.ts") ? [file] : [];
    });
}

/** Runs one part, its output shown; its seconds and outcome are noted. */
const parts: { name: string; seconds: number; good: boolean }[] = [];
async function part(
  name: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  console.log(`\n== ${name}`);
  const began = Date.now();
  const code = await new Promise<number | null>((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", env: { ...env, ...process.env } });
    const late = setTimeout(() => {
      console.log(`\ntest: ${name} is not done after ${partMinutesMax} minutes`);
      child.kill("SIGKILL");
    }, partMinutesMax * 60_000);
    const done = (exit: number | null): void => {
      clearTimeout(late);
      resolve(exit);
    };
    child.on("exit", done).on("error", () => done(-1));
  });
  parts.push({ name, seconds: Math.round((Date.now() - began) / 1000), good: code === 0 });
}

const wanted = process.argv.slice(2);
const all = testsBelow("test").filter((file) => wanted.length === 0 || wanted.some((one) => file.includes(one)));
const own = all.filter((file) => !foreign.test(file));
const runs = path.join(root, "test/.runs");

installPrograms();
installTools();
if (wanted.length === 0) {
  await part("types", bin("tsc"), ["-p", "."]);
  await part("lint", bin("biome"), ["check", "--diagnostic-level=error", "."]);
}
/** Node's runner with dots on the way; when something failed, what failed, whole, from a report beside it. */
async function nodeTests(
  name: string,
  command: string,
  args: readonly string[],
  files: readonly string[],
  env: NodeJS.ProcessEnv = {},
  beside = 2,
): Promise<void> {
  if (files.length === 0) return;
  const file = path.join(runs, `${name.replaceAll(/\W+/g, "-")}.txt`);
  const reporters = ["--test-reporter=dot", "--test-reporter-destination=stdout"];
  const detail = ["--test-reporter=spec", `--test-reporter-destination=${file}`];
  const bounds = ["--test", `--test-concurrency=${beside}`, "--test-timeout=600000"];
  await part(name, command, [...args, ...bounds, ...reporters, ...detail, ...files], env);
  if (parts.at(-1)!.good) return;
  const text = readFileSync(file, "utf8");
  console.log(text.slice(Math.max(0, text.indexOf("failing tests:"))).slice(0, 20_000));
}

mkdirSync(runs, { recursive: true });
clearNotes();
if (all.some((file) => file.startsWith("test/compat/"))) {
  await part("foreign clients, fetched", process.execPath, ["--import", "tsx", "test/compat/fetch.ts"]);
}
const tsx = ["--import", "tsx"];
await nodeTests(
  "Node, through tsx",
  process.execPath,
  tsx,
  all.filter((file) => !whole.test(file)),
);
writeTable();
if (own.length > 0) {
  // the simulated crashes are the same everywhere: the other runtimes show that they run, the first one searches
  const fewer = { SEEDS: "200" };
  await nodeTests("Node 24, natively", bin("node"), [], own, fewer);
  await part("Deno", bin("deno"), ["test", "-A", "--no-check", "--quiet", "--reporter=dot", ...own], fewer);
}
const alone = all.filter((file) => whole.test(file));
await nodeTests("simulation and clusters", process.execPath, tsx, alone, {}, 1);
console.log("");
for (const { name, seconds, good } of parts) console.log(`${good ? "passed" : "FAILED"}  ${name} (${seconds} s)`);
const failed = parts.filter((one) => !one.good).length;
console.log(`\nparts: ${parts.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
