// What clients were told: acknowledged records, records read, offsets committed. The invariants are held against it.
import type { World } from "./world.ts";

/** "<topic>-<partition>" */
export type Place = string;

/** One record as its producer knows it. */
export interface Sent {
  readonly value: string;
  readonly place: Place;
  readonly offset: number;
}

export class History {
  readonly #world: World;
  /** acks=all on a topic with m >= 2, or on a single hub: by place and offset. */
  readonly acked = new Map<Place, Map<number, string>>();
  /** Read below the watermark, by anybody, ever. */
  readonly read = new Map<Place, Map<number, string>>();
  /** By group: offsets whose records were handed to a member. */
  readonly handled = new Map<Place, Set<number>>();
  /** By group: the highest position that was confirmed. */
  readonly committed = new Map<Place, number>();
  /** Values of idempotent producers. */
  readonly idempotent = new Set<string>();
  /** The latest offset that was answered to anybody, by place. */
  readonly latest = new Map<Place, number>();
  /** Places whose records may be lost: m = 1, or an unclean election. */
  readonly weak = new Set<string>();
  acks = 0;
  reads = 0;
  commits = 0;
  refused = 0;

  constructor(world: World) {
    this.#world = world;
  }

  #sameAs(kind: string, known: Map<Place, Map<number, string>>, place: Place, offset: number, value: string): void {
    let offsets = known.get(place);
    if (!offsets) known.set(place, (offsets = new Map()));
    const before = offsets.get(offset);
    if (before === undefined) offsets.set(offset, value);
    else if (before !== value && !this.isWeak(place)) {
      this.#world.violated("I2 OneRecordPerOffset", `${place}@${offset} ${kind} ${value}, was ${before}`);
    }
  }

  isWeak(place: Place): boolean {
    return this.weak.has(place.slice(0, place.lastIndexOf("-")));
  }

  sent(place: Place, offset: number, value: string): void {
    this.acks += 1;
    this.#world.say(`ack ${place}@${offset} ${value}`);
    this.#sameAs("acknowledged", this.acked, place, offset, value);
    this.#compare(place, offset);
  }

  saw(place: Place, offset: number, value: string): void {
    this.reads += 1;
    this.#sameAs("read", this.read, place, offset, value);
    this.#compare(place, offset);
  }

  #compare(place: Place, offset: number): void {
    const [acked, read] = [this.acked.get(place)?.get(offset), this.read.get(place)?.get(offset)];
    if (acked !== undefined && read !== undefined && acked !== read && !this.isWeak(place)) {
      this.#world.violated(
        "I1 CommittedDurable",
        `${place}@${offset} was acknowledged as ${acked}, is read as ${read}`,
      );
    }
  }

  handle(place: Place, offset: number): void {
    let offsets = this.handled.get(place);
    if (!offsets) this.handled.set(place, (offsets = new Set()));
    offsets.add(offset);
  }

  /** A member begins here; what lies before must have been handled. */
  resumed(place: Place, offset: number): void {
    if (this.isWeak(place)) return;
    const handled = this.handled.get(place);
    for (let at = 0; at < offset; at += 1) {
      const value = this.acked.get(place)?.get(at);
      if (value === undefined || handled?.has(at)) continue;
      return this.#world.violated(
        "I13 OffsetsNeverSkip",
        `${place}: resumed at ${offset}, ${at} (${value}) was not handled`,
      );
    }
  }

  /** The end of a partition as a client was told, and what the highest was when it asked. */
  told(place: Place, offset: number, before: number): void {
    if (offset < before && !this.isWeak(place)) {
      this.#world.violated("I6 HwMonotonicToClients", `${place}: latest offset ${offset}, was ${before}`);
    }
    this.latest.set(place, Math.max(offset, this.latest.get(place) ?? 0));
  }
}
