// Where replicas go: spread over hubs and racks, leaders balanced. Pure.
import type { HubId } from "./types.ts";

export interface PlaceHub {
  readonly hubId: HubId;
  readonly rack: string | null;
}

/**
 * Hubs of each partition, the preferred leader first. Partition p begins one hub further than p - 1, so that leaders
 * spread evenly; followers come from other racks first where racks are named.
 * @param factor 1..hubs.length
 * @param from number of the first partition that is placed
 */
export function placeReplicas(hubs: readonly PlaceHub[], partitions: number, factor: number, from = 0): HubId[][] {
  const ring = [...hubs].sort((a, b) => a.hubId - b.hubId);
  return Array.from({ length: partitions }, (_, i) => {
    const first = (from + i) % ring.length;
    // the round decides in which order the others follow, so that no hub takes over all of another's leaders
    const round = Math.floor((from + i) / ring.length);
    const others = ring.filter((_hub, at) => at !== first);
    const shift = (first + round) % Math.max(1, others.length);
    const turned = [...others.slice(shift), ...others.slice(0, shift)];
    const chosen = [ring[first]!];
    const take = (from: readonly PlaceHub[]): void => {
      for (const hub of from) if (chosen.length < factor && !chosen.includes(hub)) chosen.push(hub);
    };
    const racks = new Set<string | null>();
    const fresh = turned.filter((hub) => {
      if (hub.rack === null || hub.rack === chosen[0]!.rack || racks.has(hub.rack)) return false;
      racks.add(hub.rack);
      return true;
    });
    take(fresh);
    take(turned);
    return chosen.map(({ hubId }) => hubId);
  });
}
