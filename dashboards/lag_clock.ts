// Lag in seconds: the time of the first record that a group has not read, looked up once per committed offset.
import { type HubClient, limits, type PartitionOffset } from "../hub/mod.ts";

const lookMsMax = 1200;
const pollMs = 200;
const fetchBytes = 64 * 1024;

interface Known {
  readonly offset: number;
  readonly timestamp: number;
}

/**
 * Reads the one record at a committed offset for its timestamp and remembers it while the offset stands.
 * A round looks at a bounded number of partitions for a bounded time; the others keep what was known, or null.
 */
export class LagClock {
  #client: HubClient;
  /** By topic, partition and offset: groups at the same place share the answer. */
  #known = new Map<string, Known>();

  constructor(client: HubClient) {
    this.#client = client;
  }

  /** Age of the record at the committed offset, in seconds; null when it was not found out. */
  seconds(at: PartitionOffset, now: number): number | null {
    const known = this.#known.get(placeOf(at));
    return known === undefined ? null : Math.max(0, (now - known.timestamp) / 1000);
  }

  /** @param unread committed offsets below the end of their partition. */
  async look(unread: readonly PartitionOffset[]): Promise<void> {
    const places = new Set(unread.map(placeOf));
    for (const place of this.#known.keys()) if (!places.has(place)) this.#known.delete(place);
    const open = unread.filter((at) => !this.#known.has(placeOf(at))).slice(0, limits.lagLookupsMax);
    const deadline = performance.now() + lookMsMax;
    // one consumer reads a partition at one place only: places of the same partition go in rounds
    let rest = dedupe(open);
    while (rest.length > 0 && performance.now() < deadline) {
      const round: PartitionOffset[] = [];
      const later: PartitionOffset[] = [];
      const taken = new Set<string>();
      for (const at of rest) {
        const partition = `${at.topic}\n${at.partition}`;
        (taken.has(partition) ? later : round).push(at);
        taken.add(partition);
      }
      await this.#read(round, deadline).catch(() => {}); // a topic may go while it is looked at
      rest = later;
    }
  }

  async close(): Promise<void> {
    this.#known.clear();
  }

  async #read(round: readonly PartitionOffset[], deadline: number): Promise<void> {
    const consumer = this.#client.consumer({ clientId: "dashboard-lag", from: "earliest", fetchBytesMax: fetchBytes });
    try {
      await consumer.assign(round.map(({ topic, partition, offset }) => ({ topic, partition, from: { offset } })));
      const open = new Map(round.map((at) => [`${at.topic}\n${at.partition}`, at]));
      while (open.size > 0 && performance.now() < deadline) {
        for (const { topic, partition, records } of await consumer.poll(pollMs)) {
          const at = open.get(`${topic}\n${partition}`);
          const first = records.find(({ offset }) => at !== undefined && offset >= at.offset);
          if (at === undefined || first === undefined) continue;
          this.#known.set(placeOf(at), { offset: at.offset, timestamp: first.timestamp });
          open.delete(`${topic}\n${partition}`);
          consumer.pause([{ topic, partition }]);
        }
      }
    } finally {
      await consumer.close().catch(() => {});
    }
  }
}

function placeOf({ topic, partition, offset }: PartitionOffset): string {
  return `${topic}\n${partition}\n${offset}`;
}

function dedupe(list: readonly PartitionOffset[]): PartitionOffset[] {
  return [...new Map(list.map((at) => [placeOf(at), at])).values()];
}
