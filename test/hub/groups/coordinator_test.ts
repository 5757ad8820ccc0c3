// Random members against the coordinator for many seeds, with invariants after every event; and what a group outlives.
import assert from "node:assert/strict";
import test from "node:test";
import type { Coordinator } from "../../../hub/groups/coordinator.ts";
import * as groups from "../../../hub/groups/coordinator.ts";
import type { Continuation, Group, GroupEffect, GroupRecord, JoinReply, SyncReply } from "../../../hub/groups/group.ts";
import { nextDeadline, sameProtocols } from "../../../hub/groups/group.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../../../hub/groups/record.ts";
import { bytesOf, settings, textOf, world } from "./stage.ts";

/** Small and fast; the seed decides all (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Client {
  readonly name: string;
  readonly instanceId: string | null;
  readonly version: number;
  memberId: string;
  generation: number;
  leads: readonly string[] | null;
  /** What it waits for; a client makes one call at a time, unless it lost patience. */
  waits: Set<number>;
  next: "join" | "sync" | "live";
}

interface Asked {
  readonly client: Client;
  readonly kind: "join" | "sync";
  /** As the client had it when it asked. */
  readonly generation: number;
}

class World {
  readonly #chance: () => number;
  coordinator: Coordinator = groups.newCoordinator({ ...settings, groupMaxSize: 6 }, world);
  now = 0;
  #requests = 0;
  #ids = 0;
  readonly #clients: Client[] = [];
  readonly #asked = new Map<number, Asked>();
  readonly #stores: { readonly record: GroupRecord; readonly then: Continuation }[] = [];
  #durable: Uint8Array | null = null;
  /** Members the coordinator said are gone. */
  readonly #gone = new Set<string>();
  #membersBefore: string[] = [];
  #generation = 0;
  /** generation -> its one leader */
  readonly #leaders = new Map<number, string>();
  /** "member@generation" -> the bytes it was given */
  readonly #assigned = new Map<string, string>();
  commits = 0;
  stable = 0;

  constructor(seed: number) {
    this.#chance = chanceOf(seed);
  }

  #below(bound: number): number {
    return Math.floor(this.#chance() * bound);
  }

  step(): void {
    const dice = this.#below(100);
    if (dice < 8) this.#newClient();
    else if (dice < 62) this.#act();
    else if (dice < 70) this.#commit();
    else if (dice < 74) this.#leave();
    else if (dice < 77) this.#crashClient();
    else if (dice < 88) this.#endStore();
    else if (dice < 99) this.#pass(this.#below(this.#below(10) === 0 ? 25_000 : 1_500));
    else this.#restart();
    this.#check();
  }

  #newClient(): void {
    if (this.#clients.length >= 8) return;
    this.#ids += 1;
    // Two instance ids, so that the same one shows up twice.
    const instanceId = this.#below(3) === 0 ? `i${this.#below(2)}` : null;
    const version = this.#below(10);
    const name = `c${this.#ids}`;
    const fresh = { name, instanceId, version, memberId: "", generation: -1, leads: null, waits: new Set<number>() };
    this.#clients.push({ ...fresh, next: "join" });
  }

  #pick(): Client | undefined {
    return this.#clients[this.#below(this.#clients.length)];
  }

  #act(): void {
    const client = this.#pick();
    if (client === undefined || (client.waits.size > 0 && this.#below(20) > 0)) return;
    if (client.next === "join") this.#join(client);
    else if (client.next === "sync") this.#sync(client);
    else this.#heartbeat(client);
  }

  #request(client: Client, kind: "join" | "sync"): number {
    this.#requests += 1;
    this.#asked.set(this.#requests, { client, kind, generation: client.generation });
    client.waits.add(this.#requests);
    return this.#requests;
  }

  #join(client: Client): void {
    this.#ids += 1;
    this.#play(
      groups.join(
        this.coordinator,
        {
          group: "g",
          request: this.#request(client, "join"),
          memberId: client.memberId,
          instanceId: client.version >= 5 ? client.instanceId : null,
          clientId: client.name,
          clientHost: "/h",
          sessionTimeoutMs: 6_000 + this.#below(4_000),
          rebalanceTimeoutMs: 5_000 + this.#below(10_000),
          protocolType: this.#below(40) === 0 ? "connect" : "consumer",
          protocols: [["range", "sticky"], ["sticky", "range"], ["range"]][this.#below(3)]!.map((name) => ({
            name,
            metadata: bytesOf(`${client.name}${this.#below(4) === 0 ? this.#ids : ""}`),
          })),
          needsMemberId: client.version >= 4,
          canSkipAssignment: client.version >= 9,
          freshMemberId: `${client.name}-${this.#ids}`,
        },
        this.now,
      ),
    );
  }

  #sync(client: Client): void {
    const assignments = new Map((client.leads ?? []).map((id) => [id, bytesOf(`${id}@${client.generation}`)]));
    this.#play(
      groups.sync(
        this.coordinator,
        {
          group: "g",
          request: this.#request(client, "sync"),
          memberId: client.memberId,
          instanceId: client.version >= 5 ? client.instanceId : null,
          generation: client.generation - (this.#below(30) === 0 ? 1 : 0),
          protocolType: null,
          protocolName: null,
          assignments,
        },
        this.now,
      ),
    );
  }

  #claim(client: Client) {
    const { memberId, generation } = client;
    return { memberId, generation, instanceId: client.version >= 5 ? client.instanceId : null };
  }

  #heartbeat(client: Client): void {
    const error = groups.heartbeat(this.coordinator, "g", this.#claim(client), this.now);
    if (error === "REBALANCE_IN_PROGRESS") client.next = "join";
    else if (error !== "NONE") this.#forget(client);
  }

  #forget(client: Client): void {
    client.memberId = "";
    client.generation = -1;
    client.next = "join";
  }

  #commit(): void {
    const client = this.#pick();
    if (client === undefined) return;
    const group = this.coordinator.groups.get("g")?.group;
    const claim = { ...this.#claim(client), generation: client.generation - this.#below(2) };
    const begun = groups.beginCommit(this.coordinator, "g", claim, this.now);
    if (typeof begun === "string" || group === undefined) return;
    this.commits += 1;
    if (claim.generation >= 0) {
      assert.equal(claim.generation, group.generation, "a commit of another generation was let through");
      assert.ok(group.members.has(claim.memberId), "a commit of a stranger was let through");
      assert.notEqual(group.state, "CompletingRebalance");
    } else assert.equal(group.members.size, 0, "a commit outside any generation was let through beside members");
  }

  #leave(): void {
    const client = this.#pick();
    if (client === undefined || client.memberId === "") return;
    const { errors, effects } = groups.leave(this.coordinator, "g", [this.#claim(client)], this.now);
    assert.equal(errors.length, 1);
    this.#play(effects);
    this.#forget(client);
  }

  /** Its connection goes: what it waits for will be answered to nobody. */
  #crashClient(): void {
    const at = this.#below(this.#clients.length);
    this.#clients.splice(at, 1);
  }

  #endStore(): void {
    const store = this.#stores.shift();
    if (store === undefined) return;
    const ok = this.#below(5) > 0;
    if (ok) this.#durable = encodeGroupRecord(store.record);
    const error = ok ? "NONE" : "COORDINATOR_NOT_AVAILABLE";
    this.#play(groups.stored(this.coordinator, "g", store.then, error, this.now));
  }

  #pass(ms: number): void {
    const end = this.now + ms;
    for (let i = 0; ; i += 1) {
      const group = this.coordinator.groups.get("g")?.group;
      const next = group === undefined ? Infinity : nextDeadline(group);
      if (next > end) break;
      assert.ok(i < 10_000, "deadlines that never move on");
      this.now = Math.max(this.now, next);
      this.#play(groups.tick(this.coordinator, "g", this.now));
      this.#check();
    }
    this.now = end;
  }

  /** kill -9: what was being stored may or may not have arrived; who waited is told by a closed connection. */
  #restart(): void {
    for (const { record } of this.#stores.splice(0)) {
      if (this.#below(2) === 0) break;
      this.#durable = encodeGroupRecord(record);
    }
    this.#asked.clear();
    for (const client of this.#clients) client.waits.clear();
    this.coordinator = groups.newCoordinator(this.coordinator.settings, world);
    this.#leaders.clear();
    this.#assigned.clear();
    this.#generation = 0;
    if (this.#durable === null) {
      this.#membersBefore = [];
      return;
    }
    const record = decodeGroupRecord(this.#durable);
    const { entry } = groups.loadGroup(this.coordinator, "g", record, this.now);
    assert.deepEqual(
      [...entry.group.members.keys()],
      record.members.map(({ memberId }) => memberId),
    );
    this.#membersBefore = [...entry.group.members.keys()];
  }

  #play(effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "store") this.#stores.push(effect);
      else if (effect.kind === "member-gone") {
        assert.notEqual(effect.reason, "");
        this.#gone.add(effect.memberId);
      } else if (effect.kind === "answer-join" || effect.kind === "answer-sync") this.#answered(effect);
    }
  }

  #answered(effect: GroupEffect & { kind: "answer-join" | "answer-sync" }): void {
    const asked = this.#asked.get(effect.request);
    assert.ok(asked !== undefined, `request ${effect.request} was answered twice, or never made`);
    assert.equal(`answer-${asked.kind}`, effect.kind);
    this.#asked.delete(effect.request);
    asked.client.waits.delete(effect.request);
    if (effect.kind === "answer-join") this.#joined(asked.client, effect.reply);
    else this.#synced(asked, effect.reply);
  }

  #joined(client: Client, reply: JoinReply): void {
    if (reply.error === "MEMBER_ID_REQUIRED") client.memberId = reply.memberId;
    else if (reply.error === "UNKNOWN_MEMBER_ID" || reply.error === "FENCED_INSTANCE_ID") this.#forget(client);
    if (reply.error !== "NONE") return;
    if (reply.members.length > 0 && !reply.skipAssignment) {
      const known = this.#leaders.get(reply.generation) ?? reply.memberId;
      assert.equal(reply.memberId, known, `two leaders in generation ${reply.generation}`);
      assert.equal(reply.leader, reply.memberId);
      this.#leaders.set(reply.generation, reply.memberId);
    }
    client.memberId = reply.memberId;
    client.generation = reply.generation;
    client.leads = reply.skipAssignment ? null : reply.members.map(({ memberId }) => memberId);
    client.next = "sync";
  }

  #synced({ client, generation }: Asked, reply: SyncReply): void {
    if (generation !== client.generation) return; // it has given up on this one since
    if (reply.error !== "NONE") {
      if (reply.error === "REBALANCE_IN_PROGRESS" || reply.error === "COORDINATOR_NOT_AVAILABLE") client.next = "join";
      else this.#forget(client);
      return;
    }
    this.stable += 1;
    client.next = "live";
    const key = `${client.memberId}@${client.generation}`;
    const given = textOf(reply.assignment);
    assert.equal(this.#assigned.get(key) ?? given, given, `${key} was given two assignments`);
    assert.ok(given === "" || given.endsWith(`@${client.generation}`), `${key} was given ${given}`);
    this.#assigned.set(key, given);
  }

  #check(): void {
    const group = this.coordinator.groups.get("g")?.group;
    const members = group === undefined ? [] : [...group.members.keys()];
    for (const id of this.#membersBefore) {
      assert.ok(members.includes(id) || this.#gone.has(id), `${id} was lost without a reason`);
    }
    this.#membersBefore = members;
    if (group === undefined) return;
    assert.ok(group.generation >= this.#generation, "the generation fell");
    this.#generation = group.generation;
    checkGroup(group);
    const parked = new Set<number>();
    for (const { joinRequest, syncRequest } of group.members.values()) {
      for (const request of [joinRequest, syncRequest]) if (request !== null) parked.add(request);
    }
    for (const { then } of this.#stores) if (then.kind === "answer-join") parked.add(then.request);
    const asked = [...this.#asked.keys()].sort();
    assert.deepEqual([...parked].sort(), asked, "a request is parked with nobody to answer it");
  }

  /** Faults end: everybody goes on calling, and soon all are in one stable generation. */
  settle(): void {
    for (let i = 0; i < 400; i += 1) {
      while (this.#stores.length > 0) {
        const store = this.#stores.shift()!;
        this.#play(groups.stored(this.coordinator, "g", store.then, "NONE", this.now));
      }
      for (const client of this.#clients) {
        if (client.waits.size > 0) continue;
        if (client.next === "join") this.#join(client);
        else if (client.next === "sync") this.#sync(client);
        else this.#heartbeat(client);
      }
      this.#check();
      this.#pass(500);
    }
  }

  /** Clients that have a place of their own: of one instance id only the last. */
  settledProblem(): string | null {
    const group = this.coordinator.groups.get("g")?.group;
    const alive = this.#clients.filter(({ instanceId, version }) => instanceId === null || version < 5);
    const waiting = alive.filter((client) => client.next !== "live");
    if (alive.length === 0 || group === undefined) return null;
    if (alive.length > 6) return null;
    if (waiting.length === 0 || this.#clients.length > alive.length) return null;
    return `${waiting.map(({ name, next }) => `${name} wants to ${next}`).join(", ")} in ${group.state}`;
  }
}

function checkGroup(group: Group): void {
  const { state, members, leader } = group;
  if (state === "Empty" || state === "Dead") assert.equal(members.size, 0, `${state} with members`);
  else assert.ok(members.size > 0, `${state} without members`);
  assert.ok(leader === null ? members.size === 0 : members.has(leader), "the leader is no member");
  for (const member of members.values()) {
    if (member.joinRequest !== null) assert.equal(state, "PreparingRebalance", "a parked join outside the preparation");
    if (member.syncRequest !== null) assert.equal(state, "CompletingRebalance", "a parked sync outside the completion");
    if (member.instanceId !== null) assert.equal(group.staticMembers.get(member.instanceId), member.memberId);
    const parked = member.joinRequest !== null || member.syncRequest !== null;
    if (!parked) assert.notEqual(member.deadline, Infinity, `${member.memberId} can never be expelled`);
  }
  assert.equal([...members.values()].filter(({ instanceId }) => instanceId !== null).length, group.staticMembers.size);
  if (state === "PreparingRebalance") assert.notEqual(group.joinDeadline, Infinity, "a preparation without an end");
  if (state === "CompletingRebalance" && group.pendingSync.size > 0) assert.notEqual(group.syncDeadline, Infinity);
}

test("coordinator: random members, stores that fail, restarts; every invariant holds after every event", () => {
  const given = process.env["SEED"];
  const seeds = given === undefined ? Array.from({ length: 300 }, (_, i) => i + 1) : [Number(given)];
  let commits = 0;
  let stable = 0;
  for (const seed of seeds) {
    const world = new World(seed);
    let steps = 0;
    try {
      for (; steps < 400; steps += 1) world.step();
      world.settle();
      assert.equal(world.settledProblem(), null);
    } catch (error) {
      throw new Error(`SEED=${seed}, step ${steps}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    commits += world.commits;
    stable += world.stable;
  }
  // A model that does nothing would pass too.
  if (given === undefined) assert.ok(commits > 500 && stable > 2000, `${commits} commits, ${stable} syncs`);
});

test("coordinator: lists by state without regard to case, describes metadata of Stable groups only", () => {
  const coordinator = groups.newCoordinator(settings, world);
  const simple = { memberId: "", instanceId: null, generation: -1 };
  assert.equal(typeof groups.beginCommit(coordinator, "a", simple, 0), "object");
  assert.deepEqual(groups.list(coordinator, []), [{ group: "a", protocolType: "", state: "Empty", type: "classic" }]);
  assert.equal(groups.list(coordinator, ["EMPTY"]).length, 1);
  assert.equal(groups.list(coordinator, ["stable", "nonsense"]).length, 0);
  assert.equal(groups.describe(coordinator, "b").state, "Dead");
});

test("coordinator: deletes empty groups only, and keeps the group when the registry could not", () => {
  const coordinator = groups.newCoordinator(settings, world);
  const simple = { memberId: "", instanceId: null, generation: -1 };
  assert.equal(groups.beginDeletion(coordinator, "a"), "GROUP_ID_NOT_FOUND");
  groups.beginCommit(coordinator, "a", simple, 0);
  const entry = groups.beginDeletion(coordinator, "a");
  assert.ok(typeof entry !== "string", "refused");
  assert.equal(groups.beginDeletion(coordinator, "a"), "COORDINATOR_NOT_AVAILABLE");
  assert.equal(groups.beginCommit(coordinator, "a", simple, 0), "COORDINATOR_NOT_AVAILABLE");
  groups.endDeletion(coordinator, entry, false, 0);
  assert.equal(typeof groups.beginCommit(coordinator, "a", simple, 0), "object");
  const again = groups.beginDeletion(coordinator, "a");
  assert.ok(typeof again !== "string", "refused");
  groups.endDeletion(coordinator, again, true, 0);
  assert.equal(coordinator.groups.size, 0);
});

test("coordinator: the number of groups is bounded", () => {
  const coordinator = groups.newCoordinator(settings, world);
  const simple = { memberId: "", instanceId: null, generation: -1 };
  for (const group of ["a", "b", "c"]) assert.equal(typeof groups.beginCommit(coordinator, group, simple, 0), "object");
  assert.equal(groups.beginCommit(coordinator, "d", simple, 0), "COORDINATOR_NOT_AVAILABLE");
  assert.equal(groups.beginCommit(coordinator, "", simple, 0), "INVALID_GROUP_ID");
  const member = { ...simple, generation: 1 };
  assert.equal(groups.beginCommit(coordinator, "x", { ...member, version: 8 }, 0), "ILLEGAL_GENERATION");
  assert.equal(groups.beginCommit(coordinator, "x", { ...member, version: 9 }, 0), "GROUP_ID_NOT_FOUND");
});

test("sameProtocols compares names, order and bytes", () => {
  const a = { name: "a", metadata: bytesOf("1") };
  const b = { name: "b", metadata: bytesOf("1") };
  assert.equal(sameProtocols([a, b], [{ ...a }, { ...b, metadata: bytesOf("1") }]), true);
  for (const other of [[b, a], [a], [a, { ...b, metadata: bytesOf("2") }], [a, { ...b, metadata: bytesOf("12") }]]) {
    assert.equal(sameProtocols([a, b], other), false);
  }
});
