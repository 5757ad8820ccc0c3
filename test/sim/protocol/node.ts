// A replica's place: the machine while its hub runs, and what its disk keeps while it does not.
import type { Replica } from "../../../hub/cluster/replica.ts";
import type {
  PartitionConfig,
  PublishedState,
  ReplicaEffect,
  ReplicaId,
  StoredReplica,
} from "../../../hub/cluster/types.ts";
import { SimLog } from "./log.ts";

export interface Pending {
  readonly version: number;
  readonly state: StoredReplica;
}

export class Place {
  readonly index: number;
  /** Number of its hub, from 0; hub ids begin at 1. */
  readonly hub: number;
  readonly id: ReplicaId;
  log = new SimLog();
  /** null while the hub is down, or has a newer disk. */
  replica: Replica | null = null;
  /** What the journal has on the platter; null: nothing was ever stored. */
  disk: StoredReplica | null = null;
  readonly pending: Pending[] = [];
  /** A cut that the log is asked for; -1 for none. */
  truncateTo = -1;
  /** The hub it fetches from; -1 for none. */
  feed = -1;
  /** Answers to other tickets are nobody's. */
  ticket = 0;
  armed = false;
  toPublish: (ReplicaEffect & { readonly kind: "publish" }) | null = null;
  /** The ver of Redis's entry as this hub saw it last, and the entry. */
  seenVer = 0;
  seen: PublishedState | null = null;
  /** A poll tells what has changed since the last one. */
  told: PublishedState | null = null;
  /** The watermark as checkpointed. */
  hwSaved = 0;
  /** Of followers' hubs: fetches of an earlier run of theirs come no more. */
  readonly feedBoots: number[] = [];
  /** Pairs (epoch, end): what this disk was seen to hold durably with that epoch accepted. */
  readonly proofs: number[] = [];
  /** The last step at which its answer would not have counted. */
  forgetfulAt = -1;
  /** The config before what its machine does now. */
  config: PartitionConfig | null = null;
  /** The hub that asked it to stand; -1 for none. */
  asker = -1;
  /** The step at which it stood for election last. */
  stoodAt = -1;
  /** Its disk was replaced. */
  dead = false;

  constructor(index: number, hub: number, id: ReplicaId) {
    this.index = index;
    this.hub = hub;
    this.id = id;
  }

  proofOf(epoch: number): number {
    const { proofs } = this;
    for (let at = proofs.length - 2; at >= 0; at -= 2) if (proofs[at] === epoch) return proofs[at + 1]!;
    return -1;
  }

  /** The disk shows what this replica holds of an epoch; recomputed from the platter, not from what it says. */
  prove(): void {
    const { replica, disk, proofs, log } = this;
    if (replica === null || (replica.role !== "leader" && replica.role !== "follower")) return;
    const { durableEnd } = log;
    const { epoch } = replica;
    // a record of an epoch stands only in logs that have reached where it began
    const accepted = disk?.acceptedEpoch === epoch || (durableEnd > 0 && log.epochs[durableEnd - 1] === epoch);
    if (!accepted || disk?.amnesia === "short") return;
    const last = proofs.length - 2;
    if (last >= 0 && proofs[last] === epoch) {
      if (proofs[last + 1]! < durableEnd) proofs[last + 1] = durableEnd;
    } else proofs.push(epoch, durableEnd);
  }
}
