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
  /** The world that shows it: one store on a disk, whole hubs, or a small one of its own (`<world>.ts`, `<world>()`). */
  readonly world: "store" | "hubs" | SmallWorld;
  /** Kinds of faults for whole hubs, instead of those that a seed draws. */
  readonly faults?: readonly string[];
  /** What breaks. */
  readonly breaks: RegExp;
  /** A seed in which it does. */
  readonly seed: number;
}

/** rot: one log with a bad bit; cuts: one log and new leaders; sessions: groups; pubacks: MQTT's way in; answers: Redis. */
type SmallWorld = "rot" | "cuts" | "sessions" | "pubacks" | "answers";

/** Where each of replication's mutations is looked for; one number may be several changes of text. */
export const heldBy: Readonly<Record<"protocol_test" | "mutants_test", readonly number[]>> = {
  protocol_test: [1, 2, 3, 4, 5, 6, 7, 11, 20],
  mutants_test: [8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19],
};

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
    id: "14a",
    name: "a call whose answer was lost is made again under another id",
    file: "hub/engine/shared_changes.ts",
    find: "this.#ask(() => coordination.putMeta(change, ctl.ctlEpoch, asked))",
    replace: "this.#ask(() => coordination.putMeta({ ...change, opId: uuidText(random.uuid()) }, ctl.ctlEpoch, asked))",
    world: "answers",
    breaks: /^v\d+ was asked for once and made 2 times/,
    seed: 1,
  },
  {
    id: "14b",
    name: "the scripts of Redis do not look whether they know the id",
    file: "test/sim/full/redis_twins.ts",
    find: "    if (answered !== null) return answered;\n",
    replace: "",
    world: "answers",
    breaks: /^v\d+ was asked for once and made 2 times/,
    seed: 1,
  },
  {
    id: "14c",
    name: "a call whose answer was lost is not made again",
    file: "hub/engine/shared_changes.ts",
    find: '      if (this.#options.coordination.state() === "down") throw error;\n      return await call();\n',
    replace: "      throw error;\n",
    world: "answers",
    breaks: /^v\d+ was made and is reported as failed/,
    seed: 1,
  },
  {
    id: "15a",
    name: "a cut leaves what is known of the producers",
    file: "hub/log/log_change.ts",
    find: "  log.producers = producersUpTo(log, host);\n",
    replace: "",
    world: "cuts",
    breaks: /^I1 .* is acknowledged/,
    seed: 2,
  },
  {
    id: "15b",
    name: "a cut leaves the snapshots of producers above it",
    file: "hub/log/replay.ts",
    find: "this.changed = dropProducersAbove(disk, directory, end);",
    replace: "this.changed = false;\n    void dropProducersAbove;",
    world: "cuts",
    breaks: /^I10 |^I1 /,
    seed: 1,
  },
  {
    id: "16a",
    name: "a group's timer asks the wall clock who is late",
    file: "hub/engine/groups.ts",
    find: "groups.tick(this.#coordinator, group, options.clock.now())",
    replace: "groups.tick(this.#coordinator, group, options.clock.wall())",
    world: "sessions",
    breaks: /beats in time, and is told/,
    seed: 1,
  },
  {
    id: "16b",
    name: "a heartbeat lengthens the session by the wall clock",
    file: "hub/engine/groups.ts",
    find: "groups.heartbeat(this.#coordinator, group, claim, this.#options.clock.now())",
    replace: "groups.heartbeat(this.#coordinator, group, claim, this.#options.clock.wall())",
    world: "sessions",
    breaks: /is dead, and a member still/,
    seed: 12,
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
  {
    id: "19a",
    name: "a PUBACK when the record is sent, not when it is committed",
    file: "bridge/server/fast_lane.ts",
    find: "view.payloadEnd, flight.delivered);",
    replace: "view.payloadEnd, () => {});\n    flight.delivered(null, 0, 0);",
    world: "pubacks",
    breaks: /^I1 .* before its record is committed/,
    seed: 1,
  },
  {
    id: "19b",
    name: "a PUBACK for a record that the hub did not take",
    file: "bridge/server/fast_lane.ts",
    find: "flight.code = error === null ? Reason.success : codeOf(error);",
    replace: "flight.code = Reason.success;",
    world: "pubacks",
    breaks: /^I1 .* before its record is committed/,
    seed: 3,
  },
  {
    id: "19c",
    name: "PUBACKs in the order of the commits",
    file: "bridge/session/inbound.ts",
    find: "    for (const slot of this.#slots) {\n      const { code, qos, packetId, isUnknown = false } = slot;\n",
    replace:
      "    this.#slots.sort((a, b) => Number(a.code === null) - Number(b.code === null));\n" +
      "    for (const slot of this.#slots) {\n      const { code, qos, packetId, isUnknown = false } = slot;\n",
    world: "pubacks",
    breaks: /^MQTT-4\.6\.0 /,
    seed: 1,
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
  for (const part of ["hub", "bridge", "test/sim", "test/hub/log", "test/bridge/server", "test/tools"]) {
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
  if (world !== "store") {
    const loaded = (await load(`test/sim/${world}.ts`)) as Readonly<Record<string, Look>>;
    return loaded[world]!;
  }
  const { LogWorld } = (await load("test/sim/log_world.ts")) as typeof import("./log_world.ts");
  return async (seed) => {
    try {
      await new LogWorld(seed, { boots: 3, turnsPerBoot: 40 }).live();
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
}
