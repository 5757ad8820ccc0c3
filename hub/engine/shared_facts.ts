// Facts that all hubs of a cluster share: read from this hub's journal, changed through the controller.
import type { FactStore } from "../io/registry.ts";

/** Changes what all hubs share; resolves when a majority has it (engine/governor.ts). */
export type ChangeShared = (
  entries: readonly { readonly key: string; readonly value: string | null }[],
) => Promise<void>;

/**
 * A FactStore whose puts go to every hub. Before `join` they stay here: what a hub's own file says (its first user) is
 * the same file on the others. Values are any bytes; as metadata they travel as base64.
 */
export class SharedFacts implements FactStore {
  readonly #local: FactStore;
  #change: ChangeShared | null = null;

  constructor(local: FactStore) {
    this.#local = local;
  }

  join(change: ChangeShared): void {
    this.#change = change;
  }

  get(key: string): Uint8Array | undefined {
    return this.#local.get(key);
  }

  entries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    return this.#local.entries(prefix);
  }

  async put(facts: readonly (readonly [string, Uint8Array | null])[]): Promise<void> {
    if (this.#change === null) return await this.#local.put(facts);
    await this.#change(facts.map(([key, value]) => ({ key, value: value === null ? null : textOf(value) })));
  }

  /** What the metadata say of a key, taken into the journal; the bytes of the value. */
  async learn(key: string, text: string | null): Promise<Uint8Array | null> {
    const value = text === null ? null : bytesOf(text);
    await this.#local.put([[key, value]]);
    return value;
  }
}

function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
