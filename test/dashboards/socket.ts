// A browser's side of /ws for the tests: collects messages and waits for the one that is wanted.
import assert from "node:assert/strict";
import { WebSocket } from "ws";

export interface Message {
  readonly type?: string;
  readonly id?: number;
  readonly partition?: number;
  readonly first?: number;
  readonly next?: number;
  readonly records?: unknown[][];
  readonly conflated?: number;
  readonly dropped?: number;
  readonly slow?: boolean;
  readonly [field: string]: unknown;
}

/** Milliseconds a test waits for a message before it fails. */
const patienceMs = 5000;

export class TestSocket {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  #wakes = new Set<() => void>();

  constructor(port: number, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers });
    this.socket.on("message", (data) => {
      this.messages.push(JSON.parse(String(data)) as Message);
      for (const wake of this.#wakes) wake();
    });
    this.socket.on("error", () => {});
  }

  static async open(port: number, headers: Record<string, string> = {}): Promise<TestSocket> {
    const made = new TestSocket(port, headers);
    await new Promise<void>((resolve, reject) => {
      made.socket.once("open", () => resolve());
      made.socket.once("error", reject);
    });
    return made;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Resolves with the first message, past or coming, that `wanted` accepts. */
  async until(wanted: (message: Message) => boolean, what = String(wanted)): Promise<Message> {
    let at = 0;
    const deadline = Date.now() + patienceMs;
    for (;;) {
      for (; at < this.messages.length; at++) if (wanted(this.messages[at]!)) return this.messages[at]!;
      const left = deadline - Date.now();
      if (left <= 0) assert.fail(`no ${what} in ${JSON.stringify(this.messages).slice(0, 2000)}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#wakes.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#wakes.add(wake);
      });
    }
  }

  /** Frames of a subscription so far. */
  frames(id: number): Message[] {
    return this.messages.filter((message) => message.type === undefined && message.id === id);
  }

  /** Offsets received of a subscription, in the order they came. */
  offsets(id: number, partition = 0): number[] {
    return this.frames(id)
      .filter((frame) => frame.partition === partition)
      .flatMap((frame) => frame.records!.map(([offset]) => offset as number));
  }

  /** Resolves when the frames of a partition reach an offset. */
  reaches(id: number, partition: number, next: number): Promise<Message> {
    const wanted = (each: Message): boolean => each.id === id && each.partition === partition && each.next! >= next;
    return this.until(wanted, `frame of ${id} to ${partition}:${next}`);
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const gone = new Promise<void>((resolve) => void this.socket.once("close", () => resolve()));
    this.socket.close();
    await gone;
  }
}
