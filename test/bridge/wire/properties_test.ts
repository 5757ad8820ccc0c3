// The property table: each property in each place, read back as written, and refused elsewhere.
import assert from "node:assert/strict";
import test from "node:test";
import { PacketType, type Properties } from "../../../bridge/wire/packet.ts";
import { inWill, type Place, propertyTable, readProperties, writeProperties } from "../../../bridge/wire/properties.ts";
import { Reader } from "../../../bridge/wire/reader.ts";
import { Writer } from "../../../bridge/wire/writer.ts";
import { hex, plain, problemOf } from "./bytes.ts";

const places: readonly Place[] = [inWill, ...Object.values(PacketType)];

function read(bytes: Buffer, place: Place): Properties {
  const reader = new Reader(bytes, 0, bytes.length, 5);
  const properties = readProperties(reader, place, "server");
  reader.done("the properties");
  return properties;
}

const samples: Readonly<Record<string, unknown>> = {
  byte: 1,
  two: 0x1234,
  four: 0xfedcba98,
  varint: 300,
  string: "té/x",
  binary: Buffer.from([0, 255]),
  pair: ["k", "v"],
};
const wire: Readonly<Record<string, string>> = {
  byte: "01",
  two: "1234",
  four: "fedcba98",
  varint: "ac02",
  string: "0005 'té/x'",
  binary: "0002 00ff",
  pair: "0001 'k' 0001 'v'",
};

test("readProperties takes each property where table 2-4 has it, and nowhere else", () => {
  let legal = 0;
  for (const { id, name, type, places: bits } of propertyTable) {
    const one = Buffer.concat([Buffer.of(id), hex(wire[type]!)]);
    // the method that authentication data needs
    const method = name === "authenticationData" ? hex("15 0001 'm'") : Buffer.alloc(0);
    const bytes = Buffer.concat([Buffer.of(one.length + method.length), method, one]);
    for (const place of places) {
      const sessionExpiryOfServer = name === "sessionExpiry" && place === PacketType.disconnect;
      if ((bits & (1 << place)) === 0 || sessionExpiryOfServer) {
        assert.equal(problemOf(() => read(bytes, place)).code, 0x82, `${name} in ${place}`);
        continue;
      }
      legal++;
      const value = type === "pair" || name === "subscriptionIds" ? [samples[type]] : samples[type];
      assert.deepEqual(plain(read(bytes, place)[name]), plain(value), `${name} in ${place}`);
    }
  }
  assert.equal(legal, 63, "as many marks as table 2-4 has, less the session expiry of a server's DISCONNECT");
});

test("readProperties refuses a second of each that may stand once", () => {
  for (const { id, name, type, places: bits } of propertyTable) {
    const place = places.find((each) => (bits & (1 << each)) !== 0)!;
    const one = Buffer.concat([Buffer.of(id), hex(wire[type]!)]);
    const bytes = Buffer.concat([Buffer.of(one.length * 2), one, one]);
    if (name === "userProperties" || name === "subscriptionIds") assert.equal(read(bytes, place)[name]?.length, 2);
    else assert.match(problemOf(() => read(bytes, place)).message, /stands twice/);
  }
});

test("readProperties refuses values out of range", () => {
  const wrong: readonly [string, Place, number][] = [
    ["02 0102", PacketType.publish, 0x82],
    ["02 2402", PacketType.connack, 0x82],
    ["02 2502", PacketType.connack, 0x82],
    ["02 2802", PacketType.connack, 0x82],
    ["02 2902", PacketType.connack, 0x82],
    ["02 2a02", PacketType.connack, 0x82],
    ["02 1702", PacketType.connect, 0x82],
    ["02 1902", PacketType.connect, 0x82],
    ["03 210000", PacketType.connect, 0x82],
    ["05 2700000000", PacketType.connect, 0x82],
    ["02 0b00", PacketType.subscribe, 0x82],
    ["03 230000", PacketType.publish, 0x94],
  ];
  for (const [source, place, code] of wrong) assert.equal(problemOf(() => read(hex(source), place)).code, code, source);
  const zeros = "15 1100000000 1800000000";
  assert.equal(problemOf(() => read(hex(zeros), PacketType.connect)).code, 0x81, "the length is longer than the bytes");
  assert.deepEqual(read(hex("05 1100000000"), PacketType.connect), { sessionExpiry: 0 });
});

test("readProperties refuses ids that do not exist, whatever their length", () => {
  for (const source of ["02 0001", "02 0401", "02 7f01", "03 ac0201", "02 2b01"]) {
    const problem = problemOf(() => read(hex(source), PacketType.publish));
    assert.match(problem.message, /does not exist/, source);
  }
});

test("writeProperties refuses a property where it may not stand", () => {
  assert.throws(() => writeProperties(new Writer(), { topicAlias: 1 }, PacketType.connect), RangeError);
  assert.throws(() => writeProperties(new Writer(), { payloadFormat: 2 as 1 }, PacketType.publish), RangeError);
});
