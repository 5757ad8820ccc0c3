// A stage for stories about one group: actors with names, a clock that jumps, stores that succeed, fail or wait.
import type { Continuation, GroupEffect, GroupRecord, GroupSettings } from "../../../hub/groups/group.ts";
import { nextDeadline } from "../../../hub/groups/group.ts";
import type { ConsumerWorld } from "../../../hub/groups/consumer_group.ts";
import type { Coordinator } from "../../../hub/groups/coordinator.ts";
import * as groups from "../../../hub/groups/coordinator.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../../../hub/groups/record.ts";
import { limits } from "../../../hub/limits.ts";

export const settings: GroupSettings = {
  initialRebalanceDelayMs: 3000,
  groupMaxSize: 4,
  groupMetadataBytesMax: 1000,
  groupsMax: 3,
  sessionTimeoutMsMin: limits.sessionTimeoutMsMin,
  sessionTimeoutMsMax: limits.sessionTimeoutMsMax,
  rebalanceTimeoutMsMax: limits.rebalanceTimeoutMsMax,
  newMemberJoinMsMax: 300_000,
  offsetsRetentionMs: limits.offsetsRetentionMs,
  offsetMetadataBytesMax: limits.offsetMetadataBytesMax,
};

/** No topics, and an embedded protocol nobody can read: a world of classic groups. */
export const world: ConsumerWorld = {
  settings: {
    heartbeatMs: limits.consumerHeartbeatMs,
    sessionMs: limits.consumerSessionMs,
    maxSize: 4,
    assignors: ["uniform", "range"],
    migration: "bidirectional",
    subscribedTopicsMax: limits.subscribedTopicsMax,
    regexLengthMax: limits.subscribedRegexLengthMax,
    rebalanceTimeoutMsMax: limits.rebalanceTimeoutMsMax,
  },
  topics: { changes: () => 0, topic: () => undefined, topics: () => [] },
  embedded: { readSubscription: () => null, readAssignment: () => null, writeAssignment: () => new Uint8Array(0) },
};

interface Actor {
  memberId: string;
  generation: number;
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Plays one group called "g". */
export class Stage {
  coordinator: Coordinator = groups.newCoordinator(settings, world);
  now = 0;
  readonly #actors = new Map<string, Actor>();
  readonly #askedBy = new Map<number, string>();
  readonly #held: { record: GroupRecord; then: Continuation }[] = [];
  #stored: Uint8Array | null = null;
  #holding = false;
  #requests = 0;
  #ids = 0;
  #shown: string[] = [];

  /** One line of a story. */
  step(command: string): string[] {
    this.#shown = [];
    const [verb = "", ...rest] = command.split(" ");
    const options = new Map(rest.filter((word) => word.includes("=")).map((word) => split(word)));
    this.#do(
      verb,
      rest.filter((word) => !word.includes("=")),
      options,
    );
    return this.#shown;
  }

  #do(verb: string, names: string[], options: Map<string, string>): void {
    const name = names[0] ?? "";
    switch (verb) {
      case "join":
        return this.#join(name, options);
      case "sync":
        return this.#sync(name, options);
      case "heartbeat":
        return this.#heartbeat(name);
      case "leave":
        return this.#leave(names, options);
      case "commit":
        return this.#commit(name, options);
      case "wait":
        return this.#wait(Number(name));
      case "hold":
        this.#holding = true;
        return;
      case "stored":
        return this.#release(name === "ok");
      case "restart":
        return this.#restart();
      case "state":
        return this.#state();
      default:
        throw new Error(`no such verb: ${verb}`);
    }
  }

  #actor(name: string): Actor {
    const actor = this.#actors.get(name) ?? { memberId: "", generation: -1 };
    this.#actors.set(name, actor);
    return actor;
  }

  #request(name: string): number {
    this.#requests += 1;
    this.#askedBy.set(this.#requests, name);
    return this.#requests;
  }

  #join(name: string, options: Map<string, string>): void {
    const version = Number(options.get("v") ?? "5");
    this.#ids += 1;
    const session = Number(options.get("session") ?? "10000");
    const protocols = (options.get("protocols") ?? "range").split(",");
    this.#play(
      groups.join(
        this.coordinator,
        {
          group: "g",
          request: this.#request(name),
          memberId: options.get("id") ?? this.#actor(name).memberId,
          instanceId: options.get("instance") ?? null,
          clientId: name,
          clientHost: "/127.0.0.1",
          sessionTimeoutMs: session,
          rebalanceTimeoutMs: Number(options.get("rebalance") ?? "20000"),
          protocolType: options.get("type") ?? "consumer",
          protocols: protocols.map((protocol) => {
            return { name: protocol, metadata: bytesOf(options.get("metadata") ?? `${name} ${protocol}`) };
          }),
          needsMemberId: version >= 4,
          canSkipAssignment: version >= 9,
          freshMemberId: `${name}-${this.#ids}`,
        },
        this.now,
      ),
    );
  }

  #sync(name: string, options: Map<string, string>): void {
    const actor = this.#actor(name);
    const given = [...options].filter(([key]) => this.#actors.has(key));
    this.#play(
      groups.sync(
        this.coordinator,
        {
          group: "g",
          request: this.#request(name),
          memberId: actor.memberId,
          instanceId: options.get("instance") ?? null,
          generation: Number(options.get("gen") ?? actor.generation),
          protocolType: options.get("type") ?? null,
          protocolName: options.get("protocol") ?? null,
          assignments: new Map(given.map(([key, text]) => [this.#actor(key).memberId, bytesOf(text)])),
        },
        this.now,
      ),
    );
  }

  #heartbeat(name: string): void {
    const { memberId, generation } = this.#actor(name);
    const claim = { memberId, generation, instanceId: null };
    this.#shown.push(`${name} heartbeat ${groups.heartbeat(this.coordinator, "g", claim, this.now)}`);
  }

  #leave(names: string[], options: Map<string, string>): void {
    const instance = options.get("instance") ?? null;
    const leavers =
      instance === null
        ? names.map((name) => ({ memberId: this.#actor(name).memberId, instanceId: null }))
        : [{ memberId: "", instanceId: instance }];
    const { errors, effects } = groups.leave(this.coordinator, "g", leavers, this.now);
    this.#shown.push(`leave ${errors.join(" ")}`);
    this.#play(effects);
  }

  #commit(name: string, options: Map<string, string>): void {
    const actor = name === "" ? { memberId: "", generation: -1 } : this.#actor(name);
    const claim = { ...actor, generation: Number(options.get("gen") ?? actor.generation), instanceId: null };
    const begun = groups.beginCommit(this.coordinator, "g", claim, this.now);
    this.#shown.push(`${name === "" ? "somebody" : name} commit ${typeof begun === "string" ? begun : "NONE"}`);
  }

  /** Lets time pass from deadline to deadline, as the engine's timer does. */
  #wait(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const group = this.coordinator.groups.get("g")?.group;
      const next = group === undefined ? Infinity : nextDeadline(group);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#play(groups.tick(this.coordinator, "g", this.now));
    }
    this.now = end;
  }

  #release(ok: boolean): void {
    this.#holding = false;
    for (const held of this.#held.splice(0)) this.#finish(held.record, held.then, ok);
  }

  #finish(record: GroupRecord, then: Continuation, ok: boolean): void {
    if (ok) this.#stored = encodeGroupRecord(record);
    this.#play(groups.stored(this.coordinator, "g", then, ok ? "NONE" : "COORDINATOR_NOT_AVAILABLE", this.now));
  }

  #restart(): void {
    this.coordinator = groups.newCoordinator(settings, world);
    if (this.#stored !== null) groups.loadGroup(this.coordinator, "g", decodeGroupRecord(this.#stored), this.now);
  }

  #state(): void {
    const { state, members } = groups.describe(this.coordinator, "g");
    const group = this.coordinator.groups.get("g")?.group;
    const pending = group === undefined || group.pending.size === 0 ? "" : ` pending=${group.pending.size}`;
    const names = members.map((member) => this.#nameOf(member.memberId)).join(" ");
    this.#shown.push(`${state} gen=${group?.generation ?? -1} members=[${names}]${pending}`);
  }

  #nameOf(memberId: string): string {
    for (const [name, actor] of this.#actors) if (actor.memberId === memberId) return name;
    return memberId;
  }

  #play(effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "answer-join":
        case "answer-sync":
          this.#answer(effect);
          break;
        case "store":
          this.#shown.push(`store gen=${effect.record.generation} members=${effect.record.members.length}`);
          if (this.#holding) this.#held.push(effect);
          else this.#finish(effect.record, effect.then, true);
          break;
        case "member-gone":
          this.#shown.push(`gone ${this.#nameOf(effect.memberId)}: ${effect.reason}`);
          break;
        case "rebalance":
          this.#shown.push(`rebalance after gen=${effect.generation}`);
          break;
      }
    }
  }

  #answer(effect: GroupEffect & { kind: "answer-join" | "answer-sync" }): void {
    const name = this.#askedBy.get(effect.request);
    if (name === undefined) throw new Error(`request ${effect.request} is answered twice or was never made`);
    this.#askedBy.delete(effect.request);
    const actor = this.#actor(name);
    const { reply } = effect;
    if ("assignment" in reply) {
      const told = reply.error === "NONE" ? `synced "${textOf(reply.assignment)}"` : `sync ${reply.error}`;
      this.#shown.push(`${name} ${told}`);
      return;
    }
    if (reply.error === "NONE" || reply.error === "MEMBER_ID_REQUIRED") actor.memberId = reply.memberId;
    if (reply.error !== "NONE") {
      this.#shown.push(`${name} join ${reply.error}`);
      return;
    }
    actor.generation = reply.generation;
    const members = reply.members.map((member) => `${textOf(member.metadata)}`).join(", ");
    const told = reply.members.length === 0 ? "" : ` members=[${members}]`;
    const skip = reply.skipAssignment ? " skip-assignment" : "";
    const leader = this.#nameOf(reply.leader);
    this.#shown.push(`${name} joined gen=${reply.generation} ${reply.protocolName} leader=${leader}${skip}${told}`);
  }
}

function split(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}
