// All shared subscriptions of this hub's sessions, by group id and filter.
import type { Admin, Clock, HubClient, Trace } from "../../hub/mod.ts";
import { filterMatches, parseShared } from "../match/filter.ts";
import type { Options } from "../match/merged.ts";
import type { Session } from "../session/session.ts";
import type { Route } from "../topic_map.ts";
import type { Atlas } from "./atlas.ts";
import type { Downlink } from "./downlink.ts";
import type { Member } from "./feed.ts";
import { Group } from "./group.ts";
import { reachOf } from "./reach.ts";
import { groupIdOf } from "./share.ts";

export interface GroupsDeps {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly skewMs: number;
  readonly atlas: Atlas;
  readonly routes: readonly Route[];
  readonly downlinks: readonly Downlink[];
  /** Resolves when the atlas was brought up to date. */
  readonly look: () => Promise<void>;
}

export class Groups {
  readonly #deps: GroupsDeps;
  /** By share name and filter, which are its identity. */
  readonly #groups = new Map<string, Group>();
  readonly #closing = new Set<Promise<void>>();
  #admin: Admin | null = null;

  constructor(deps: GroupsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#groups.size;
  }

  /** As `Deliveries.subscribe`. */
  async join(filter: string, member: Member, options: Options): Promise<void> {
    const { routes, downlinks, look } = this.#deps;
    const shared = parseShared(filter)!;
    if (reachOf(shared.filter, routes, downlinks).length === 0) return; // it is in no log
    await look();
    if (!member.isThere || !member.filters.has(filter)) return;
    let group = this.#groups.get(filter);
    if (group === undefined) {
      group = this.#make(groupIdOf(shared, routes, downlinks), shared.filter);
      this.#groups.set(filter, group);
    }
    await group.join(member, options);
  }

  leave(filter: string, member: Member): void {
    const group = this.#groups.get(filter);
    if (group === undefined) return;
    group.leave(member);
    if (group.members.size > 0) return;
    this.#groups.delete(filter);
    const closing = group.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  more(member: Member): void {
    for (const filter of member.filters) this.#groups.get(filter)?.more(member);
  }

  refresh(): void {
    for (const group of this.#groups.values()) group.refresh();
  }

  /** What a message that was read again means for a session by the shared subscription of that group id. */
  optionsOf(session: Session, id: string, topic: string): Options | null {
    const { routes, downlinks } = this.#deps;
    for (const { filter, options } of session.subscriptions.list()) {
      const shared = parseShared(filter);
      if (shared === null || !filterMatches(shared.filter, topic)) continue;
      if (groupIdOf(shared, routes, downlinks) === id) return options;
    }
    return null;
  }

  async close(): Promise<void> {
    await Promise.all([...[...this.#groups.values()].map((group) => group.close()), ...this.#closing]);
    this.#groups.clear();
    await this.#admin?.close().catch(() => {});
  }

  #make(id: string, filter: string): Group {
    const { client, clock, trace, skewMs, atlas, routes, downlinks } = this.#deps;
    const reach = reachOf(filter, routes, downlinks);
    return new Group(id, filter, {
      client,
      clock,
      trace,
      skewMs,
      admin: () => (this.#admin ??= client.admin()),
      feeds: () => atlas.within(reach),
      feedOf: (topic, partition) => atlas.get(topic, partition),
    });
  }
}
