// A seed's world: hubs, the places of replicas on their disks, the net between them, Redis, and what observers know.
import type { ReplicaId, ReplicaSet, ReplicaSettings, PartitionConfig } from "../../../hub/cluster/types.ts";
import { type Attempt, newAttempt } from "../../../hub/cluster/controller.ts";
import type { Message } from "./messages.ts";
import { Place } from "./node.ts";
import { SimRedis } from "./redis.ts";
import { type Shape, shapeOf } from "./shape.ts";

export const settings: ReplicaSettings = { lagMsMax: 10_000, voteWaitMs: 200, electionMsMax: 1500 };

/** An invariant that does not hold. */
export class Violation extends Error {}

export interface Hub {
  readonly index: number;
  up: boolean;
  /** Runs of its process. */
  boot: number;
  /** The place on its present disk. */
  place: Place;
  readonly attempt: Attempt;
}

/** What the outside has seen; kept by the observer, never shown to a machine. */
export class Ledger {
  /** By offset: the committed record, the epoch that committed it, and whether only m = 1 stood behind it. */
  readonly values: number[] = [];
  readonly epochs: number[] = [];
  readonly weak: boolean[] = [];
  /** Pairs (epoch, place): who was seen to lead. */
  readonly leaders: number[] = [];
  /** Pairs (epoch, offset): the latest offset that was answered in an epoch. */
  readonly answered: number[] = [];
  commits = 0;
  elections = 0;
  changes = 0;
  losses = 0;
}

const idOf = (hub: number, disk: number): ReplicaId => `${hub + 1}:${String.fromCharCode(97 + disk)}`;

export class World {
  readonly seed: number;
  readonly shape: Shape;
  readonly hubs: Hub[] = [];
  readonly places: Place[] = [];
  readonly byId = new Map<ReplicaId, Place>();
  readonly redis = new SimRedis();
  readonly messages: Message[] = [];
  /** By sender * hubs + receiver: nothing gets through. */
  readonly cuts: boolean[] = [];
  readonly initial: PartitionConfig;
  readonly ledger = new Ledger();
  now = 0;
  stepNumber = 0;
  nextValue = 1;
  /** An unclean election was held: what is lost is lost. */
  tainted = false;
  /** The hub that stops at the end of this step; -1 for none. */
  doomed = -1;
  /** Faults have stopped. */
  calm = false;
  /** Redis was emptied, or put back: what m = 1 rests on may be gone. */
  redisLost = false;
  /** The set had m = 1 and more than one member at some time. */
  wasWeak = false;
  hash = 0x811c_9dc5 | 0;
  say: ((text: string) => void) | null = null;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.shape = shapeOf(seed);
    this.#state = Math.imul(seed, 0x9e37_79b1) | 0;
    const { hubs, members, m } = this.shape;
    for (let hub = 0; hub < hubs; hub++) {
      const place = this.addPlace(hub);
      this.hubs.push({ index: hub, up: false, boot: 0, place, attempt: newAttempt() });
    }
    for (let i = 0; i < hubs * hubs; i++) this.cuts.push(false);
    const old: ReplicaSet = { members: this.places.slice(0, members).map(({ id }) => id), m };
    this.wasWeak = m === 1 && members > 1;
    this.initial = { id: { epoch: 0, n: 0 }, old, next: null };
  }

  addPlace(hub: number): Place {
    let disk = 0;
    for (const place of this.places) if (place.hub === hub) disk += 1;
    const place = new Place(this.places.length, hub, idOf(hub, disk));
    this.places.push(place);
    this.byId.set(place.id, place);
    return place;
  }

  /** 0..1; as test/sim/clock.ts, without the closure. */
  random(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  int(below: number): number {
    return (this.random() * below) | 0;
  }

  note(number: number): void {
    this.hash = Math.imul(this.hash ^ number, 0x0100_0193);
  }

  isCut(from: number, to: number): boolean {
    return this.cuts[from * this.shape.hubs + to]!;
  }

  fail(invariant: string, text: string): never {
    throw new Violation(`${invariant}: ${text} (seed ${this.seed}, step ${this.stepNumber})`);
  }
}
