// Steps of a differential scenario as plain data, and a seeded generator of them.
import type { Properties, Qos, RetainHandling, SubscriptionRequest, Version } from "../../../bridge/wire/packet.ts";
import { seeded } from "../../sim/clock.ts";

export interface Sent {
  /** Unlike any other message of its scenario; it is the payload. */
  readonly name: string;
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Without a payload, which removes a retained message. */
  readonly empty: boolean;
  readonly properties: Properties;
  /** Topic alias, 0: none. */
  readonly alias: number;
}

export interface ConnectStep {
  readonly do: "connect";
  readonly who: number;
  readonly version: Version;
  readonly clean: boolean;
  readonly keepAlive: number;
  /** Seconds; null: not there (0 in 5). */
  readonly expiry: number | null;
  readonly receiveMax: number | null;
  readonly aliasMax: number | null;
  readonly will: Sent | null;
}

/** A step that does not apply, as to a client that is not connected, is passed over. */
export type Step =
  | ConnectStep
  /** `expiry`: null leaves it as it is. */
  | { readonly do: "disconnect"; readonly who: number; readonly withWill: boolean; readonly expiry: number | null }
  | { readonly do: "cut"; readonly who: number }
  | {
      readonly do: "subscribe";
      readonly who: number;
      readonly requests: readonly SubscriptionRequest[];
      readonly id: number;
    }
  | { readonly do: "unsubscribe"; readonly who: number; readonly filters: readonly string[] }
  | { readonly do: "publish"; readonly who: number; readonly messages: readonly Sent[] }
  /** QoS 2: cut after PUBREC, connected again, sent again with DUP, completed. */
  | { readonly do: "resend"; readonly who: number; readonly message: Sent }
  /** From now on this client answers no PUBLISH (`publish`) or no PUBREL (`pubrel`). */
  | { readonly do: "hold"; readonly who: number; readonly stage: "publish" | "pubrel" }
  | { readonly do: "release"; readonly who: number };

/** Clients that act, 1 to `actors`; client 0 watches everything. */
export const actors = 4;

export const watcher: readonly SubscriptionRequest[] = ["#", "$data/#"].map((filter) => {
  return { filter, qos: 1, noLocal: false, retainAsPublished: true, retainHandling: 2 };
});

export interface GeneratorOptions {
  readonly versions: readonly Version[];
  readonly steps: number;
}

class Generator {
  readonly #random: () => number;
  readonly #versions: readonly Version[];
  readonly #version: Version[] = [];
  readonly #isUp: boolean[] = [];
  readonly #isHolding: boolean[] = [];
  /** Filters a client is likely to have. */
  readonly #filters: string[][] = [];
  readonly #recent: string[] = [];
  #names = 0;

  constructor(seed: number, versions: readonly Version[]) {
    this.#random = seeded(Math.imul(seed, 0x9e37_79b1) ^ 0x5bd1_e995);
    this.#versions = versions;
    for (let who = 0; who <= actors; who++) this.#filters.push([]);
  }

  next(): Step {
    const who = 1 + this.#int(actors);
    if (!this.#isUp[who]) return this.#connect(who);
    // what is sent again is what a client had not answered
    if (this.#isHolding[who] && this.#chance(0.15)) return this.#gone({ do: "cut", who });
    const draw = this.#random();
    if (draw < 0.46) return { do: "publish", who, messages: this.#burst(who) };
    if (draw < 0.68) return this.#subscribe(who);
    if (draw < 0.74) return this.#unsubscribe(who);
    if (draw < 0.77) return this.#resend(who);
    if (draw < (this.#isHolding[who] ? 0.8 : 0.86)) return this.#hold(who);
    if (draw < 0.9) return this.#connect(who); // a takeover
    if (draw < 0.95) return this.#gone({ do: "cut", who });
    const isFive = this.#version[who] === 5;
    const expiry = isFive && this.#chance(0.2) ? 0 : null;
    return this.#gone({ do: "disconnect", who, withWill: isFive && this.#chance(0.3), expiry });
  }

  #gone(step: Step): Step {
    this.#isUp[step.who] = false;
    this.#isHolding[step.who] = false;
    return step;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(list.length)]!;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #qos(): Qos {
    return this.#int(3) as Qos;
  }

  #connect(who: number): ConnectStep {
    const version = this.#chance(0.8) && this.#version[who] ? this.#version[who] : this.#pick(this.#versions);
    this.#version[who] = version;
    this.#isUp[who] = true;
    this.#isHolding[who] = false;
    const clean = this.#chance(0.25);
    const expiry = version === 5 && this.#chance(0.75) ? this.#pick([1_000, 1_000, 100_000, 0xffff_ffff, 0]) : null;
    return {
      do: "connect",
      who,
      version,
      clean,
      keepAlive: this.#pick([0, 60, 1_200]),
      expiry,
      receiveMax: version === 5 && this.#chance(0.3) ? 1 + this.#int(3) : null,
      aliasMax: version === 5 && this.#chance(0.4) ? this.#int(4) : null,
      will: this.#chance(0.3) ? { ...this.#message(who, this.#qos(), version, 0.1), empty: false } : null,
    };
  }

  /** One QoS 2 or a mixture of the others: a QoS 2 message may be handed on at its PUBLISH or at its PUBREL. */
  #burst(who: number): readonly Sent[] {
    const isTwo = this.#chance(0.3);
    const count = this.#chance(0.7) ? 1 : 2 + this.#int(3);
    const emptied = new Set<string>();
    return Array.from({ length: count }, () => {
      const qos = isTwo ? 2 : (this.#int(2) as Qos);
      const message = this.#message(who, qos, this.#version[who]!, 0.25);
      if (!message.empty) return message;
      // two messages without a payload on one topic could not be told from copies of one
      const empty = !emptied.has(message.topic);
      emptied.add(message.topic);
      return { ...message, empty };
    });
  }

  #message(who: number, qos: Qos, version: Version, retained: number): Sent {
    const retain = this.#chance(retained);
    const topic = this.#topic();
    const alias = version === 5 && this.#chance(0.2) ? 1 + this.#int(3) : 0;
    const properties = version === 5 && this.#chance(0.35) ? this.#properties() : {};
    const empty = retain ? this.#chance(0.3) : this.#chance(0.02);
    return { name: `${who}q${qos}n${++this.#names}`, topic, qos, retain, empty, properties, alias };
  }

  #properties(): Properties {
    const userProperties = Array.from({ length: this.#int(3) }, () => {
      return [this.#pick(["k", "k", "", "é"]), this.#pick(["v", "", "w"])] as const;
    });
    return {
      ...(this.#chance(0.3) ? { payloadFormat: 1 as const } : {}),
      ...(this.#chance(0.3) ? { messageExpiry: 1_000_000 } : {}),
      ...(this.#chance(0.3) ? { contentType: this.#pick(["text/plain", ""]) } : {}),
      ...(this.#chance(0.3) ? { responseTopic: "answers/here" } : {}),
      ...(this.#chance(0.3) ? { correlationData: Uint8Array.of(0, 1, 255) } : {}),
      ...(userProperties.length > 0 ? { userProperties } : {}),
    };
  }

  #level(): string {
    return this.#pick(["a", "a", "a", "b", "b", "c", "", "zé"]);
  }

  #topic(): string {
    if (this.#recent.length > 0 && this.#chance(0.5)) return this.#pick(this.#recent);
    const topic = this.#newTopic();
    this.#recent.push(topic);
    return topic;
  }

  #newTopic(): string {
    const draw = this.#random();
    if (draw < 0.03) return Array.from({ length: 10 + this.#int(15) }, () => this.#level()).join("/");
    if (draw < 0.06) return this.#pick(["/", "//", "a/", "/a", "a//b", "/a/", "//a", "$data", "$data/", "a/$data"]);
    const levels = Array.from({ length: 1 + this.#int(4) }, () => this.#level());
    if (draw < 0.16) levels.unshift("$data");
    const topic = levels.join("/");
    return topic === "" ? "/" : topic;
  }

  #filter(): string {
    const draw = this.#random();
    if (draw < 0.04) return this.#pick(["#", "+", "+/+", "/#", "+/#", "/+", "$data/#", "$data/+", "+/a", "a/#/"]);
    const levels = this.#topic().split("/");
    for (let at = 0; at < levels.length; at++) if (this.#chance(0.25)) levels[at] = "+";
    if (this.#chance(0.3)) levels.splice(this.#int(levels.length + 1), Infinity, "#");
    return levels.join("/");
  }

  #subscribe(who: number): Step {
    const isFive = this.#version[who] === 5;
    const requests = Array.from({ length: this.#chance(0.7) ? 1 : 2 + this.#int(2) }, () => {
      const known = this.#filters[who]!;
      let filter = known.length > 0 && this.#chance(0.2) ? this.#pick(known) : this.#filter();
      if (filter.endsWith("#/")) filter = "a/#";
      known.push(filter);
      return {
        filter,
        qos: this.#qos(),
        noLocal: isFive && this.#chance(0.2),
        retainAsPublished: isFive && this.#chance(0.3),
        retainHandling: (isFive && this.#chance(0.5) ? this.#int(3) : 0) as RetainHandling,
      };
    });
    return { do: "subscribe", who, requests, id: isFive && this.#chance(0.5) ? 1 + this.#int(300) : 0 };
  }

  #unsubscribe(who: number): Step {
    const known = this.#filters[who]!;
    const filters = Array.from({ length: 1 + this.#int(2) }, () => {
      return known.length > 0 && this.#chance(0.8) ? this.#pick(known) : "a/+";
    });
    return { do: "unsubscribe", who, filters };
  }

  #resend(who: number): Step {
    return { do: "resend", who, message: { ...this.#message(who, 2, this.#version[who]!, 0.2), alias: 0 } };
  }

  #hold(who: number): Step {
    const isHolding = this.#isHolding[who] ?? false;
    this.#isHolding[who] = !isHolding;
    if (isHolding) return { do: "release", who };
    return { do: "hold", who, stage: this.#chance(0.7) ? "publish" : "pubrel" };
  }
}

export function generate(seed: number, { versions, steps }: GeneratorOptions): readonly Step[] {
  const generator = new Generator(seed, versions);
  return Array.from({ length: steps }, () => generator.next());
}
