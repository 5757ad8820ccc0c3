// The life of a session: connections, takeover, wills, expiry, keep alive, and packets out of place.
import assert from "node:assert/strict";
import test from "node:test";
import { admit } from "../../../bridge/session/admit.ts";
import { checkConnect } from "../../../bridge/session/connect.ts";
import type { SessionEffect } from "../../../bridge/session/effects.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { Session } from "../../../bridge/session/session.ts";
import { single } from "../../../bridge/match/merged.ts";
import {
  type Connect,
  type Packet,
  type Properties,
  Reason,
  type Version,
  type Will,
} from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

const will: Will = { topic: "w", payload: Uint8Array.of(1), qos: 1, retain: false, properties: {} };
const delayed = (willDelay: number): Will => ({ ...will, properties: { willDelay } });
const deps = { budget: { used: 0, max: 1e6 }, tailOf: () => 0 };

/** One client id, whose stores end at once unless they are held. */
class Client {
  session: Session | null = null;
  now = 1_000_000;
  holdsStores = false;
  tickets: number[] = [];

  shown(effects: readonly SessionEffect[]): string[] {
    return effects.flatMap((effect) => {
      switch (effect.kind) {
        case "send": {
          const { packet } = effect;
          const code = "code" in packet && packet.code !== 0 ? ` ${packet.code.toString(16)}` : "";
          if (packet.kind === "connack") return `connack${packet.sessionPresent ? " present" : ""}${code}`;
          if (packet.kind === "suback" || packet.kind === "unsuback") return `${packet.kind} ${packet.codes}`;
          return `${packet.kind}${code}`;
        }
        case "store": {
          if (this.holdsStores) {
            this.tickets.push(effect.ticket);
            return [];
          }
          const more: SessionEffect[] = [];
          this.session?.onStored(effect.ticket, this.now, more);
          return this.shown(more);
        }
        case "await": {
          const more: SessionEffect[] = [];
          this.session?.onReady(effect.ticket, more);
          return this.shown(more);
        }
        case "publish": {
          const { message, terms } = effect;
          return `publish ${message.topic} q${terms.qos}${terms.retain ? " retain" : ""}`;
        }
        case "publishWill":
          return `will ${effect.message.topic}`;
        case "subscribe":
        case "unsubscribe":
        case "retained":
          return `${effect.kind} ${effect.filter}`;
        case "keepWill":
          return effect.dueAt === null ? "keepWill" : `keepWill +${effect.dueAt - this.now}`;
        default:
          return effect.kind;
      }
    });
  }

  run(call: (session: Session, effects: SessionEffect[]) => void): string[] {
    const effects: SessionEffect[] = [];
    call(this.session!, effects);
    return this.shown(effects);
  }

  connect(version: Version, more: Partial<Connect> = {}): string[] {
    const base = {
      clientId: "c",
      will: null,
      username: null,
      password: null,
      keepAlive: 60,
      clean: false,
      properties: {},
    };
    const checked = checkConnect({ kind: "connect", version, ...base, ...more }, "fresh");
    assert.ok(checked.kind === "admit");
    let told: string[] = [];
    const { session, effects } = admit(
      this.session,
      checked.admission,
      (filter) => filter !== "secret",
      () => new Session("c", deps, this.now),
      this.now,
      (before) => {
        told = this.shown(before).map((line) => `old: ${line}`);
      },
    );
    this.session = session;
    return [...told, ...this.shown(effects)];
  }

  send(...packets: Packet[]): string[] {
    return this.run((session, effects) => session.receive(packets, this.now, effects));
  }

  disconnect(code = 0, properties: Properties = {}): string[] {
    return this.send({ kind: "disconnect", code, properties });
  }

  subscribe(filter: string, qos: 0 | 1 | 2 = 1): string[] {
    const options = { qos, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
    return this.send({ kind: "subscribe", packetId: 1, subscriptions: [{ filter, ...options }], properties: {} });
  }

  lose(): string[] {
    return this.run((session, effects) => session.connectionLost(this.now, effects));
  }

  after(ms: number): string[] {
    this.now += ms;
    return this.run((session, effects) => session.tick(this.now, effects));
  }
}

const kept = (sessionExpiry: number): Partial<Connect> => ({ properties: { sessionExpiry } });

test("a session with an expiry is found again within it, and not after", () => {
  const client = new Client();
  assert.deepEqual(client.connect(5, kept(10)), ["connack"]);
  client.subscribe("a");
  assert.deepEqual(client.lose(), []);
  assert.equal(client.session!.deadline, client.now + 10_000);
  assert.deepEqual(client.after(9_999), []);
  assert.deepEqual(client.connect(5, kept(10)), ["connack present"]);
  client.lose();
  assert.deepEqual(client.after(10_000), ["unsubscribe a", "ended"]);
  assert.deepEqual(client.connect(5, kept(10)), ["connack"]);
});

test("a session that expired unnoticed is not found", () => {
  const client = new Client();
  client.connect(5, kept(10));
  client.lose();
  client.now += 10_000;
  assert.deepEqual(client.connect(5, kept(10)), ["old: ended", "connack"]);
});

test("3.1.1: Clean Session ends with the connection, the other one stays", () => {
  const client = new Client();
  assert.deepEqual(client.connect(4, { clean: true }), ["connack"]);
  assert.deepEqual(client.disconnect(), ["close", "ended"]);
  client.connect(4);
  client.lose();
  assert.deepEqual(client.connect(4), ["connack present"]);
  client.lose();
  assert.deepEqual(client.connect(4, { clean: true }), ["old: ended", "connack"]);
});

test("takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]", () => {
  const client = new Client();
  client.connect(5, kept(10));
  assert.deepEqual(client.connect(5, kept(10)), ["old: disconnect 8e", "old: close", "connack present"]);
  client.subscribe("a");
  assert.deepEqual(client.connect(4, { clean: true }), [
    "old: disconnect 8e",
    "old: close",
    "old: unsubscribe a",
    "old: ended",
    "connack",
  ]);
  assert.deepEqual(client.connect(4), ["old: close", "old: ended", "connack"], "3.1.1 is closed without a word");
});

test("a will is published when the connection is lost, once, and not after DISCONNECT 0x00", () => {
  const client = new Client();
  assert.deepEqual(client.connect(5, { will }), ["keepWill", "connack"]);
  assert.deepEqual(client.lose(), ["will w", "dropWill", "ended"]);
  client.connect(5, { will });
  assert.deepEqual(client.disconnect(0), ["dropWill", "close", "ended"]);
  client.connect(5, { will });
  assert.deepEqual(client.disconnect(Reason.disconnectWithWill), ["close", "will w", "dropWill", "ended"]);
  client.connect(4, { will });
  assert.deepEqual(client.disconnect(), ["dropWill", "close"], "3.1.1");
});

test("a will waits for its delay, or for the end of its session", () => {
  const client = new Client();
  client.connect(5, { ...kept(60), will: delayed(5) });
  assert.deepEqual(client.lose(), ["keepWill +5000"]);
  assert.deepEqual(client.after(4_999), []);
  assert.deepEqual(client.after(1), ["will w", "dropWill"]);
  client.connect(5, { ...kept(3), will: delayed(5) });
  assert.deepEqual(client.lose(), ["keepWill +3000"]);
  assert.deepEqual(client.after(3_000), ["will w", "dropWill", "ended"]);
});

test("a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9]", () => {
  const client = new Client();
  client.connect(5, { ...kept(60), will: delayed(5) });
  client.lose();
  assert.deepEqual(client.connect(5, kept(60)), ["dropWill", "connack present"]);
  client.lose();
  client.after(6_000);
  client.connect(5, { ...kept(60), will: delayed(5) });
  client.lose();
  assert.deepEqual(client.connect(5, { ...kept(60), clean: true }), [
    "old: will w",
    "old: dropWill",
    "old: ended",
    "connack",
  ]);
});

test("takeover and wills: published without a delay, not with one, and with Clean Start", () => {
  const client = new Client();
  client.connect(5, { ...kept(60), will });
  const first = client.connect(5, { ...kept(60), will: delayed(5) });
  assert.deepEqual(first.slice(2), ["old: will w", "old: dropWill", "keepWill", "connack present"]);
  const second = client.connect(5, kept(60));
  assert.deepEqual(second.slice(2), ["old: keepWill +5000", "dropWill", "connack present"]);
});

test("DISCONNECT changes the expiry, but keeps no session that was to end (MQTT5 3.14.2.2.2)", () => {
  const client = new Client();
  client.connect(5, kept(10));
  client.disconnect(0, { sessionExpiry: 20 });
  assert.equal(client.session!.deadline, client.now + 20_000);
  client.connect(5, kept(10));
  assert.deepEqual(client.disconnect(0, { sessionExpiry: 0 }), ["close", "ended"]);
  client.connect(5, { will });
  assert.deepEqual(client.disconnect(0, { sessionExpiry: 5 }), [
    "disconnect 82",
    "close",
    "will w",
    "dropWill",
    "ended",
  ]);
});

test("keep alive: nothing for one and a half is the end [MQTT-3.1.2-22]", () => {
  const client = new Client();
  client.connect(5, { keepAlive: 10, will });
  assert.deepEqual(client.after(14_999), []);
  assert.deepEqual(client.send({ kind: "pingreq" }), ["pingresp"]);
  assert.deepEqual(client.after(14_999), []);
  assert.deepEqual(client.after(1), ["disconnect 8d", "close", "will w", "dropWill", "ended"]);
  client.connect(4, { keepAlive: 0 });
  assert.equal(client.session!.deadline, null);
});

test("packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]", () => {
  const connect: Connect = {
    kind: "connect",
    version: 5,
    clean: true,
    keepAlive: 0,
    clientId: "c",
    will: null,
    username: null,
    password: null,
    properties: {},
  };
  const bad: Packet[] = [
    connect,
    { kind: "auth", code: 0x18, properties: {} },
    { kind: "pingresp" },
    { kind: "connack", sessionPresent: false, code: 0, properties: {} },
  ];
  for (const packet of bad) {
    const client = new Client();
    client.connect(5);
    assert.deepEqual(client.send({ kind: "pingreq" }, packet, { kind: "pingreq" }), [
      "pingresp",
      "disconnect 82",
      "close",
      "ended",
    ]);
    client.connect(4);
    assert.deepEqual(client.send(packet), ["close"]);
  }
});

test("CONNACK and SUBACK wait until a session that lasts is stored; packets meanwhile wait, too", () => {
  const client = new Client();
  client.holdsStores = true;
  assert.deepEqual(client.connect(5, kept(10)), []);
  assert.equal(client.session!.isFull, true);
  assert.deepEqual(client.send({ kind: "pingreq" }), []);
  const stored = () => client.run((session, effects) => session.onStored(client.tickets.shift()!, client.now, effects));
  assert.deepEqual(stored(), ["connack", "pingresp"]);
  assert.deepEqual(client.subscribe("a"), ["subscribe a"]);
  assert.deepEqual(client.subscribe("secret"), ["suback 135"], "nothing changed, nothing to store");
  assert.deepEqual(stored(), ["suback 1", "retained a"]);
  client.subscribe("b");
  client.lose();
  assert.equal(client.tickets.length, 2);
  client.connect(5, kept(10));
  assert.deepEqual(stored(), [], "the SUBACK of a connection that is gone");
  assert.deepEqual(stored(), []);
  assert.deepEqual(stored(), ["connack present"]);
});

test("a store that fails ends the connection", () => {
  const client = new Client();
  client.holdsStores = true;
  client.connect(5, kept(10));
  assert.deepEqual(
    client.run((session, effects) => session.onStoreFailed(client.now, effects)),
    ["close"],
    "no DISCONNECT before CONNACK",
  );
});

test("SUBSCRIBE and UNSUBSCRIBE of both versions", () => {
  const client = new Client();
  client.connect(5);
  assert.deepEqual(client.subscribe("a", 2), ["subscribe a", "suback 2", "retained a"]);
  const off = { kind: "unsubscribe", packetId: 3, filters: ["a", "b"], properties: {} } as const;
  assert.deepEqual(client.send(off), ["unsubscribe a", "unsuback 0,17"]);
  client.connect(4, { clean: true });
  assert.deepEqual(client.send(off), ["unsuback "]);
});

const message = (topic: string, more: Partial<Message> = {}): Message => {
  const rest = {
    payload: new Uint8Array(1),
    qos: 2,
    retain: true,
    properties: {},
    publisher: "p",
    expiresAt: null,
  } as const;
  return { topic, ...rest, ...more };
};

test("deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN", () => {
  const client = new Client();
  client.connect(5);
  const options = { qos: 1, noLocal: true, retainAsPublished: false, id: 0 } as const;
  const give = (of: Message, more = {}) =>
    client.run((session, effects) => session.deliverUnlogged(of, single({ ...options, ...more }), client.now, effects));
  assert.deepEqual(give(message("a")), ["publish a q1"]);
  assert.deepEqual(give(message("a", { qos: 0 }), { retainAsPublished: true }), ["publish a q0 retain"]);
  assert.deepEqual(give(message("a", { publisher: "c" })), []);
  assert.deepEqual(give(message("a", { publisher: "c" }), { noLocal: false }), ["publish a q1"]);
  const retained = client.run(
    (session, effects) => void session.deliverRetained(message("r"), options, client.now, effects),
  );
  assert.deepEqual(retained, ["publish r q1 retain"]);
});

test("an acknowledgement that 3.1.1 cannot refuse counts as waiting until the connection ends", () => {
  const client = new Client();
  client.connect(4);
  const publish = {
    kind: "publish",
    topic: "a",
    payload: new Uint8Array(),
    qos: 1,
    retain: false,
    dup: false,
    packetId: 1,
    properties: {},
  } as const;
  assert.deepEqual(client.send(publish), ["append"]);
  const commit = () =>
    client.run((session, effects) =>
      session.onCommitted([{ ticket: 1, code: Reason.notAuthorized }], client.now, effects),
    );
  assert.deepEqual(commit(), []);
  assert.equal(client.session?.inbound.oldestAt, client.now);
  client.connect(4);
  assert.equal(client.session?.inbound.oldestAt, null);
});

test("a commit that ends after the connection acknowledges nothing", () => {
  const client = new Client();
  client.connect(5, kept(10));
  const publish = {
    kind: "publish",
    topic: "a",
    payload: new Uint8Array(),
    qos: 2,
    retain: false,
    dup: false,
    packetId: 1,
    properties: {},
  } as const;
  client.send(publish);
  client.lose();
  const commit = client.run((session, effects) => session.onCommitted([{ ticket: 1, code: 0 }], client.now, effects));
  assert.deepEqual(commit, []);
  client.connect(5, kept(10));
  assert.deepEqual(client.send({ ...publish, dup: true }), ["pubrec"]);
  assert.deepEqual(client.send({ kind: "pubrel", packetId: 1, code: 0, properties: {} }), ["release"]);
  assert.deepEqual(
    client.run((session, effects) => session.onReleased(1, effects)),
    ["pubcomp"],
  );
});

test("redirect: where to go is told in 5 (MQTT5 4.11)", () => {
  const client = new Client();
  client.connect(5);
  const effects: SessionEffect[] = [];
  client.session!.disconnect(Reason.useAnotherServer, "hub-2:1883", client.now, effects);
  const [first] = effects;
  assert.ok(first?.kind === "send" && first.packet.kind === "disconnect");
  assert.deepEqual([first.packet.code, first.packet.properties.serverReference], [0x9c, "hub-2:1883"]);
});

test("a session comes back from its record with what it had, and its lifetime begins when its hub died", () => {
  const client = new Client();
  client.connect(5, kept(10));
  client.subscribe("a");
  const stored = client.session!.snapshot();
  assert.equal(stored.expiresAt, null);
  const again = new Client();
  again.session = new Session("c", deps, again.now, { session: stored, inboundIds: [], will: null });
  assert.equal(again.session.deadline, again.now + 10_000);
  assert.equal(again.session.subscriptions.size, 1);
  assert.deepEqual(again.connect(5, kept(10)), ["connack present"]);
});

test("a will that outlived its hub waits for its delay, and is not sent when the client is back", () => {
  const stored = {
    epoch: 0,
    expirySeconds: 60,
    expiresAt: null,
    subscriptions: [],
    outbound: { positions: [], flights: [] },
  };
  const client = new Client();
  const open = (will: Will, dueAt: number | null, has = true) => {
    const past = { session: has ? stored : null, inboundIds: [], will: { will, dueAt } };
    client.session = new Session("c", deps, client.now, past);
  };
  open(delayed(5), null);
  assert.deepEqual(client.after(4_999), []);
  assert.deepEqual(client.after(1), ["will w", "dropWill"]);
  open(delayed(5), client.now + 1);
  assert.deepEqual(client.after(1), ["will w", "dropWill"]);
  open(delayed(5), null);
  assert.deepEqual(client.connect(5, kept(60)), ["dropWill", "connack present"]);
  open(delayed(5), null, false);
  assert.deepEqual(client.after(0), ["will w", "dropWill", "ended"]);
});

test("after DISCONNECT and the end nothing is sent, and nothing is heard [MQTT-3.14.4-1]", () => {
  const client = new Client();
  client.connect(5, kept(10));
  const packets: Packet[] = [{ kind: "disconnect", code: 0, properties: {} }, { kind: "pingreq" }];
  assert.deepEqual(client.send(...packets), ["close"]);
  assert.deepEqual(client.send({ kind: "pingreq" }), []);
  assert.deepEqual(client.after(1), []);
});

test("a session that an operator ends while its client is there closes the connection first, and ends once", () => {
  for (const expiry of [0, 10]) {
    const client = new Client();
    client.connect(5, kept(expiry));
    const end = () => client.run((session, effects) => session.end(client.now, effects));
    assert.deepEqual(end(), ["disconnect 98", "close", "ended"]);
    assert.deepEqual(end(), []);
  }
});
