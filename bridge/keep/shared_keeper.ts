// What the hubs of a cluster keep of their MQTT clients together: one hub at a time looks after a client.
import { type Appender, type InRecord, limits, mqttSessionsTopic, type OutRecord, type Trace } from "../../hub/mod.ts";
import type { Past, StoredSession, StoredWill } from "../session/record.ts";
import { encodeSession } from "../session/record.ts";
import { type ClientState, Clients, encodeClaim, epochsOf, openIdsOf, type Owner } from "./clients.ts";
import { ClusterWatch } from "./cluster_watch.ts";
import type { KnownSession, SessionKeeper, SessionKeeperEvents } from "./faces.ts";
import { KeptTopic } from "./kept_topic.ts";
import { OnceLines } from "./once_lines.ts";
import { type KeptKey, Kind, keyOf } from "./keys.ts";
import { applyTo, type KeeperOptions, knownOf } from "./session_keeper.ts";
import { knownOnly, type Owned, SessionWrites, taken } from "./session_writes.ts";

/** A client that this hub looks after. */
interface Held extends Owned {
  /** Its own hub by a claim; else an heir, whom the next claim of another heir replaces. */
  isClaimed: boolean;
  /** What was kept of it when this began, until the broker writes: what is written anew is read again later. */
  found: Past | null | undefined;
  /** When its session ended; null: it is there, or its connection is. */
  endedAt: number | null;
}

type Claimed = Awaited<ReturnType<SessionKeeper["claim"]>>;

/**
 * Ownership is a claim in the log: the newest one counts, and its place is the epoch. A write is acknowledged when it
 * was read back without another hub's claim before it; so the next owner, who reads up to its own claim, finds all that
 * was acknowledged, and what an old owner writes afterwards was acknowledged to nobody.
 */
export class SharedSessionKeeper implements SessionKeeper {
  readonly isShared = true;
  readonly #options: KeeperOptions;
  readonly #trace: Trace;
  readonly #events: SessionKeeperEvents;
  readonly #topic: KeptTopic;
  readonly #writes: SessionWrites;
  readonly #lines: OnceLines;
  readonly #appender: Appender;
  readonly #watch: ClusterWatch;
  readonly #clients = new Clients();
  readonly #held = new Map<string, Held>();
  /** Clients whose claims are on their way out. */
  readonly #retired = new Set<string>();
  readonly #claiming = new Map<string, Promise<unknown>>();
  /** Of own claims that are read: who owned the client before. */
  readonly #before = new Map<string, Owner | null>();
  /** Claims that wait for the hub before. */
  readonly #farewells = new Map<string, { readonly hub: number; readonly end: () => void }>();
  #opening: Promise<unknown> = Promise.resolve();
  #isOpen = false;

  constructor(options: KeeperOptions, events: SessionKeeperEvents) {
    const { hub, client, clock, trace } = options;
    this.#options = options;
    this.#trace = trace;
    this.#events = events;
    const apply = (record: InRecord): void => this.#apply(record);
    this.#topic = new KeptTopic({ hub, client, topic: mqttSessionsTopic, clock, trace, isShared: true, apply });
    const confirm = (owned: Owned, offset: number): Promise<void> => this.#confirm(owned, offset);
    this.#writes = new SessionWrites({ hub, topic: this.#topic, trace, confirm });
    this.#appender = client.appender();
    this.#lines = new OnceLines({ appender: this.#appender, writes: this.#writes, clock, trace, confirm });
    this.#watch = new ClusterWatch({ client, clock, trace, hubId: hub.hubId, looked: () => this.#looked() });
  }

  async open(): Promise<readonly KnownSession[]> {
    const opening = this.#open();
    this.#opening = opening;
    opening.catch((error: unknown) => this.#failed("", error));
    await this.#topic.inTime(opening);
    return [];
  }

  /** What this hub had in an earlier life it inherits, as from any that died: its last writes may be on their way. */
  async #open(): Promise<void> {
    await this.#topic.open();
    this.#isOpen = true;
    this.#watch.start();
  }

  claim(clientId: string): Promise<Claimed> {
    const held = this.#held.get(clientId);
    if (held?.isClaimed) return this.#ready(held);
    const before = this.#claiming.get(clientId) ?? Promise.resolve();
    const claiming = before.then(
      () => this.#claim(clientId),
      () => this.#claim(clientId),
    );
    this.#claiming.set(clientId, claiming);
    const over = (): void => {
      if (this.#claiming.get(clientId) === claiming) this.#claiming.delete(clientId);
    };
    claiming.then(over, over);
    return claiming;
  }

  async #claim(clientId: string): Promise<Claimed> {
    await this.#opening;
    const held = this.#held.get(clientId);
    if (held?.isClaimed) return await this.#ready(held);
    const { hubId } = this.#options.hub;
    const of = this.#clients.ownerOf(clientId)?.epoch ?? 0;
    const epoch = (await this.#announce(keyOf(Kind.claim, clientId), clientId, of)) + 1;
    const before = this.#before.get(clientId) ?? null;
    this.#before.delete(clientId);
    if (this.#isOwn(clientId, epoch) && before !== null && before.hub !== hubId) {
      await this.#farewellOf(clientId, epoch, before.hub);
    }
    if (!this.#isOwn(clientId, epoch)) throw taken(clientId);
    this.#hold(clientId, epoch, true, before);
    return await this.#ready(this.#mine(clientId));
  }

  /** What the hub before had not finished comes before anything new. */
  async #ready(held: Held): Promise<{ readonly past: Past | null; readonly epoch: number }> {
    const { clientId, epoch } = held;
    held.endedAt = null;
    await this.#lines.whenRedone(held);
    if (this.#held.get(clientId) !== held) throw taken(clientId);
    const past = held.found === undefined ? this.#pastOf(clientId) : held.found;
    return { past: past === null ? null : knownOnly(past, held), epoch };
  }

  async store(clientId: string, session: StoredSession): Promise<void> {
    const held = this.#mine(clientId);
    held.endedAt = null;
    held.found = undefined;
    await this.#writes.store(held, session);
  }

  keepWill(clientId: string, will: StoredWill | null): void {
    const held = this.#held.get(clientId);
    if (held === undefined) return;
    held.found = undefined;
    this.#writes.keepWill(held, will);
  }

  async end(clientId: string): Promise<void> {
    const held = this.#held.get(clientId);
    if (held === undefined) return;
    held.endedAt = this.#options.clock.now();
    held.found = undefined;
    await this.#writes.end(held);
  }

  async storeOnce(clientId: string, packetId: number, topic: string, record: OutRecord): Promise<void> {
    await this.#lines.store(this.#mine(clientId), packetId, topic, record);
  }

  async release(clientId: string, packetId: number): Promise<void> {
    await this.#writes.release(this.#mine(clientId), packetId);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#lines.close();
    await Promise.all([this.#watch.close(), this.#appender.close()]);
    for (const { end } of this.#farewells.values()) end();
    await this.#topic.close();
  }

  #mine(clientId: string): Held {
    const held = this.#held.get(clientId);
    if (held === undefined) throw taken(clientId);
    return held;
  }

  #pastOf(clientId: string): Past | null {
    return knownOf(this.#clients, clientId, this.#trace)?.past ?? null;
  }

  #isOwn(clientId: string, epoch: number): boolean {
    return this.#clients.ownerOf(clientId)?.epoch === epoch;
  }

  /** Looks after the client from here on; null when nothing is kept of it. */
  #hold(clientId: string, epoch: number, isClaimed: boolean, from: Owner | null = null): KnownSession | null {
    const state = this.#clients.get(clientId);
    const known = knownOf(this.#clients, clientId, this.#trace);
    const endedAt = known === null ? this.#options.clock.now() : null;
    const held = this.#held.get(clientId);
    // what was on its way in an earlier epoch of this hub goes on
    if (held !== undefined) Object.assign(held, { epoch, isClaimed, endedAt });
    else
      this.#held.set(clientId, {
        ...this.#writes.own(clientId, epoch, state),
        isClaimed,
        found: known?.past ?? null,
        endedAt,
      });
    const isFirst = held === undefined && (from !== null || this.#clients.isToAdopt(clientId));
    if (state !== undefined && isFirst) this.#writes.adopt(this.#held.get(clientId)!, state);
    if (state !== undefined && held === undefined) this.#redo(this.#held.get(clientId)!, state);
    if (state !== undefined && state.left > 0) this.#erase(clientId, Kind.left);
    const of = state?.claim?.epoch ?? 0;
    for (const earlier of state?.heirs?.keys() ?? []) if (earlier < of) this.#erase(clientId, Kind.heir, earlier);
    return known === null ? null : { clientId, past: knownOnly(known.past, this.#held.get(clientId)!) };
  }

  #redo(held: Held, state: ClientState): void {
    try {
      this.#lines.redo(held, openIdsOf(state));
    } catch (error) {
      this.#failed(held.clientId, error);
    }
  }

  /** Writes a claim; resolves with its offset once it was read. */
  async #announce(key: Uint8Array, clientId: string, of: number): Promise<number> {
    const partition = this.#topic.partitionOf(clientId);
    const value = encodeClaim(this.#options.hub.hubId, of);
    const offset = await this.#topic.write(partition, { key, value });
    await this.#topic.whenRead(partition, offset);
    return offset;
  }

  /** Resolves when the hub before has written its last, is dead, or takes too long. */
  #farewellOf(clientId: string, epoch: number, hub: number): Promise<void> {
    if (this.#watch.isDead(hub) || this.#clients.get(clientId)?.left === epoch) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limits.mqttFarewellMsMax, () => {
        this.#trace.count("mqtt_farewells_missed_total");
        farewell.end();
      });
      const farewell = {
        hub,
        end: () => {
          timer.cancel();
          this.#farewells.delete(clientId);
          resolve();
        },
      };
      this.#farewells.set(clientId, farewell);
    });
  }

  /** Own writes count when no other hub claimed the client before them in the log. */
  async #confirm(owned: Owned, offset: number): Promise<void> {
    await this.#topic.whenRead(owned.partition, offset);
    if (owned.takenAt !== null && owned.takenAt < offset) throw taken(owned.clientId);
  }

  #apply(record: InRecord): void {
    let before: Owner | null = null;
    const about = applyTo(this.#clients, record, this.#trace, (clientId) => {
      before = this.#clients.ownerOf(clientId);
    });
    if (about === null || !this.#isOpen) return;
    const { kind, clientId } = about;
    if (kind === Kind.left) return this.#left(clientId);
    if (kind === Kind.claim || kind === Kind.heir) {
      this.#retired.delete(clientId);
      if (record.value !== null) this.#owned(about, record.offset, before);
      return;
    }
    const held = this.#held.get(clientId);
    if (held !== undefined && record.value !== null && about.epoch < held.epoch && !this.#isOwnRecord(held, about)) {
      this.#writes.clearStale(held, about);
    }
  }

  /** Of what this hub wrote or found before it claimed the client anew. */
  #isOwnRecord(held: Held, { kind, epoch, slot }: KeptKey): boolean {
    if (kind === Kind.base) return this.#clients.get(held.clientId)?.base === epoch;
    if (kind === Kind.session) return held.session.includes(epoch);
    if (kind === Kind.will) return held.will.includes(epoch);
    return [...(held.ids?.values() ?? [])].some((id) => id.slot === slot && id.epochs.includes(epoch));
  }

  /** The owner of a client changed, or was confirmed. */
  #owned({ clientId, kind, epoch }: KeptKey, offset: number, before: Owner | null): void {
    const owner = this.#clients.ownerOf(clientId);
    if (owner?.epoch !== offset + 1) {
      // an heir that came too late
      if (kind === Kind.heir && this.#held.has(clientId)) this.#erase(clientId, Kind.heir, epoch);
      return;
    }
    const { hubId } = this.#options.hub;
    if (owner.hub === hubId) {
      if (kind === Kind.claim) this.#before.set(clientId, before);
      return;
    }
    const held = this.#held.get(clientId);
    if (held !== undefined) this.#lose(held, offset, kind === Kind.claim);
    else if (before?.hub === hubId && kind === Kind.claim) this.#farewell(clientId, owner.epoch);
  }

  #lose(held: Held, offset: number, saysFarewell: boolean): void {
    const { clientId, epoch } = held;
    held.takenAt = offset;
    this.#held.delete(clientId);
    this.#writes.letGo(held);
    // a broker that is just being told of its claim has no session yet
    if (!this.#events.isKnown(clientId)) this.#takeLater(clientId);
    const last = this.#events.onTaken(clientId);
    if (!saysFarewell) return;
    // QoS 2 messages on their way need not be waited for: the next owner finishes them
    if (last !== null) this.#put(clientId, keyOf(Kind.session, clientId, epoch), encodeSession(last));
    this.#farewell(clientId, offset + 1);
  }

  #takeLater(clientId: string): void {
    this.#options.clock.after(limits.mqttTakeLaterMs, () => {
      if (!this.#held.has(clientId)) this.#events.onTaken(clientId);
    });
  }

  /** Tells the hub whose claim is of this epoch that nothing more comes. */
  #farewell(clientId: string, epoch: number): void {
    this.#put(clientId, keyOf(Kind.left, clientId), encodeClaim(this.#options.hub.hubId, epoch));
  }

  #left(clientId: string): void {
    const left = this.#clients.get(clientId)?.left ?? 0;
    if (left === 0) return;
    if (this.#held.has(clientId)) this.#erase(clientId, Kind.left);
    else if (this.#isOwn(clientId, left)) this.#farewells.get(clientId)?.end();
  }

  #erase(clientId: string, kind: Kind, epoch = 0): void {
    this.#put(clientId, keyOf(kind, clientId, epoch), null);
  }

  /** Writes what nobody waits for. */
  #put(clientId: string, key: Uint8Array, value: Uint8Array | null): void {
    const written = this.#topic.write(this.#topic.partitionOf(clientId), { key, value });
    written.catch((error: unknown) => this.#failed(clientId, error));
  }

  #failed(clientId: string, error: unknown): void {
    this.#trace.count("mqtt_keep_failures_total");
    this.#trace.event("warn", "mqtt_keep_failed", { client: clientId, error: String(error) });
  }

  /** Who is dead says no farewell, and leaves clients that somebody has to look after. */
  #looked(): Promise<void> {
    for (const { hub, end } of [...this.#farewells.values()]) if (this.#watch.isDead(hub)) end();
    this.#retire();
    return this.#inherit();
  }

  /** Claims of clients that are gone go in the end. */
  #retire(): void {
    const until = this.#options.clock.now() - limits.mqttClaimKeptMs;
    for (const held of this.#held.values()) {
      const { clientId, endedAt } = held;
      if (endedAt === null || endedAt > until || !this.#writes.isOver(held)) continue;
      if (this.#events.isKnown(clientId)) {
        held.endedAt = null;
        continue;
      }
      this.#held.delete(clientId);
      this.#retired.add(clientId);
      const state = this.#clients.get(clientId);
      for (const of of state?.heirs?.keys() ?? []) this.#erase(clientId, Kind.heir, of);
      if (state?.left) this.#erase(clientId, Kind.left);
      for (const epoch of epochsOf(state?.bases ?? null)) this.#erase(clientId, Kind.base, epoch);
      this.#erase(clientId, Kind.claim);
    }
  }

  /** The hub that leads a client's partition inherits it from one that is dead. */
  async #inherit(): Promise<void> {
    const found: Promise<KnownSession | null>[] = [];
    for (const [clientId] of this.#clients.all()) {
      if (found.length >= limits.mqttInheritedPerLookMax) break;
      if (this.#held.has(clientId) || this.#claiming.has(clientId) || this.#retired.has(clientId)) continue;
      const owner = this.#clients.ownerOf(clientId);
      // its own of an earlier life, or whose claim was not answered in time
      const isOwn = owner?.hub === this.#options.hub.hubId;
      const isNobodys = owner === null || this.#watch.isDead(owner.hub);
      const isIts = isOwn || (isNobodys && this.#watch.leads(this.#topic.partitionOf(clientId)));
      if (isIts) found.push(this.#inheritOne(clientId));
    }
    const isHeir = (clientId: string): boolean =>
      this.#held.get(clientId)?.isClaimed === false && !this.#claiming.has(clientId);
    const sessions = (await Promise.all(found)).filter((one) => one !== null).filter((one) => isHeir(one.clientId));
    if (sessions.length > 0) this.#events.onInherited(sessions);
  }

  async #inheritOne(clientId: string): Promise<KnownSession | null> {
    const of = this.#clients.get(clientId)?.claim?.epoch ?? 0;
    const before = this.#clients.ownerOf(clientId);
    try {
      const offset = await this.#announce(keyOf(Kind.heir, clientId, of), clientId, of);
      if (!this.#isOwn(clientId, offset + 1)) return null;
      return this.#hold(clientId, offset + 1, false, before);
    } catch (error) {
      this.#failed(clientId, error);
      return null;
    }
  }
}
