// Batches of this process's own producers, without a request around them: most of a small batch's cost is that.
import type { LocalAppend } from "../client/connection.ts";
import type { Written } from "../engine/partitions.ts";
import { isInternalName } from "../engine/topics.ts";
import { codeOfThrown, errorNameOf, HubError } from "../errors.ts";
import type { HubServices } from "./services.ts";

/** On a lone hub alone: in a cluster a request has its timeout, and learns who leads. */
export function directAppend({ partitions, cluster }: Pick<HubServices, "partitions" | "cluster">): LocalAppend {
  return (topic, index, batch, acks, done) => {
    if (!cluster.lone || !partitions.isFree || isInternalName(topic)) return false;
    const partition = partitions.get(topic, index);
    if (!partition?.leads) return false;
    let written: Written;
    try {
      written = partitions.append(partition, batch, acks);
    } catch (error) {
      done(named(error), -1);
      return true;
    }
    const { baseOffset } = written;
    partitions.whenCommitted(partition, written, acks, (error) => {
      if (error === null) done(null, baseOffset);
      else done(named(error), -1);
    });
    return true;
  };
}

function named(error: unknown): HubError {
  if (error instanceof HubError) return error;
  return new HubError(errorNameOf(codeOfThrown(error)), error instanceof Error ? error.message : String(error));
}
