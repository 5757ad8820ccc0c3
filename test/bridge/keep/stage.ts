// Sessions and wills in a few words, and keepers on a real hub inside the test's process.
import { LoneSessionKeeper } from "../../../bridge/keep/session_keeper.ts";
import type { StoredSession, StoredWill } from "../../../bridge/session/record.ts";
import type { KnownSession } from "../../../bridge/keep/faces.ts";
import type { OutRecord } from "../../../hub/mod.ts";
import { silentTrace, type Trace } from "../../../hub/mod.ts";
import { openTestHub, type TestHub, type TestHubOptions } from "../../tools/test_hub.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | null): string => new TextDecoder().decode(value ?? new Uint8Array());

/** A session that can be told from others by its number. */
export function session(number: number, filters: readonly string[] = ["a/+"]): StoredSession {
  return {
    epoch: 0,
    expirySeconds: number,
    expiresAt: null,
    subscriptions: filters.map((filter) => {
      return { filter, options: { qos: 1, noLocal: false, retainAsPublished: false, id: 0 }, since: 0 };
    }),
    outbound: { positions: [{ topic: "sensors", partition: 1, group: "", next: number }], flights: [] },
  };
}

export function will(topic: string): StoredWill {
  return { will: { topic, payload: bytes("gone"), qos: 1, retain: false, properties: {} }, dueAt: null };
}

export function record(value: string): OutRecord {
  return { key: bytes("k"), value: bytes(value) };
}

export interface KeeperStage {
  readonly hub: TestHub;
  readonly keeper: LoneSessionKeeper;
  readonly known: readonly KnownSession[];
  close(): Promise<void>;
}

export async function openKeeper(options: TestHubOptions & { readonly trace?: Trace } = {}): Promise<KeeperStage> {
  const opened = await openTestHub(options);
  const { hub } = opened;
  const client = hub.client("keep");
  const keeper = new LoneSessionKeeper({ hub, client, clock: hub.clock, trace: options.trace ?? silentTrace });
  const known = await keeper.open();
  const close = async (): Promise<void> => {
    await keeper.close();
    await client.close();
    await opened.close();
  };
  return { hub: opened, keeper, known, close };
}

/** Values of a topic in the order of the log, as far as they are committed now. */
export async function readAll({ hub }: TestHub, topic: string): Promise<string[]> {
  const client = hub.client("reader");
  try {
    const places = [...(await client.admin().topics([topic]))].flatMap(({ partitions }) => partitions);
    const ends = await client.admin().offsets(
      places.map(({ partition }) => ({ topic, partition })),
      "latest",
    );
    const consumer = client.consumer();
    await consumer.assign([{ topic, from: "earliest" }]);
    const left = new Map(ends.filter(({ offset }) => offset > 0).map(({ partition, offset }) => [partition, offset]));
    const values: string[] = [];
    while (left.size > 0) {
      for (const { partition, records, nextOffset } of await consumer.poll(1_000)) {
        values.push(...records.map(({ value }) => text(value)));
        if (nextOffset >= (left.get(partition) ?? 0)) left.delete(partition);
      }
    }
    return values;
  } finally {
    await client.close();
  }
}
