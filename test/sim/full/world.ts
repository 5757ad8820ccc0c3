// One seed's world: a queue of events, machines with clocks of their own, and the trace that tells two runs apart.
import { MachineStopped } from "../disk.ts";
import { setImmediate } from "node:timers";
import type { Clock, Millis, Random, Timer } from "../../../hub/io/ports.ts";
import { crc32c } from "../../../hub/io/crc32c.ts";
import type { Fields, Trace } from "../../../hub/trace.ts";
import { seeded, SimClock, simRandom } from "../clock.ts";

/** Events between two turns of the real loop: microtasks are drained after each. */
const eventsPerTurn = 64;

/** What a machine and the process on it go by. */
export interface Machine {
  readonly name: string;
  readonly host: string;
  /** Raised with each process; what an earlier one asked for is never delivered. */
  life: number;
  /** A process runs. */
  running: boolean;
  /** Without power nothing answers, not even a refusal. */
  powered: boolean;
  /** Stopped (SIGSTOP, swap): its events wait, in order. */
  pausedUntil: Millis;
  /** Milliseconds of its clock per millisecond of the world: within 0.5 %. */
  readonly rate: number;
  wallOffset: Millis;
}

/** An invariant that does not hold, under its name in replication.md 2.12. */
export class Violation extends Error {}

/** What a process waits for; a class, since there are many. */
class Due implements Timer {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #life: number;
  readonly #call: () => void;
  #timer: Timer;

  constructor(world: World, machine: Machine, life: number, call: () => void, delayMs: Millis) {
    this.#world = world;
    this.#machine = machine;
    this.#life = life;
    this.#call = call;
    this.#timer = world.time.after(delayMs, () => this.#due());
  }

  #due(): void {
    const { life, running, pausedUntil } = this.#machine;
    if (life !== this.#life || !running) return;
    const world = this.#world;
    if (pausedUntil > world.now) {
      this.#timer = world.time.after(pausedUntil - world.now, () => this.#due());
      return;
    }
    world.current = this.#machine;
    try {
      this.#call();
    } catch (error) {
      // its disk stopped under a timer: the machine is down, nobody else is
      if (!(error instanceof MachineStopped)) throw error;
    }
  }

  cancel(): void {
    this.#timer.cancel();
  }
}

export class World {
  readonly seed: number;
  readonly time: SimClock;
  readonly chance: () => number;
  /** The first violation; the run ends at the next event. */
  violation: Violation | null = null;
  events = 0;
  /** Whose event runs, or ran last: what follows in microtasks is its own. */
  current: Machine | null = null;
  /** Called before the next event, when the microtasks of the last one are done. */
  after: () => void = () => {};
  #hash = 0x811c_9dc5;
  /** Events since time moved: more than there can be work for is a loop without end. */
  #standing = 0;
  #movedAt = 0;
  readonly #tail: string[] = [];
  readonly #print: ((line: string) => void) | null;

  constructor(seed: number, print: ((line: string) => void) | null = null) {
    this.seed = seed;
    this.#print = print;
    this.time = new SimClock(0, Date.UTC(2027, 0, 1));
    this.chance = seeded(seed * 7919 + 17);
  }

  get now(): Millis {
    return this.time.now();
  }

  /** 0 <= result < max */
  int(max: number): number {
    return Math.floor(this.chance() * max);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!;
  }

  /** A generator of its own, so that one part's draws do not move another's. */
  fork(): () => number {
    return seeded(Math.floor(this.chance() * 2 ** 32));
  }

  machine(name: string, host: string): Machine {
    const rate = 1 + (this.chance() - 0.5) * 0.01;
    return { name, host, life: 0, running: false, powered: true, pausedUntil: 0, rate, wallOffset: 0 };
  }

  /** Calls after so many milliseconds of the world, if the process of that life still runs then. */
  at(machine: Machine, delayMs: Millis, call: () => void, life = machine.life): Timer {
    return new Due(this, machine, life, call, delayMs);
  }

  /** The clock of the process that runs now. */
  clockOf(machine: Machine): Clock {
    const { life } = machine;
    const offset = 1000 + this.int(1_000_000);
    const now = (): Millis => offset + this.now * machine.rate;
    return {
      now,
      wall: () => Math.floor(Date.UTC(2027, 0, 1) + this.now + machine.wallOffset),
      wallTrusted: () => machine.wallOffset > -1e9,
      after: (delayMs, call) => this.at(machine, Math.max(0, delayMs) / machine.rate, call, life),
      soon: (call) => void this.at(machine, 0, call, life),
    };
  }

  randomOf(): Random {
    return simRandom(this.fork());
  }

  /** Events of a hub go into the trace; counters do not. */
  traceOf(name: string, heard: (event: string, fields: Fields) => void): Trace {
    return {
      event: (level, event, fields = {}) => {
        this.say(`${name} ${level === "debug" ? "" : `${level} `}${event} ${JSON.stringify(fields)}`);
        heard(event, fields);
      },
      count() {},
      gauge() {},
      observe() {},
    };
  }

  say(line: string): void {
    const text = `${this.now.toFixed(3)} ${line}`;
    this.#hash = (Math.imul(this.#hash, 0x0100_0193) ^ crc32c(Buffer.from(text))) | 0;
    this.#print?.(text);
    if (this.#tail.push(text) > 400) this.#tail.splice(0, 200);
  }

  /** Of everything that was said so far. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  get tail(): readonly string[] {
    return this.#tail;
  }

  violated(invariant: string, detail: string): void {
    this.say(`VIOLATION ${invariant}: ${detail}`);
    this.violation ??= new Violation(`${invariant}: ${detail}`);
  }

  /** Runs the events of the next milliseconds, or up to a violation. */
  run(ms: Millis, done: () => boolean = () => false): Promise<void> {
    const until = this.now + ms;
    return new Promise((resolve, reject) => {
      let over = false;
      const one = (): void => {
        if (over) return;
        this.after();
        if (this.time.now() > this.#movedAt) [this.#movedAt, this.#standing] = [this.time.now(), 0];
        else if ((this.#standing += 1) > 200_000) this.violated("I16 Liveness", "time stands still");
        over = this.violation !== null || done() || !this.time.runNext(until);
        this.events += 1;
        if (over) this.time.reach(this.violation === null && !done() ? until : this.now);
      };
      const turn = (): void => {
        if (over) return this.violation === null ? resolve() : reject(this.violation);
        for (let i = 0; i < eventsPerTurn; i += 1) setImmediate(one);
        setImmediate(turn);
      };
      setImmediate(turn);
    });
  }

  /** Runs until the promise settles, at most so long. */
  async settle<T>(promise: Promise<T>, msMax: Millis): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => (settled = true));
    watched.catch(() => {});
    await this.run(msMax, () => settled);
    if (!settled) throw new Error(`not settled within ${msMax} ms`);
    return await watched;
  }
}
