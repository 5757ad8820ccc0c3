// Looks again and again which hubs live, and which partitions of `__mqtt_sessions` this one leads.
import { type Clock, type HubClient, limits, mqttSessionsTopic, type Trace } from "../../hub/mod.ts";

export interface WatchOptions {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly hubId: number;
  /** Called after each look. */
  readonly looked: () => Promise<void>;
}

export class ClusterWatch {
  readonly #options: WatchOptions;
  readonly #admin: ReturnType<HubClient["admin"]>;
  /** Null until the first look. */
  #alive: ReadonlySet<number> | null = null;
  #led: ReadonlySet<number> = new Set();
  #timer: { cancel(): void } | null = null;
  #isClosed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#admin = options.client.admin();
  }

  start(): void {
    const looking = this.#look().catch((error: unknown) => {
      const { trace } = this.#options;
      if (!this.#isClosed) trace.event("warn", "mqtt_look_failed", { error: String(error) });
    });
    void looking.then(() => {
      if (!this.#isClosed) this.#timer = this.#options.clock.after(limits.mqttLookMs, () => this.start());
    });
  }

  /** Known to be dead, or no member of the cluster. */
  isDead(hub: number): boolean {
    return this.#alive !== null && !this.#alive.has(hub);
  }

  leads(partition: number): boolean {
    return this.#led.has(partition);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#admin.close();
  }

  async #look(): Promise<void> {
    const { hubId, looked } = this.#options;
    const [{ hubs }, topics] = await Promise.all([
      this.#admin.cluster().describe(),
      this.#admin.topics([mqttSessionsTopic]),
    ]);
    const alive = hubs.filter((hub) => hub.alive).map(({ hub }) => hub);
    this.#alive = new Set([...alive, hubId]);
    const partitions = topics[0]?.partitions ?? [];
    this.#led = new Set(partitions.filter(({ leader }) => leader === hubId).map(({ partition }) => partition));
    if (!this.#isClosed) await looked();
  }
}
