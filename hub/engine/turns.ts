// Changes of one name one after another: nobody decides on what another is about to change.

export class Turns {
  /** The last of each name's changes; it never rejects. */
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `change` when all earlier ones of this name have ended, well or not. */
  take<T>(name: string, change: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(change);
    const ended = turn.then(
      () => {},
      () => {}, // whoever took the turn is told
    );
    this.#last.set(name, ended);
    void ended.then(() => {
      if (this.#last.get(name) === ended) this.#last.delete(name);
    });
    return turn;
  }

  /** Names with a change under way. */
  get size(): number {
    return this.#last.size;
  }
}
