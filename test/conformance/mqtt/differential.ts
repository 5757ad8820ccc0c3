// Plays scenarios on two brokers and compares, step by step, what every client was sent; shrinks one that differs.
import type { SubscriptionRequest, Version } from "../../../bridge/wire/packet.ts";
import { filterMatches } from "../../../bridge/match/filter.ts";
import { type Circumstances, compare, lineOf, nameless } from "./compare.ts";
import { actors, type ConnectStep, type Sent, type Step } from "./scenario.ts";
import { isDurable, type Seen, Side } from "./side.ts";

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
  /** What clients were sent by the reference, by kind. */
  readonly seen: ReadonlyMap<string, number>;
  readonly difference: Difference | null;
}

export interface Ports {
  readonly reference: number;
  readonly subject: number;
}

/** How long two brokers may differ before it counts: the slower one may be on its way to its disk. */
const patienceMs = 3_000;
/** Without an answer for so long, a step hangs. */
const stepMs = 15_000;

let scenarios = 0;

class Scenario {
  readonly #sides: readonly [Side, Side];
  readonly #explained = new Map<string, number>();
  readonly #seen = new Map<string, number>();
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
    return { steps: this.#steps, explained: this.#explained, seen: this.#seen, difference };
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
    if (step.do === "resend") return isDurable(hello) && !this.#wouldShow(who, step.message);
    // what waits in a log is not what it was once subscriptions change (MQTT5 3.10.4)
    if ((step.do === "subscribe" || step.do === "unsubscribe") && this.#isLate[who]) return false;
    // 3.1.1 cannot say what a subscription of 5 has that it replaces (`playable`)
    if (step.do === "subscribe") return hello.version === 5 || !step.requests.some(isOfFive);
    if (step.do === "hold") return !this.#holds[who];
    if (step.do === "release") return this.#holds[who]!;
    return step.do !== "disconnect" || hello.version === 5 || !step.withWill;
  }

  /** Whether a client that is cut off amid a QoS 2 exchange would see if its message is handed on before or after. */
  #wouldShow(who: number, { topic }: Sent): boolean {
    const comesBack = [...this.#filters[who]!.keys()].some((filter) => filterMatches(filter, topic));
    return comesBack || this.#holds[who]! || this.#wills[who] !== null;
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
        if (!this.#isUp(who)) this.#missed[who]!.add(empty ? nameless + topic : name);
      }
    }
  }

  #look(step: Step, at: number): Difference | null {
    for (let who = 0; who <= actors; who++) {
      // a client that answers late, and whose window is full, is looked at when it has answered
      if (this.#isLate[who] && (this.#holds[who] || !this.#isUp(who))) continue;
      const [reference, subject] = this.#sides.map((side) => side.actors[who]!.seen) as [Seen[], Seen[]];
      const used = compare(reference, subject, this.#about(who, step));
      if (used === null) return { at, who, reference: linesOf(reference), subject: linesOf(subject) };
      for (const name of used) add(this.#explained, name, 1);
      for (const one of reference) for (const kind of kindsOf(one)) add(this.#seen, kind, 1);
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

const linesOf = (list: readonly Seen[]): readonly string[] => list.map(lineOf);

export function add(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

/** What a packet shows that scenarios come to. */
function kindsOf({ kind, text, qos, retain, dup, ids, properties }: Seen): readonly string[] {
  if (kind === "connack") return [text.endsWith("present") ? "session present" : "session new"];
  if (kind === "closed") return ["taken over"];
  if (kind !== "publish") return [kind];
  return [
    `QoS ${qos}`,
    ...(retain ? ["RETAIN"] : []),
    ...(dup ? ["DUP"] : []),
    ...(ids.length > 0 ? ["with identifiers"] : []),
    ...(Object.keys(properties).length > 0 ? ["with properties"] : []),
  ];
}

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
    return { steps: steps.length, explained: new Map(), seen: new Map(), difference };
  }
}
