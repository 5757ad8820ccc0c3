// npm run sim -- --tier p|f ...: deterministic simulation; each tier reads its own options.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** What a tier's cli.ts has to offer; the promise is of the exit code. */
interface Tier {
  run(args: readonly string[]): Promise<number> | number;
}

/** p: the machines of hub/cluster alone, logs as arrays. f: whole hubs on a simulated disk, net and Redis. */
const folders: Readonly<Record<string, string>> = { p: "protocol", f: "full" };

const args = process.argv.slice(2);
const at = args.indexOf("--tier");
const tier = at < 0 ? "p" : (args[at + 1] ?? "");
const file = path.join(import.meta.dirname, folders[tier] ?? "none", "cli.ts");
if (!existsSync(file)) {
  console.error(`sim: there is no tier "${tier}": --tier p (protocol core) or --tier f (full hubs)`);
  process.exit(2);
}
const { run } = (await import(pathToFileURL(file).href)) as Tier;
process.exitCode = await run(at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)]);
