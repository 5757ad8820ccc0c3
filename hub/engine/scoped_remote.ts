// One Redis for all coordinators of a hub: each sees the groups of its partition alone, over the same connection.
import type { GroupImage, Position, RemoteRegistry } from "../io/registry.ts";

/** Shares a remote registry among coordinators. Closing a scope leaves the connection open. */
export class SharedRemote {
  readonly #remote: RemoteRegistry;
  readonly #scopes = new Set<Scope>();

  constructor(remote: RemoteRegistry) {
    this.#remote = remote;
    remote.watch((up) => {
      for (const scope of [...this.#scopes]) scope.changed(up);
    });
  }

  state(): "up" | "down" {
    return this.#remote.state();
  }

  /** @param name of the mark that tells whether the far side lost something; @param owns which groups belong to it */
  scope(name: string, owns: (group: string) => boolean): RemoteRegistry {
    const scope = new Scope(this.#remote, name, owns, () => this.#scopes.delete(scope));
    this.#scopes.add(scope);
    return scope;
  }

  async close(): Promise<void> {
    await this.#remote.close();
  }
}

class Scope implements RemoteRegistry {
  readonly kind = "redis";
  readonly #remote: RemoteRegistry;
  readonly #name: string;
  readonly #owns: (group: string) => boolean;
  readonly #closed: () => void;
  readonly #listeners: ((up: boolean) => void)[] = [];
  readonly storeGroup: RemoteRegistry["storeGroup"];
  readonly commitOffsets: RemoteRegistry["commitOffsets"];
  readonly deleteOffsets: RemoteRegistry["deleteOffsets"];
  readonly deleteGroup: RemoteRegistry["deleteGroup"];
  readonly merge: RemoteRegistry["merge"];
  readonly forget: RemoteRegistry["forget"];

  constructor(remote: RemoteRegistry, name: string, owns: (group: string) => boolean, closed: () => void) {
    this.#remote = remote;
    this.#name = name;
    this.#owns = owns;
    this.#closed = closed;
    this.storeGroup = (group) => remote.storeGroup(group);
    this.commitOffsets = (fence, offsets) => remote.commitOffsets(fence, offsets);
    this.deleteOffsets = (fence, partitions) => remote.deleteOffsets(fence, partitions);
    this.deleteGroup = (fence) => remote.deleteGroup(fence);
    this.merge = (image) => remote.merge(image);
    this.forget = (group, deleted) => remote.forget(group, deleted);
  }

  changed(up: boolean): void {
    for (const listener of this.#listeners) listener(up);
  }

  state(): "up" | "down" {
    return this.#remote.state();
  }

  watch(listener: (up: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** A coordinator that lost its partition and does not know it must not commit here any more: groups are fenced. */
  async beginEpoch(atLeast: number): Promise<number> {
    const epoch = await this.#remote.beginEpoch(atLeast);
    const fence = { fenceEpoch: epoch, record: null, deleted: null, offsets: [] };
    for (const { group } of await this.loadGroups()) await this.#remote.merge({ group, ...fence });
    return epoch;
  }

  async loadGroups(): Promise<GroupImage[]> {
    return (await this.#remote.loadGroups()).filter(({ group }) => this.#owns(group));
  }

  probe(position: Position): Promise<boolean> {
    return this.#remote.probe(position, this.#name);
  }

  async close(): Promise<void> {
    this.#closed();
  }
}
