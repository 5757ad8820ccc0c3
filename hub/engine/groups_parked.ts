// Requests of group members that wait for their answers, by the number the machine knows them by.
import type { GroupEffect, HeartbeatReply, JoinReply, RequestId, SyncReply } from "../groups/group.ts";
import { joinError, syncError } from "../groups/group.ts";
import { heartbeatError } from "../groups/heartbeating.ts";

type Answer = Extract<GroupEffect, { readonly request: RequestId }>;

/** Each request that is parked is answered once. */
export class ParkedMembers {
  readonly #joins = new Map<RequestId, (reply: JoinReply) => void>();
  readonly #syncs = new Map<RequestId, (reply: SyncReply) => void>();
  readonly #beats = new Map<RequestId, (reply: HeartbeatReply) => void>();
  #requests = 0;

  #next(): RequestId {
    this.#requests += 1;
    return this.#requests;
  }

  join(play: (request: RequestId) => void): Promise<JoinReply> {
    return park(this.#joins, this.#next(), play);
  }

  sync(play: (request: RequestId) => void): Promise<SyncReply> {
    return park(this.#syncs, this.#next(), play);
  }

  beat(play: (request: RequestId) => void): Promise<HeartbeatReply> {
    return park(this.#beats, this.#next(), play);
  }

  answer(effect: Answer): void {
    if (effect.kind === "answer-join") take(this.#joins, effect.request)?.(effect.reply);
    else if (effect.kind === "answer-sync") take(this.#syncs, effect.request)?.(effect.reply);
    else take(this.#beats, effect.request)?.(effect.reply);
  }

  /** Answers all with COORDINATOR_NOT_AVAILABLE. */
  close(): void {
    for (const answer of this.#joins.values()) answer(joinError("COORDINATOR_NOT_AVAILABLE", ""));
    for (const answer of this.#syncs.values()) answer(syncError("COORDINATOR_NOT_AVAILABLE"));
    for (const answer of this.#beats.values()) answer(heartbeatError("COORDINATOR_NOT_AVAILABLE"));
    this.#joins.clear();
    this.#syncs.clear();
    this.#beats.clear();
  }
}

function park<Reply>(
  parked: Map<RequestId, (reply: Reply) => void>,
  request: RequestId,
  play: (request: RequestId) => void,
): Promise<Reply> {
  return new Promise((resolve) => {
    parked.set(request, resolve);
    play(request);
  });
}

function take<Reply>(
  parked: Map<RequestId, (reply: Reply) => void>,
  request: RequestId,
): ((reply: Reply) => void) | undefined {
  const answer = parked.get(request);
  parked.delete(request);
  return answer;
}
