// Whether two brokers sent a client the same; what may differ is a rule with its reason, and is counted.
import type { Seen } from "./side.ts";

/** What is known about a client while its packets are compared. */
export interface Circumstances {
  /** Messages that were published while the client had no connection. */
  readonly missed: ReadonlySet<string>;
  /** The will at a takeover that the session outlived, or the client's own at any. */
  readonly isTakeoverWill: (name: string) => boolean;
  /** Several steps are compared at once, in which the client answered late and had a receive maximum. */
  readonly isLate: boolean;
  /** It has just subscribed: what is retained comes once for each subscription. */
  readonly isSubscribing: boolean;
  /** Copies of a QoS 2 message that the subject sent the client. */
  readonly copies: (name: string) => number;
}

/** How the names of messages begin that have no payload, and so no name of their own. */
export const nameless = "nothing on ";

/** Messages as they came, and all else as it came: of two kinds of packets no order is promised. */
interface View {
  readonly publishes: readonly Seen[];
  readonly others: readonly Seen[];
}

interface Rule {
  readonly name: string;
  readonly reason: string;
  /** Both as far as the rule has them alike. The first is the reference. */
  readonly apply: (reference: View, subject: View, about: Circumstances) => readonly [View, View];
}

const each =
  (change: (view: View, about: Circumstances) => View): Rule["apply"] =>
  (reference, subject, about) => [change(reference, about), change(subject, about)];

export const rules: readonly Rule[] = [
  {
    name: "order",
    reason: "order is promised for the messages of one client on one topic with one QoS alone [MQTT-4.6.0-6]",
    apply: each(({ publishes, others }) => ({ publishes: byStream(publishes), others: byStream(others) })),
  },
  {
    name: "nobody listens",
    reason: "a server may say 0x10 for a message that matched nobody, or 0x00 (MQTT5 3.4.2.1)",
    apply: each(({ publishes, others }) => {
      const plainCode = (one: Seen): Seen =>
        /^pub(?:ack|rec)$/.test(one.kind) && one.text === "code 16" ? { ...one, text: "code 0" } : one;
      return { publishes, others: others.map(plainCode) };
    }),
  },
  {
    name: "no farewell",
    reason: "mosquitto 2.0 closes a connection that was taken over without the DISCONNECT 0x8E of [MQTT-3.1.4-3]",
    apply: (reference, { publishes, others }) => {
      const told = others.filter(({ kind, text }) => !(kind === "disconnect" && text === "code 142"));
      return [reference, { publishes, others: reference.others.some(({ kind }) => kind === "closed") ? told : others }];
    },
  },
  {
    name: "remaining lifetime",
    reason: "the lifetime of a message is told less the seconds it waited [MQTT-3.3.2-6]",
    apply: each(({ publishes, others }) => ({ publishes: publishes.map(roundLifetime), others })),
  },
  {
    name: "one copy",
    reason: "overlapping subscriptions get one copy or one each, the server's choice (MQTT5 3.3.4)",
    apply: (reference, subject, { isSubscribing, copies }) => {
      const isSingle = new Set<string>();
      for (const [name, list] of groupsOf(subject.publishes)) if (list.length === 1) isSingle.add(name);
      const publishes = [...groupsOf(reference.publishes)].flatMap(([name, list]) => {
        if (isSubscribing) return list;
        if (isSingle.has(name)) return [mergeCopies(list)];
        // the same message as it was published and as what was retained, in the order in which the subject has them
        const own = subject.publishes.filter((one) => one.name === name);
        return [...new Set([...own, ...list].map(({ retain }) => retain))].flatMap((retain) => {
          const those = list.filter((one) => one.retain === retain);
          const isOne = own.filter((one) => one.retain === retain).length === 1;
          return isOne && those.length > 0 ? [mergeCopies(those)] : those;
        });
      });
      const others = releasedOnce(reference.others, (name) => copies(name) === 1 || name.startsWith(nameless));
      const merged = { publishes: byStream(publishes), others };
      // a QoS 0 copy is not sent again, and what it adds with it: one copy has it all the same
      const less = lessCopies(publishes, subject.publishes, ({ dup }) => dup);
      return [merged, { ...subject, publishes: byStream(less) }];
    },
  },
  {
    name: "identifiers again",
    reason: "what is sent again is read again, and has the identifiers that its subscriptions have by then (MQTT5 4.4)",
    apply: (reference, subject) => {
      // one of them may have sent for the first time what the other one sends again: it was cut off in between
      const again = new Set([...reference.publishes, ...subject.publishes].filter(({ dup }) => dup).map(nameIn));
      const less = ({ publishes, others }: View): View => {
        return { publishes: publishes.map((one) => (again.has(one.name) ? { ...one, ids: [] } : one)), others };
      };
      return [less(reference), less(subject)];
    },
  },
  {
    name: "QoS 0 while away",
    reason: "a server may keep QoS 0 messages for a client that is away, or not (MQTT5 4.1, 3.1.1 3.1.2.4)",
    apply: (reference, subject, { missed }) => {
      const isKept = ({ qos, name }: Seen): boolean => qos > 0 || !missed.has(name);
      const kept = [reference.publishes.filter(isKept), subject.publishes.filter(isKept)] as const;
      // the copy of a QoS 0 subscription was not kept, and what it adds with it: one copy has it all the same
      const subjects = lessCopies(...kept, ({ name }) => missed.has(name));
      return [
        { ...reference, publishes: kept[0] },
        { ...subject, publishes: subjects },
      ];
    },
  },
  {
    name: "will at takeover",
    reason:
      "mosquitto publishes no will at a takeover that the session outlives, against MQTT5 3.1.4; " +
      "at others it still sends it to the connection that it closes",
    apply: each(({ publishes, others }, { isTakeoverWill }) => {
      const isOther = ({ name }: Seen): boolean => !isTakeoverWill(name);
      return { publishes: publishes.filter(isOther), others: others.filter(isOther) };
    }),
  },
  {
    name: "which ones wait",
    reason: "of messages on several topics, which ones fill a receive maximum is the server's choice (MQTT5 4.6)",
    apply: each((view, { isLate }) => (isLate ? settledOnly(view) : view)),
  },
];

/** Topic, publisher and its QoS make a stream; the last steps of a QoS 2 exchange are each message's own. */
function streamOf({ kind, name, topic }: Seen): string {
  if (kind === "pubrel" || kind === "pubcomp") return `${kind} ${name}`;
  return kind === "publish" ? `${topic}\n${name.slice(0, name.indexOf("n"))}` : kind;
}

function byStream(list: readonly Seen[]): readonly Seen[] {
  const streams = new Map<string, Seen[]>();
  for (const one of list) {
    const key = streamOf(one);
    const stream = streams.get(key);
    if (stream === undefined) streams.set(key, [one]);
    else stream.push(one);
  }
  return [...streams].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, stream]) => copiesTogether(stream));
}

/** Copies of one message have no order among each other. */
function copiesTogether(stream: readonly Seen[]): readonly Seen[] {
  if (stream.length === 1 || stream[0]!.kind !== "publish") return stream;
  const groups = [...groupsOf(stream).values()];
  const order = (a: Seen, b: Seen): number =>
    a.qos - b.qos || Number(a.retain) - Number(b.retain) || a.ids.join().localeCompare(b.ids.join());
  for (const copies of groups) copies.sort(order);
  return groups.flat();
}

const nameIn = ({ name }: Seen): string => name;

/** Copies of one message that came for the same reason: as it was published, or as what was retained. */
function groupsOf(publishes: readonly Seen[]): ReadonlyMap<string, Seen[]> {
  const groups = new Map<string, Seen[]>();
  for (const one of publishes) {
    const group = groups.get(one.name);
    if (group === undefined) groups.set(one.name, [one]);
    else group.push(one);
  }
  return groups;
}

/**
 * The subject's messages with no more identifiers than the reference's, and RETAIN no more often, where `may` says so:
 * what a copy would have had that the reference did not send.
 */
function lessCopies(
  reference: readonly Seen[],
  subject: readonly Seen[],
  may: (one: Seen) => boolean,
): readonly Seen[] {
  return subject.map((one) => {
    if (!may(one)) return one;
    const copies = reference.filter(({ name, qos }) => name === one.name && qos === one.qos);
    if (copies.some((copy) => lineOf(copy) === lineOf(one))) return one;
    const fewer = copies.find(({ ids }) => ids.every((id) => one.ids.includes(id)));
    return fewer === undefined ? one : { ...one, ids: fewer.ids, retain: one.retain && fewer.retain };
  });
}

function mergeCopies(copies: readonly Seen[]): Seen {
  const [first] = copies;
  const ids = [...new Set(copies.flatMap((one) => one.ids))].sort((a, b) => a - b);
  const qos = Math.max(...copies.map((one) => one.qos)) as Seen["qos"];
  return { ...first!, ids, qos, retain: copies.some((one) => one.retain) };
}

/** One PUBREL instead of one for each copy, where there is one copy. */
function releasedOnce(others: readonly Seen[], isSingle: (name: string) => boolean): readonly Seen[] {
  const released = new Set<string>();
  return others.filter(({ kind, name }) => {
    if (kind !== "pubrel" || !isSingle(name)) return true;
    const isFirst = !released.has(name);
    released.add(name);
    return isFirst;
  });
}

function roundLifetime(one: Seen): Seen {
  const { messageExpiry } = one.properties;
  if (messageExpiry === undefined) return one;
  return { ...one, properties: { ...one.properties, messageExpiry: Math.ceil(messageExpiry / 1_000) * 1_000 } };
}

/** Each message once, however often it was sent, and released once. */
function settledOnly({ publishes, others }: View): View {
  const once = [...groupsOf(publishes).values()].map((copies) => {
    return { ...mergeCopies(copies), dup: false, properties: {} }; // it may have come back as 3.1.1
  });
  return { publishes: byStream(once), others: releasedOnce(others, () => true) };
}

/** What a reader sees of it. */
export function lineOf({ kind, name, text, topic, qos, retain, dup, ids, properties }: Seen): string {
  if (kind !== "publish") return [kind, name, text].filter((part) => part !== "").join(" ");
  const flags = `q${qos}${retain ? " retain" : ""}${dup ? " dup" : ""}`;
  const entries = Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1));
  const told = entries.map(([key, value]) => ` ${key}=${value instanceof Uint8Array ? [...value] : String(value)}`);
  return `publish ${name} on ${topic} ${flags} ids ${ids.join() || "-"}${told.join("")}`;
}

const viewOf = (list: readonly Seen[]): View => ({
  publishes: list.filter(({ kind }) => kind === "publish"),
  others: list.filter(({ kind }) => kind !== "publish"),
});

const textOf = ({ publishes, others }: View): string => [...publishes, ...others].map(lineOf).join("\n");

/** Names of the rules it took to have both alike; null: they are not. */
export function compare(
  reference: readonly Seen[],
  subject: readonly Seen[],
  about: Circumstances,
): readonly string[] | null {
  const used: string[] = [];
  let views: readonly [View, View] = [viewOf(reference), viewOf(subject)];
  let texts = views.map(textOf);
  if (texts[0] === texts[1]) return used;
  for (const { name, apply } of rules) {
    views = apply(...views, about);
    const next = views.map(textOf);
    if (next[0] !== texts[0] || next[1] !== texts[1]) used.push(name);
    if (next[0] === next[1]) return used;
    texts = next;
  }
  return null;
}
