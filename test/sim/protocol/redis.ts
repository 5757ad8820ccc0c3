// What Redis holds of the one partition, with PS_CAS and its faults: put back to an earlier state, emptied, read late.
import type { PublishedState } from "../../../hub/cluster/types.ts";

export interface Entry {
  readonly ver: number;
  readonly epoch: number;
  readonly state: PublishedState;
}

const historyMax = 24;

export class SimRedis {
  entry: Entry | null = null;
  readonly history: Entry[] = [];

  /** As putPartitions of hub/io/coordination_scripts.ts, mode cas. */
  cas(expectedVer: number, state: PublishedState): boolean {
    const ver = this.entry?.ver ?? 0;
    if (expectedVer !== ver || state.leaderEpoch < (this.entry?.epoch ?? -1)) return false;
    this.#store({ ver: ver + 1, epoch: state.leaderEpoch, state });
    return true;
  }

  /** Mode assert: what leaders say after Redis lost something. */
  assert(ver: number, state: PublishedState): boolean {
    const epoch = this.entry?.epoch ?? -1;
    if (state.leaderEpoch < epoch || (state.leaderEpoch === epoch && ver <= (this.entry?.ver ?? 0))) return false;
    this.#store({ ver, epoch: state.leaderEpoch, state });
    return true;
  }

  #store(entry: Entry): void {
    this.entry = entry;
    if (this.history.length < historyMax) this.history.push(entry);
    else this.history[entry.ver % historyMax] = entry;
  }
}
