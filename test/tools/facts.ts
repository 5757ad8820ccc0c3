// A FactStore in memory for tests: counts its puts, and can refuse or hold them.
import { HubError } from "../../hub/errors.ts";
import type { FactStore } from "../../hub/io/registry.ts";

export class MemoryFacts implements FactStore {
  readonly #facts = new Map<string, Uint8Array>();
  puts = 0;
  /** Next puts are refused, as by a full disk. */
  full = false;
  /** Set: puts resolve when it does. */
  gate: Promise<void> | null = null;

  get(key: string): Uint8Array | undefined {
    return this.#facts.get(key);
  }

  entries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    return [...this.#facts].filter(([key]) => key.startsWith(prefix));
  }

  async put(facts: readonly (readonly [string, Uint8Array | null])[]): Promise<void> {
    if (this.full) throw new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
    this.puts += 1;
    for (const [key, value] of facts) {
      if (value === null) this.#facts.delete(key);
      else this.#facts.set(key, value.slice());
    }
    await this.gate;
  }

  /** What a restart after kill -9 finds. */
  copy(): MemoryFacts {
    const copy = new MemoryFacts();
    for (const [key, value] of this.#facts) copy.#facts.set(key, value.slice());
    return copy;
  }
}
