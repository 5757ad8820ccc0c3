// Bugs that the simulators have to find, each a change of text in a copy of the sources. The code itself has no switches.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export interface Mutant {
  /** Its number in the list of replication's mutations. */
  readonly id: string;
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The world that shows it: one store on a disk, a store with rot, or whole hubs. */
  readonly world: "store" | "rot" | "hubs";
  /** Kinds of faults for whole hubs, instead of those that a seed draws. */
  readonly faults?: readonly string[];
  /** What breaks. */
  readonly breaks: RegExp;
  /** A seed in which it does. */
  readonly seed: number;
}

const root = path.resolve(import.meta.dirname, "../..");

export const mutants: readonly Mutant[] = [
  {
    id: "8",
    name: "an answer before the sync, under always",
    file: "hub/log/journal.ts",
    find: "    target.file.sync().then(\n",
    replace: "    Promise.resolve().then(\n",
    world: "store",
    breaks: /./,
    seed: 1,
  },
  {
    id: "9",
    name: "the name of a new log is not synced",
    file: "hub/log/partition_maker.ts",
    find: '      this.#host.disk.syncDirectory("topics");',
    replace: "",
    world: "store",
    breaks: /./,
    seed: 4,
  },
  {
    id: "10",
    name: "the log is cut at the first bad CRC, below the recovery point too",
    file: "hub/log/recovery.ts",
    find: "if (segment.nextOffset >= this.#point) return this.#cutTail(",
    replace: "return this.#cutTail(",
    world: "rot",
    breaks: /./,
    seed: 1,
  },
  {
    id: "12",
    name: "what Redis does not name is deleted",
    file: "hub/engine/governor.ts",
    find: "        await this.#mending.mend(poll);\n",
    replace:
      "        if (poll.inc === null) for (const key of this.#memory.meta.keys()) " +
      "for (const listener of this.#metaListeners) listener(key, null);\n" +
      "        await this.#mending.mend(poll);\n",
    world: "hubs",
    faults: ["redisEmpty"],
    breaks: /^I/,
    seed: 1,
  },
  {
    id: "13",
    name: "an offset is committed in whatever generation",
    file: "hub/groups/offsets.ts",
    find: '  if (claim.generation !== group.generation) return "ILLEGAL_GENERATION";\n',
    replace: "",
    world: "hubs",
    faults: [],
    breaks: /^I12 /,
    seed: 1,
  },
  {
    id: "17",
    name: "a short write is taken for a whole one",
    file: "hub/log/journal.ts",
    find: "if (target.file.write(bytes, this.#position) < bytes.length) throw shortWrite(target.file.name);",
    replace: "target.file.write(bytes, this.#position);",
    world: "store",
    breaks: /./,
    seed: 175,
  },
  {
    id: "18",
    name: "a sync is tried again after EIO",
    file: "hub/log/journal.ts",
    find: '        if (this.#dead === null) this.#options.listener.fault("failed", error);\n      },\n    );',
    replace:
      "        void error;\n        target.file.sync().then(() => this.#done(group, then)).catch(() => {});\n      },\n    );",
    world: "store",
    breaks: /./,
    seed: 4,
  },
];

/** Runs one seed of a mutant's world from the sources below `folder`; what broke, or null. */
export type Look = (seed: number) => Promise<string | null>;

/** The sources as they are: none of the worlds may break. */
export function unchanged({ world, faults }: Mutant): Promise<Look> {
  return lookIn(root, world, faults);
}

/** A copy of the sources with the change made. Its folder lies in the repository, for the libraries' sake. */
export async function mutated(mutant: Mutant): Promise<{ readonly look: Look; readonly remove: () => void }> {
  const folder = path.join(root, "test/.runs/mutants", `${mutant.id}-${process.pid}`);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  remove();
  for (const part of ["hub", "test/sim", "test/hub/log", "test/tools"]) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(root, "package.json"), path.join(folder, "package.json"));
  const file = path.join(folder, mutant.file);
  const parts = readFileSync(file, "utf8").split(mutant.find);
  if (parts.length !== 2) {
    remove();
    throw new Error(`mutant ${mutant.id}: its text stands in ${mutant.file} ${parts.length - 1} times, not once`);
  }
  writeFileSync(file, parts.join(mutant.replace));
  return { look: await lookIn(folder, mutant.world, mutant.faults), remove };
}

async function lookIn(folder: string, world: Mutant["world"], faults?: readonly string[]): Promise<Look> {
  const load = (name: string): Promise<unknown> => import(pathToFileURL(path.join(folder, name)).href);
  if (world === "hubs") {
    const { runSeed } = (await load("test/sim/full/run.ts")) as typeof import("./full/run.ts");
    const options = faults === undefined ? {} : { faults };
    return async (seed) => (await runSeed(seed, options)).violation;
  }
  const name = world === "store" ? "test/sim/log_world.ts" : "test/sim/rot.ts";
  const loaded = (await load(name)) as { LogWorld: typeof import("./log_world.ts").LogWorld; rot: Look };
  if (world === "rot") return loaded.rot;
  return async (seed) => {
    try {
      await new loaded.LogWorld(seed, { boots: 3, turnsPerBoot: 40 }).live();
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
}
