// Reads of this process's own consumers, without a request around them: those at the end of a log ask all the time.
import type { LocalPlace, LocalRead } from "../client/connection.ts";
import type { Partition } from "../engine/partition.ts";
import { isInternalName } from "../engine/topics.ts";
import type { HubServices } from "./services.ts";

/** What needs more than bytes goes by a request: aborted transactions, and whatever is refused. */
export function directRead({ partitions }: Pick<HubServices, "partitions">): LocalRead {
  return (place, wake) => {
    const partition = partitions.get(place.topic, place.partition);
    if (!partition?.leads || isInternalName(place.topic)) return null;
    if (place.committedOnly && partition.log.producers.transactionsFrom >= 0) return null;
    const { highWatermark } = partition;
    const bytes = readAt(partition, place);
    if (bytes === null) return null;
    if (bytes instanceof Promise || bytes.length > 0) return { bytes, highWatermark };
    return partitions.room.watch(place.committedOnly ? partition.stablePlace : partition.place, wake);
  };
}

/** Null: the offset is not there, or the log cannot be read. */
function readAt(partition: Partition, place: LocalPlace): Uint8Array | Promise<Uint8Array> | null {
  const { log, lastStable, highWatermark } = partition;
  const end = place.committedOnly ? lastStable : highWatermark;
  if (place.offset < log.logStart || place.offset > end) return null;
  try {
    return log.read(place.offset, place.bytesMax, end);
  } catch {
    return null;
  }
}
