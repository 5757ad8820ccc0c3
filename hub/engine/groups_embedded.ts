// The consumer's own protocol inside the classic one, read and written for the group machine.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { EmbeddedProtocol } from "../groups/consumer_group.ts";
import { decode, encode } from "../wire/codec.ts";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../wire/consumer_protocol.ts";

/** Newer versions are read as far as ours goes, as the protocol demands (KIP-429). */
function versionOf(reader: Reader, max: number): number | null {
  const version = reader.int16();
  return version < 0 ? null : Math.min(version, max);
}

export const embeddedProtocol: EmbeddedProtocol = {
  readSubscription(metadata) {
    try {
      const reader = new Reader(metadata);
      const version = versionOf(reader, consumerProtocolSubscription.max);
      if (version === null) return null;
      const { topics, ownedPartitions, rackId } = decode(consumerProtocolSubscription, version, reader);
      const owned = ownedPartitions.map(({ topic, partitions }) => [topic, partitions] as const);
      return { version, topics, owned, rackId };
    } catch {
      return null;
    }
  },

  readAssignment(assignment) {
    if (assignment.length === 0) return [];
    try {
      const reader = new Reader(assignment);
      const version = versionOf(reader, consumerProtocolAssignment.max);
      if (version === null) return null;
      const { assignedPartitions } = decode(consumerProtocolAssignment, version, reader);
      return assignedPartitions.map(({ topic, partitions }) => [topic, partitions] as const);
    } catch {
      return null;
    }
  },

  writeAssignment(version, partitions) {
    const writer = new Writer();
    writer.int16(version);
    const assignedPartitions = partitions.map(([topic, list]) => ({ topic, partitions: [...list] }));
    encode(consumerProtocolAssignment, version, { assignedPartitions, userData: null }, writer);
    return writer.join();
  },
};
