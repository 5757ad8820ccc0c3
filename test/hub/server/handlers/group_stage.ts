// Group handlers behind the wire's codec, both ways, over an engine on a clock the test moves.
import { openEmbeddedRegistry } from "../../../../hub/engine/embedded_registry.ts";
import { type GroupEngine, openGroupEngine } from "../../../../hub/engine/groups.ts";
import { openRandom } from "../../../../hub/io/crypto.ts";
import type { Handler } from "../../../../hub/server/handler.ts";
import { groupHandlers } from "../../../../hub/server/handlers/groups.ts";
import type { RequestContext } from "../../../../hub/server/services.ts";
import { silentTrace } from "../../../../hub/trace.ts";
import {
  apis,
  type CallOf,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type ReplyOf,
} from "../../../../hub/wire/apis.ts";
import { MemoryFacts } from "../../../tools/facts.ts";
import { ManualClock } from "../../../tools/manual_clock.ts";

export type GroupApi = keyof ReturnType<typeof groupHandlers>;

/** The id of the one topic there is, t. */
export const topicId = "00000000-0000-4000-8000-00000000000a";

const theTopic = { name: "t", topicId, partitions: 2, internal: false };

const names = {
  idOf: (topic: string) => (topic === "t" ? topicId : undefined),
  nameOf: (id: string) => (id === topicId ? "t" : undefined),
};

export class GroupStage {
  readonly clock = new ManualClock();
  engine: GroupEngine | null = null;
  readonly #handlers = groupHandlers(
    () => this.engine,
    async (_keyType, _key, { listener }) => ({ nodeId: 7, ...listener }),
    names,
  );

  async open(): Promise<void> {
    const opening = openGroupEngine({
      registry: openEmbeddedRegistry(new MemoryFacts()),
      clock: this.clock,
      random: openRandom(),
      trace: silentTrace,
      coordinatorEpoch: 0,
      settings: { initialRebalanceDelayMs: 0, groupMaxSize: 10, offsetsRetentionMs: 1e9 },
      topics: {
        ...names,
        partitionCount: (topic) => (topic === "t" ? 2 : undefined),
        changes: () => 1,
        topic: (name) => (name === "t" ? theTopic : undefined),
        topics: () => [theTopic],
      },
    });
    await this.clock.advance(0);
    this.engine = await opening;
  }

  /** As a client sends it and sees the answer. */
  async call<N extends GroupApi>(api: N, version: number, request: CallOf<N>): Promise<ReplyOf<N>> {
    const { body } = decodeRequest(withoutSize(encodeRequest(api, version, 1, "c", request)));
    const context: RequestContext = {
      version,
      clientId: "c",
      clientHost: "10.0.0.9",
      connectionId: 1,
      inProcess: false,
      listener: { host: "hub.lan", port: 9092 },
    };
    const handler = this.#handlers[api] as unknown as Handler<N>;
    const answering = Promise.resolve(handler(body as never, context));
    await this.clock.advance(1);
    const response = await answering;
    if (response === null) throw new Error("no answer");
    return decodeResponse(api, version, withoutSize(encodeResponse(api, version, 1, response)));
  }

  /** Joins and syncs alone, at the highest version served. */
  async member(group: string, metadata = new Uint8Array([1, 2])): Promise<{ memberId: string; generationId: number }> {
    const request = {
      groupId: group,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: "",
      protocolType: "consumer",
      protocols: [{ name: "range", metadata }],
    };
    const { memberId, generationId } = await this.call("joinGroup", 3, request);
    const assignments = [{ memberId, assignment: new Uint8Array([9]) }];
    await this.call("syncGroup", 4, { groupId: group, generationId, memberId, assignments });
    return { memberId, generationId };
  }
}

function withoutSize(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  return bytes.subarray(4);
}

/** Every version of this API that is served. */
export function versionsOf(api: GroupApi): number[] {
  const { min, max } = apis[api];
  return Array.from({ length: max - min + 1 }, (_, i) => min + i);
}
