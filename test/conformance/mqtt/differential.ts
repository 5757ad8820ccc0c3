// Plays scenarios on two brokers and compares, step by step, what every client was sent; shrinks one that differs.
import type { SubscriptionRequest, Version } from "../../../bridge/wire/packet.ts";
import { type Circumstances, compare, lineOf, rules } from "./compare.ts";
import { actors, type ConnectStep, generate, type Sent, type Step } from "./scenario.ts";
import { isDurable, Side } from "./side.ts";

export interface Difference {
  /** Position of the step, and who saw it. */
  readonly at: number;
  readonly who: number;
  readonly reference: readonly string[];
  readonly subject: readonly string[];
}

export interface Outcome {
  /** Steps that applied. */
  readonly steps: number;
  /** Rule to how often it was needed. */
  readonly explained: ReadonlyMap<string, number>;
  readonly difference: Difference | null;
}

export interface Ports {
  readonly reference: number;
  readonly subject: number;
}

/** How long two brokers may differ before it counts: the slower one may be on its way to its disk. */
const patienceMs = 3_000;
/** The same while a scenario is shrunk, which is known to differ. */
const shrinkingMs = 700;
/** Without an answer for so long, a step hangs. */
const stepMs = 15_000;

let scenarios = 0;

class Scenario {
  readonly #sides: readonly [Side, Side];
  readonly #explained = new Map<string, number>();
  readonly #missed: Set<string>[] = [];
  /** Wills at takeovers that a session outlived, and those of the client itself at any takeover. */
  readonly #takeoverWills = new Set<string>();
  readonly #ownWills: Set<string>[] = [];
  readonly #isLate: boolean[] = [];
  readonly #hellos: (ConnectStep | null)[] = [];
  readonly #wills: (Sent | null)[] = [];
  readonly #holds: boolean[] = [];
  /** Subscriptions of each session. */
  readonly #filters: Map<string, SubscriptionRequest>[] = [];
  readonly #retained = new Set<string>();
  readonly #version: Version;
  readonly #patienceMs: number;
  #steps = 0;
  /** The step publishes a will that is retained. */
  #hasWill = false;

  constructor(ports: Ports, version: Version, patience: number) {
    this.#patienceMs = patience;
    const prefix = `s${++scenarios}-`;
    this.#sides = [new Side("reference", ports.reference, prefix), new Side("subject", ports.subject, prefix)];
    this.#version = version;
    for (let who = 0; who <= actors; who++) {
      this.#missed.push(new Set());
      this.#isLate.push(false);
      this.#holds.push(false);
      this.#filters.push(new Map());
      this.#ownWills.push(new Set());
      this.#hellos.push(null);
      this.#wills.push(null);
    }
  }

  async run(steps: readonly Step[]): Promise<Outcome> {
    let difference: Difference | null = null;
    try {
      await this.#bounded((side) => side.begin(this.#version));
      for (let at = 0; at < steps.length && difference === null; at++) {
        const step = this.#playable(steps[at]!);
        if (!this.#applies(step)) continue;
        this.#steps++;
        difference = await this.#play(step, at);
      }
      await this.#bounded((side) => side.end(this.#retained));
    } finally {
      for (const side of this.#sides) side.destroy();
    }
    return { steps: this.#steps, explained: this.#explained, difference };
  }

  #isUp(who: number): boolean {
    return this.#sides.every((side) => side.isUp(who));
  }

  /**
   * mosquitto 2.0 keeps No Local and Retain As Published of the subscription that is replaced, against [MQTT-3.8.4-3]:
   * they stay here, too.
   */
  #playable(step: Step): Step {
    if (step.do !== "subscribe") return step;
    const known = new Map(this.#filters[step.who]!);
    const requests = step.requests.map((request) => {
      const { noLocal, retainAsPublished } = known.get(request.filter) ?? request;
      const played = { ...request, noLocal, retainAsPublished };
      known.set(request.filter, played);
      return played;
    });
    return { ...step, requests };
  }

  #applies(step: Step): boolean {
    const { who } = step;
    if (step.do === "connect") {
      // a will that one of them does not publish must not be what the other retains
      const will = this.#isUp(who) ? this.#wills[who] : null;
      return !(will?.retain && this.#outlives(step));
    }
    if (!this.#isUp(who)) return false;
    const hello = this.#hellos[who]!;
    // the message may be handed on before the cut or after it, which what the client holds and its will would show
    if (step.do === "resend") return isDurable(hello) && !this.#holds[who] && !this.#wills[who];
    // what waits in a log is not what it was once subscriptions change (MQTT5 3.10.4)
    if ((step.do === "subscribe" || step.do === "unsubscribe") && this.#isLate[who]) return false;
    // 3.1.1 cannot say what a subscription of 5 has that it replaces (`playable`)
    if (step.do === "subscribe") return hello.version === 5 || !step.requests.some(isOfFive);
    if (step.do === "hold") return !this.#holds[who];
    if (step.do === "release") return this.#holds[who]!;
    return step.do !== "disconnect" || hello.version === 5 || !step.withWill;
  }

  /** The session of the client goes on with this CONNECT. */
  #outlives(step: ConnectStep): boolean {
    const before = this.#hellos[step.who];
    return !step.clean && before !== null && before !== undefined && isDurable(before);
  }

  async #play(step: Step, at: number): Promise<Difference | null> {
    this.#foresee(step);
    const began = Date.now();
    await this.#bounded((side) => side.play(step));
    for (;;) {
      await this.#bounded((side) => side.settle());
      const difference = this.#look(step, at);
      if (difference === null) break;
      if (Date.now() - began > this.#patienceMs) return difference;
    }
    if (this.#hasWill) await this.#bounded((side) => side.retained());
    this.#hasWill = false;
    if (step.do === "release" || step.do === "connect" || step.do === "resend") this.#isLate[step.who] = false;
    return null;
  }

  /** What the step means for what is compared, before it is played. */
  #foresee(step: Step): void {
    const { who } = step;
    const wasUp = this.#isUp(who);
    switch (step.do) {
      case "connect": {
        const will = wasUp ? this.#wills[who] : null;
        if (will) {
          this.#willSent(will);
          this.#ownWills[who]!.add(will.name);
          if (this.#outlives(step)) this.#takeoverWills.add(will.name);
        }
        if (!this.#outlives(step)) this.#forget(who);
        this.#hellos[who] = step;
        this.#wills[who] = step.will;
        if (step.will?.retain) this.#retained.add(step.will.topic);
        this.#holds[who] = false;
        return;
      }
      case "subscribe":
        for (const request of step.requests) this.#filters[who]!.set(request.filter, request);
        return;
      case "unsubscribe":
        for (const filter of step.filters) this.#filters[who]!.delete(filter);
        return;
      case "publish":
        return this.#sent(step.messages);
      case "resend":
        this.#holds[who] = false;
        this.#sent([step.message]);
        return this.#lost(who);
      case "cut":
        return this.#lost(who);
      case "disconnect":
        if (!step.withWill) this.#wills[who] = null;
        this.#lost(who);
        if (step.expiry === 0) this.#forget(who);
        return;
      case "hold":
        this.#holds[who] = true;
        this.#isLate[who] = this.#hellos[who]!.receiveMax !== null;
        return;
      case "release":
        this.#holds[who] = false;
        return;
      default:
    }
  }

  #lost(who: number): void {
    const will = this.#wills[who];
    this.#wills[who] = null;
    this.#holds[who] = false;
    if (will) {
      this.#willSent(will);
      this.#missed[who]!.add(will.name);
    }
    if (!isDurable(this.#hellos[who]!)) this.#forget(who);
  }

  /** The session is over: what it was sent and had not answered is not to be looked at. */
  #forget(who: number): void {
    if (this.#isLate[who]) for (const side of this.#sides) side.actors[who]!.seen = [];
    this.#isLate[who] = false;
    this.#filters[who]!.clear();
    const hello = this.#hellos[who];
    if (hello) this.#hellos[who] = { ...hello, clean: true, expiry: 0 };
  }

  #willSent(will: Sent): void {
    this.#sent([will]);
    this.#hasWill = will.retain;
  }

  #sent(messages: readonly Sent[]): void {
    for (const { name, topic, retain, empty } of messages) {
      if (retain) this.#retained.add(topic);
      for (let who = 1; who <= actors; who++) {
        if (!this.#isUp(who)) this.#missed[who]!.add(empty ? `nothing on ${topic}` : name);
      }
    }
  }

  #look(step: Step, at: number): Difference | null {
    for (let who = 0; who <= actors; who++) {
      // a client that answers late, and whose window is full, is looked at when it has answered
      if (this.#isLate[who] && (this.#holds[who] || !this.#isUp(who))) continue;
      const [reference, subject] = this.#sides.map((side) => side.actors[who]!.seen) as [never, never];
      const used = compare(reference, subject, this.#about(who, step));
      if (used === null) return { at, who, reference: linesOf(reference), subject: linesOf(subject) };
      for (const name of used) this.#explained.set(name, (this.#explained.get(name) ?? 0) + 1);
      for (const side of this.#sides) side.actors[who]!.seen = [];
    }
    return null;
  }

  #about(who: number, step: Step): Circumstances {
    const isTakeoverWill = (name: string): boolean => this.#takeoverWills.has(name) || this.#ownWills[who]!.has(name);
    return {
      missed: this.#missed[who]!,
      isTakeoverWill,
      isLate: this.#isLate[who]!,
      isSubscribing: step.do === "subscribe" && step.who === who,
      copies: (name) => this.#sides[1].actors[who]!.copies.get(name) ?? 0,
    };
  }

  async #bounded(act: (side: Side) => Promise<void>): Promise<void> {
    const late = setTimeout(() => {
      for (const side of this.#sides) side.fail(new Error(`the ${side.label} does not answer`));
    }, stepMs);
    try {
      await Promise.all(this.#sides.map(act));
    } finally {
      clearTimeout(late);
    }
  }
}

const isOfFive = ({ noLocal, retainAsPublished }: SubscriptionRequest): boolean => noLocal || retainAsPublished;

const linesOf = (list: Parameters<typeof lineOf>[0][]): readonly string[] => list.map(lineOf);

/** Plays these steps on both; a broker that does not answer is a difference, too. */
export async function play(
  ports: Ports,
  steps: readonly Step[],
  version: Version,
  patience = patienceMs,
): Promise<Outcome> {
  try {
    return await new Scenario(ports, version, patience).run(steps);
  } catch (error) {
    const words = [`${error instanceof Error ? error.message : error}`];
    const difference = { at: steps.length - 1, who: 0, reference: [], subject: words };
    return { steps: steps.length, explained: new Map(), difference };
  }
}

/** Leaves steps out, half of them first, then fewer at a time, as long as there is a difference. */
export async function shrink(ports: Ports, steps: readonly Step[], version: Version): Promise<readonly Step[]> {
  let left = steps;
  for (let size = Math.ceil(left.length / 2); size > 0; ) {
    let shrunk = false;
    for (let at = 0; at < left.length; ) {
      const fewer = [...left.slice(0, at), ...left.slice(at + size)];
      const { difference } = await play(ports, fewer, version, shrinkingMs);
      if (difference === null) at += size;
      else {
        left = fewer.slice(0, difference.at + 1);
        shrunk = true;
      }
    }
    if (size === 1 && !shrunk) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return left;
}

export interface Search {
  readonly from: number;
  /** Steps that are to be played, all seeds together. */
  readonly steps: number;
  readonly versions: readonly Version[];
  /** Milliseconds after which no other seed is begun. */
  readonly withinMs?: number;
  readonly stopAtFirst?: boolean;
  /** How long the two may differ before it counts. */
  readonly patienceMs?: number;
}

export interface Found {
  readonly seed: number;
  readonly difference: Difference;
  readonly steps: readonly Step[];
}

export interface Report {
  readonly seeds: number;
  readonly steps: number;
  readonly explained: ReadonlyMap<string, number>;
  readonly found: readonly Found[];
}

/** Steps of one scenario: long enough for a session to have a past. */
const stepsOfOne = 80;

export const scenarioOf = (seed: number, versions: readonly Version[]): readonly Step[] =>
  generate(seed, { versions, steps: stepsOfOne });

export const watcherVersion = (versions: readonly Version[]): Version => (versions.includes(5) ? 5 : 4);

/** Seed after seed until there were enough steps. */
export async function search(ports: Ports, options: Search): Promise<Report> {
  const explained = new Map<string, number>(rules.map(({ name }) => [name, 0]));
  const found: Found[] = [];
  const end = Date.now() + (options.withinMs ?? Number.POSITIVE_INFINITY);
  const version = watcherVersion(options.versions);
  let [steps, seeds] = [0, 0];
  for (let seed = options.from; steps < options.steps && Date.now() < end; seed++, seeds++) {
    const scenario = scenarioOf(seed, options.versions);
    const outcome = await play(ports, scenario, version, options.patienceMs);
    steps += outcome.steps;
    for (const [name, count] of outcome.explained) explained.set(name, explained.get(name)! + count);
    if (outcome.difference === null) continue;
    found.push({ seed, difference: outcome.difference, steps: scenario });
    if (options.stopAtFirst) break;
  }
  return { seeds, steps, explained, found };
}

/** A difference with the scenario that shows it. */
export function tell(difference: Difference, steps: readonly Step[]): string {
  const { at, who, reference, subject } = difference;
  const script = steps.slice(0, at + 1).map((step) => `  ${JSON.stringify(step)}`);
  const side = (name: string, lines: readonly string[]): string[] => [
    `  ${name}:`,
    ...lines.map((line) => `    ${line}`),
  ];
  return [...script, `client ${who} was sent`, ...side("mosquitto", reference), ...side("here", subject)].join("\n");
}
