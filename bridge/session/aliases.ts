// Topic aliases towards one client: the least recently used one is given to another topic. Pure.

/** An alias for a PUBLISH; `known`: the client has the topic already, so that it can be left out. */
export interface Alias {
  readonly alias: number;
  readonly known: boolean;
}

export class AliasesOut {
  readonly #max: number;
  /** Least recently used first. */
  readonly #byTopic = new Map<string, number>();

  /** @param max of the client ([MQTT-3.1.2-26]) and of ours; 0: there are no aliases. */
  constructor(max: number) {
    this.#max = max;
  }

  /** What a PUBLISH of this topic would carry; null: no alias. Nothing changes until `keep`. */
  peek(topic: string): Alias | null {
    if (this.#max === 0) return null;
    const known = this.#byTopic.get(topic);
    if (known !== undefined) return { alias: known, known: true };
    if (this.#byTopic.size < this.#max) return { alias: this.#byTopic.size + 1, known: false };
    const [, oldest] = this.#byTopic.entries().next().value!;
    return { alias: oldest, known: false };
  }

  /** The PUBLISH with the alias that `peek` gave is sent. */
  keep(topic: string, { alias, known }: Alias): void {
    if (!known && this.#byTopic.size >= this.#max) this.#byTopic.delete(this.#byTopic.keys().next().value!);
    this.#byTopic.delete(topic);
    this.#byTopic.set(topic, alias);
  }
}
