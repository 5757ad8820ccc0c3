// What every client has to get from a hub, call by call: the programs do the calls, each in its own language.
import assert from "node:assert/strict";
import type { ClientName } from "./clients.ts";
import type { Got, Said } from "./program.ts";
import { compat } from "./table.ts";

const range = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

/** Three records a, b, c to one partition, then read back. */
const three = { offsets: [0, 1, 2], values: ["a", "b", "c"] };

/** 200 keyed records with a header of their number, sent compressed and read back with another client object. */
const codec = { count: 200, keys: 7, inOrder: true, headersMatch: true };

/** By name "area: call", what the program prints as `got`. */
export const expected = {
  "producer: acks 0": { values: ["a", "b", "c"] },
  "producer: acks 1": three,
  "producer: acks all": three,
  "producer: idempotent": three,
  "producer: gzip": codec,
  "producer: snappy": codec,
  "producer: lz4": codec,
  "producer: zstd": codec,
  // to a topic that nobody made: a key, a header, an empty value, no value
  "producer: a new topic, keys, headers, empty and null values": {
    records: [
      ["k", "v", [["h", "1"]]],
      ["k", "", []],
      ["t", null, []],
    ],
  },
  // of ten records: from 4 on, from the start, the last, and the marks
  "consumer: assign, seek, positions": {
    from4: range(4, 10),
    first: "0",
    last: "9",
    begin: 0,
    end: 10,
    position: 10,
  },
  // records of the times 1000, 2000, 3000, in one batch: first at or after 1500, at 3000, after 3000
  "consumer: offsets by time": { at1500: [1, 2000], at3000: [2, 3000], at3001: null },
  "consumer: pattern subscription": { topics: ["pattern-one", "pattern-two"] },
  // four partitions: two members hold two each; one leaves, the other holds all; every record once
  "group: two members share, one leaves": { together: [2, 2], alone: 4, values: range(0, 40) },
  // ten records read and committed, five more after the hub was killed: a new member reads those five
  "group: commit, resume after the hub was killed": { before: range(0, 10), committed: 10, after: range(10, 15) },
  "group: a static member returns without a rebalance": { sameGeneration: true },
  // 2 partitions, then 5, then gone
  "admin: create, describe, grow, delete topics": { made: 2, grown: 5, listed: true, gone: true },
  "admin: a topic that exists, one that does not": { exists: true, missing: true },
  "admin: describe and alter settings": { before: "604800000", after: "1000", kept: "compact", reset: "604800000" },
  "admin: list, describe, delete groups": { listed: true, state: "Empty", deleted: true, missing: true },
  "admin: list, describe groups; their offsets": { listed: true, state: "Empty", offset: 3 },
  "admin: group offsets: list, alter, delete": { listed: 3, altered: 1, deleted: true },
  "admin: group offsets: list, alter": { listed: 3, altered: 1 },
  "admin: delete records": { low: 4, first: "4" },
  "admin: offsets of every kind": { earliest: 0, latest: 3, newest: 1 },
  "admin: cluster": { brokers: 1, controller: 1, clusterId: true },
  // committed a b, aborted c d, committed e
  "transactions: commit, abort, read committed": {
    committed: ["a", "b", "e"],
    all: ["a", "b", "c", "d", "e"],
  },
  // offsets sent within an aborted transaction do not count, within a committed one do
  "transactions: offsets in them": { aborted: null, committed: 5, out: range(0, 5) },
  "transactions: a second producer fences the first": { fenced: true, values: ["second"] },
  "transactions: list and describe": { listed: true, state: "CompleteCommit" },
  "new group protocol: two members share, one leaves": { together: [2, 2], alone: 4, values: range(0, 40) },
  "new group protocol: commit, resume after the hub was killed": {
    before: range(0, 10),
    committed: 10,
    after: range(10, 15),
  },
  // what only the Java client has
  "group: cooperative members share, one leaves": { together: [2, 2], alone: 4, values: range(0, 40) },
  "group: metadata of an offset": { offset: 7, metadata: "the seventh" },
  "new group protocol: a group moves from the classic one while it runs": { mixed: [2, 2], after: 4 },
  // 30 records of six keys published twice, once rolled back: each read once, a key's records in one partition
  "transactions: NiFi's settings, record keys and exactly once": {
    records: 30,
    distinct: 30,
    more: 0,
    keys: 6,
    keysTogether: true,
  },
} as const satisfies Readonly<Record<string, Got>>;

export type Call = keyof typeof expected;

const codecs = ["gzip", "snappy", "lz4", "zstd"] as const;

/** Flags of a JVM that starts quickly and stays small, with Kafka's own log lines from warnings on. */
export function javaArguments(classPath: string): string[] {
  const quick = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
  return [...quick, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classPath];
}

/** One test for each call of the client; a codec must also be the one that the stored batches have. */
export function standard(client: ClientName, session: () => Promise<Said>, calls: readonly Call[]): void {
  for (const call of calls) {
    compat(client, call, async () => {
      const said = await session();
      assert.deepEqual(said.got(call), expected[call]);
      const name = codecs.find((one) => call === `producer: ${one}`);
      if (name !== undefined) assert.deepEqual(said.codecs(`codec-${name}`), [name], "what the log holds");
    });
  }
}

/** Calls in which a client that lacks a part of a fuller one does the rest. */
const lesser = /list, alter$|; their offsets$/;

/** What only the Java client has, and what NiFi's processors do with it. */
export const javaCalls: readonly Call[] = [
  "group: cooperative members share, one leaves",
  "group: metadata of an offset",
  "new group protocol: a group moves from the classic one while it runs",
  "transactions: NiFi's settings, record keys and exactly once",
];

/** Every call but those whose name matches: what a client does not have; and the lesser ones it has instead. */
export function callsBut(missing: RegExp, instead: readonly Call[] = []): readonly Call[] {
  const full = (Object.keys(expected) as Call[]).filter(
    (call) => !missing.test(call) && !lesser.test(call) && !javaCalls.includes(call),
  );
  return [...full, ...instead];
}
