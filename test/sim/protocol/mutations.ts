// Bugs that the simulator has to find: each one a change of text in a copy of the machines, and a seed that shows it.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Outcome } from "./run.ts";

export interface Mutation {
  /** Its number in the list of replication's mutations, or what was found in the code itself. */
  readonly id: string;
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What breaks. */
  readonly breaks: RegExp;
  /** The first seed in which that breaks, counted from 1. */
  readonly seed: number;
}

export const mutations: readonly Mutation[] = [
  {
    id: "1",
    name: "elect from Redis's ISR, without promises",
    file: "hub/cluster/election.ts",
    find: "    trusted ||\n",
    replace: "    trusted || election.published?.isr.includes(replica.id) ||\n",
    breaks: /^I1 /,
    seed: 1445,
  },
  {
    id: "2",
    name: "vote by the epoch of the last record",
    file: "hub/cluster/election.ts",
    find: "acceptedEpoch: state.acceptedEpoch,",
    replace: "acceptedEpoch: log.latestEpoch,",
    breaks: /^I1 /,
    seed: 575,
  },
  {
    id: "3",
    name: "ballots without the hub's id",
    file: "hub/cluster/quorum.ts",
    find: "+ 1) * hubsPerRound + hub;",
    replace: "+ 1) * hubsPerRound + hub * 0;",
    breaks: /^I3 /,
    seed: 3,
  },
  {
    id: "4",
    name: "a promise that is not synced",
    file: "hub/cluster/election.ts",
    find: 'promisedEpoch: epoch, config }, [{ kind: "answer-vote", to: candidate, reply }]));',
    replace: 'promisedEpoch: epoch, config }), { kind: "answer-vote", to: candidate, reply });',
    breaks: /^I[123] /,
    seed: 765,
  },
  {
    id: "5",
    name: "followers that have not reconciled count",
    file: "hub/cluster/leader.ts",
    find: "const end = fetch.accepted ? fetch.offset : -1;",
    replace: "const end = fetch.offset;",
    breaks: /^I7 /,
    seed: 1,
  },
  {
    id: "6",
    name: "an old leader is not fenced",
    file: "hub/cluster/election.ts",
    find: "const effects = stepDown(replica, `promised epoch ${epoch} to ${candidate}`);",
    replace: "const effects: ReplicaEffect[] = [];",
    breaks: /^I[14] /,
    seed: 57,
  },
  {
    id: "7",
    name: "a short log counts",
    file: "hub/cluster/election.ts",
    find: 'counts: state.amnesia !== "short" && !state.tombstone,',
    replace: "counts: !state.tombstone,",
    breaks: /^I1 /,
    seed: 4,
  },
  {
    id: "11a",
    name: "another set without the joint phase",
    file: "hub/cluster/reassign.ts",
    find: "id: idAfter(replica), old: config.old, next: target };",
    replace: "id: idAfter(replica), old: target, next: null };",
    breaks: /^I[127] /,
    seed: 38,
  },
  {
    id: "11b",
    name: "a set is final before it holds what was written",
    file: "hub/cluster/reassign.ts",
    find: "if (!isStored(replica, lead) || !hasHolders(config, holds)) return;",
    replace: "if (!isStored(replica, lead)) return;",
    breaks: /^I[17] /,
    seed: 42,
  },
  {
    id: "11c",
    name: "a set is final before both sets know of the change",
    file: "hub/cluster/reassign.ts",
    find: "if (!isStored(replica, lead) || !hasHolders(config, holds)) return;",
    replace: "if (!hasHolders(config, holds)) return;",
    breaks: /^I[127] /,
    seed: 16740,
  },
  {
    id: "20",
    name: "a removed replica answers votes without its tombstone",
    file: "hub/cluster/state.ts",
    find: "const state = fact ?? fresh;",
    replace: "const state = fact === undefined || fact.tombstone ? fresh : fact;",
    breaks: /^I[14] /,
    seed: 635,
  },
  {
    id: "found-1",
    name: "a set is final once the watermark stands where the change began",
    file: "hub/cluster/reassign.ts",
    find: "if (!isStored(replica, lead) || !hasHolders(config, holds)) return;",
    replace: "if (!isStored(replica, lead) || replica.highWatermark < lead.jointStart) return;",
    breaks: /^I[17] /,
    seed: 71,
  },
  {
    id: "found-2",
    name: "a candidate leads while a cut of its log is under way",
    file: "hub/cluster/election.ts",
    find: "election.promised || replica.truncating || stored",
    replace: "election.promised || stored",
    breaks: /^I8 /,
    seed: 751,
  },
  {
    id: "found-3",
    name: "nobody hears that a hub leads no more",
    file: "hub/cluster/idle.ts",
    find: 'effects.push({ kind: "publish", state: vacant.state });',
    replace: "",
    breaks: /^I16 /,
    seed: 24,
  },
  {
    id: "found-4",
    name: "who promised in vain waits for ever",
    file: "hub/cluster/idle.ts",
    find: 'effects.push({ kind: "follow", leader: passed.leader, epoch: passed.epoch });',
    replace: "",
    breaks: /^I16 /,
    seed: 1,
  },
  {
    id: "m1-1",
    name: "with m = 1 who is trusted leads before the world was told so",
    file: "hub/cluster/election.ts",
    find: 'if (trusted && !promised && election.claim !== "stored") {',
    replace: "if (election.kind === null) {",
    breaks: /^I1 /,
    seed: 22910,
  },
  {
    id: "m1-2",
    name: "with m = 1 a new leader commits alone before the world knows that it is alone",
    file: "hub/cluster/election.ts",
    find: "config.old.m === 1 && config.old.members.length > 1 && !claimed",
    replace: "config.old.m === 1 && config.old.members.length < 1 && !claimed",
    breaks: /^I1 /,
    seed: 50283,
  },
];

const root = path.resolve(import.meta.dirname, "../../..");

/** A copy of the machines and of this simulator, with the change made; the simulator of the copy. */
export async function mutated(
  mutation: Mutation,
  scratch: string,
): Promise<{ readonly runSeed: (seed: number) => Outcome; readonly remove: () => void }> {
  const folder = path.join(scratch, mutation.id);
  rmSync(folder, { recursive: true, force: true });
  for (const part of ["hub/cluster", "test/sim/protocol", "test/sim/clock.ts"]) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }\n');
  const file = path.join(folder, mutation.file);
  const parts = readFileSync(file, "utf8").split(mutation.find);
  if (parts.length !== 2) {
    throw new Error(`mutation ${mutation.id}: its text stands in ${mutation.file} ${parts.length - 1} times, not once`);
  }
  writeFileSync(file, parts.join(mutation.replace));
  const { runSeed } = (await import(pathToFileURL(path.join(folder, "test/sim/protocol/run.ts")).href)) as {
    readonly runSeed: (seed: number) => Outcome;
  };
  return { runSeed, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
