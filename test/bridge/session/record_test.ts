// Sessions and wills as bytes: there and back, cut, changed, and garbage.
import assert from "node:assert/strict";
import test from "node:test";
import {
  decodeSession,
  decodeWill,
  encodeSession,
  encodeWill,
  type StoredSession,
  type StoredWill,
} from "../../../bridge/session/record.ts";
import { seededRandom } from "../../../devices/sensors.ts";
import { HubError, limits } from "../../../hub/mod.ts";

const options = { qos: 2, noLocal: true, retainAsPublished: false, id: 268_435_455 } as const;
const session: StoredSession = {
  epoch: 7,
  expirySeconds: 3_600,
  expiresAt: 1_790_000_000_000,
  subscriptions: [
    { filter: "a/+/ä#", options, since: 1_780_000_000_000 },
    { filter: "$share/g/#", options: { ...options, qos: 0, noLocal: false, retainAsPublished: true, id: 0 }, since: 0 },
  ],
  outbound: {
    positions: [
      { topic: "sensors", partition: 3, group: "", next: 2 ** 52 },
      { topic: "commands", partition: 0, group: "workers:a/#", next: 0 },
    ],
    flights: [
      { packetId: 9, qos: 2, retain: false, released: true, position: -1, offset: 0 },
      { packetId: 4, qos: 1, retain: true, released: false, position: 1, offset: 12 },
    ],
  },
};
const will: StoredWill = {
  dueAt: null,
  will: {
    topic: "gone/ü",
    payload: Uint8Array.of(0, 255),
    qos: 1,
    retain: true,
    properties: {
      payloadFormat: 0,
      messageExpiry: 0,
      willDelay: 0xffff_ffff,
      contentType: "",
      responseTopic: "r",
      correlationData: Uint8Array.of(1),
      userProperties: [
        ["a", "1"],
        ["a", "2"],
      ],
    },
  },
};
const plainWill: StoredWill = {
  dueAt: 5,
  will: { topic: "w", payload: new Uint8Array(), qos: 0, retain: false, properties: {} },
};

const isRefusal = (error: unknown) => error instanceof HubError && error.kind === "INVALID_RECORD";

test("sessions and wills come back as they were", () => {
  assert.deepEqual(decodeSession(encodeSession(session)), session);
  const empty: StoredSession = {
    ...session,
    expiresAt: null,
    subscriptions: [],

    outbound: { positions: [], flights: [] },
  };
  assert.deepEqual(decodeSession(encodeSession(empty)), empty);
  for (const one of [will, plainWill]) assert.deepEqual(decodeWill(encodeWill(one)), one);
});

test("a session of a usual size is small", () => {
  assert.ok(encodeSession(session).length < 100, `${encodeSession(session).length} bytes`);
});

test("cut, longer, or of another version: refused", () => {
  for (const [bytes, decode] of [
    [encodeSession(session), decodeSession],
    [encodeWill(will), decodeWill],
  ] as const) {
    for (let size = 0; size < bytes.length; size++)
      assert.throws(() => decode(bytes.subarray(0, size)), isRefusal, `${size}`);
    assert.throws(() => decode(Uint8Array.of(...bytes, 0)), isRefusal);
    assert.throws(() => decode(Uint8Array.of(2, ...bytes.subarray(1))), isRefusal);
  }
});

test("contradictions are refused", () => {
  const flights = session.outbound.flights;
  const bad: StoredSession["outbound"][] = [
    { ...session.outbound, flights: [...flights, flights[0]!] },
    { ...session.outbound, flights: [{ ...flights[1]!, position: 2 }] },
    { ...session.outbound, flights: [{ ...flights[1]!, position: -1 }] },
  ];
  for (const outbound of bad) assert.throws(() => decodeSession(encodeSession({ ...session, outbound })), isRefusal);
  const [, flight] = flights;
  const none = { ...session.outbound, flights: [{ ...flight!, packetId: 0 }] };
  assert.throws(() => decodeSession(encodeSession({ ...session, outbound: none })), isRefusal);
  const many = Array.from({ length: limits.mqttOutInFlightMax + 1 }, (_, at) => ({ ...flight!, packetId: at + 1 }));
  const outbound = { ...session.outbound, flights: many };
  assert.throws(() => decodeSession(encodeSession({ ...session, outbound })), isRefusal);
});

test("the largest session fits its bound, a larger one is refused when it is written", () => {
  const filter = "x".repeat(limits.mqttTopicLengthMax);
  const subscriptions = Array.from({ length: limits.mqttSubscriptionsPerClientMax }, () => ({
    filter,
    options,
    since: 1e15,
  }));
  const positions = Array.from({ length: limits.mqttPositionsPerSessionMax }, (_, partition) => {
    return { topic: "t".repeat(200), partition, group: "", next: 2 ** 52 };
  });
  const bytes = encodeSession({ ...session, subscriptions, outbound: { positions, flights: [] } });
  assert.ok(bytes.length <= limits.mqttSessionRecordBytesMax);
  const payload = new Uint8Array(limits.mqttPacketBytesMax + 100);
  assert.throws(() => encodeWill({ ...will, will: { ...will.will, payload } }), isRefusal);
});

test("garbage is refused or read, and never more than that", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  let refusals = 0;
  for (let round = 0; round < 20_000; round++) {
    const [bytes, decode, encode] =
      random() < 0.5
        ? ([encodeSession(session), decodeSession, encodeSession] as const)
        : ([encodeWill(will), decodeWill, encodeWill] as const);
    const changed = Uint8Array.from(bytes);
    for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
      changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
    }
    try {
      const value = decode(changed);
      (encode as (value: unknown) => Uint8Array)(value); // what was read can be written
    } catch (error) {
      assert.ok(isRefusal(error), `seed ${seed}, round ${round}: ${String(error)}`);
      refusals++;
    }
  }
  assert.ok(refusals > 1_000, `seed ${seed}: ${refusals}`);
});
