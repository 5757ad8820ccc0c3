// The table of APIs, and whole frames against the golden files, both directions.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import {
  advertised,
  apiNames,
  apiOf,
  apis,
  decodeRequest,
  decodeResponse,
  isBetweenHubs,
} from "../../../hub/wire/apis.ts";
import { encodeRequest, encodeResponse, hasFlexibleResponseHeader } from "../../../hub/wire/apis.ts";
import { peekRequest, peekResponse } from "../../../hub/wire/apis.ts";
import type { ApiName } from "../../../hub/wire/apis.ts";
import { fill } from "../../../hub/wire/codec.ts";
import { FrameSplitter } from "../../../hub/wire/frame.ts";
import type { Message } from "../../../hub/wire/schema.ts";
import { readGolden, readRecorded } from "../../golden/read.ts";
import { plain } from "./values.ts";

const camel = (text: string): string => text.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

const golden = readGolden("wire").map(({ name, bytes, value }) => {
  const [, api, direction, version] = /^(.*)_(request|response)_v(\d+)$/.exec(name)!;
  return {
    name,
    bytes,
    value,
    api: camel(api!) as ApiName,
    isRequest: direction === "request",
    version: Number(version),
  };
});

const rows = apiNames.map((name) => ({ name, ...apis[name] }));

test("every file of messages/ is in the table under its own key, and the keys ascend", () => {
  const numberOf = (file: string): number => Number.parseInt(file, 10);
  const files = readdirSync(new URL("../../../hub/wire/messages/", import.meta.url));
  files.sort((one, other) => numberOf(one) - numberOf(other));
  assert.equal(files.length, rows.length);
  for (const [index, { name, key }] of rows.entries()) {
    const [, number, snake] = /^(\d\d+)_(.*)\.ts$/.exec(files[index]!)!;
    assert.equal(Number(number), key);
    assert.equal(camel(snake!), name);
    assert.equal(apiOf(key), name);
  }
  assert.equal(apiOf(99), undefined);
});

test("what is served has schemas, and what is advertised is what is served, but for Produce", () => {
  for (const { name, min, max, advertisedMin, request, response } of rows) {
    assert.ok(request.min <= min && max <= request.max, name);
    assert.ok(response.min <= min && max <= response.max, name);
    assert.equal(advertisedMin, name === "produce" ? 0 : min);
  }
  assert.deepEqual(
    advertised().find(({ apiKey }) => apiKey === 0),
    { apiKey: 0, minVersion: 0, maxVersion: 13 },
  );
});

test("what hubs say to each other has keys from 1000 on and stands in no ApiVersions", () => {
  const between = rows.filter(({ name }) => isBetweenHubs(name));
  assert.deepEqual(
    between.map(({ name, key }) => [name, key]),
    [
      ["hubHello", 1000],
      ["vote", 1001],
      ["tryLead", 1002],
      ["reconfigure", 1003],
      ["replicaStates", 1004],
      ["txnGate", 1005],
      ["txnHold", 1006],
      ["groupDecided", 1007],
      ["heldOffsets", 1008],
      ["replicaRange", 1009],
    ],
  );
  assert.equal(Math.max(...advertised().map(({ apiKey }) => apiKey)), 75);
  for (const { request, response } of between) assert.deepEqual([request.flexible, response.flexible], [0, 0]);
});

test("the ApiVersions response never has a flexible header", () => {
  assert.equal(hasFlexibleResponseHeader("apiVersions", 3), false);
  assert.equal(hasFlexibleResponseHeader("apiVersions", 4), false);
  assert.equal(hasFlexibleResponseHeader("metadata", 8), false);
  assert.equal(hasFlexibleResponseHeader("metadata", 9), true);
  assert.equal(hasFlexibleResponseHeader("offsetDelete", 0), false);
  assert.equal(hasFlexibleResponseHeader("describeCluster", 0), true);
});

for (const { name, bytes, value, api, isRequest, version } of golden) {
  test(`golden ${name}: decodes to its value and encodes to its bytes`, () => {
    const body = bytes.subarray(4);
    const { request, response }: { request: Message; response: Message } = apis[api];
    if (isRequest) {
      const decoded = decodeRequest(body);
      const { apiKey, apiVersion, correlationId, clientId } = decoded;
      assert.deepEqual(
        [decoded.api, apiKey, apiVersion, correlationId, clientId],
        [api, apis[api].key, version, 7, "c1"],
      );
      assert.deepEqual(plain(decoded.body), plain(fill(request, value as never)));
      assert.deepEqual(plain(peekRequest(body)), { apiKey, apiVersion, correlationId, clientId });
      assert.deepEqual(Buffer.concat(encodeRequest(api, version, 7, "c1", value as never)), Buffer.from(bytes));
    } else {
      assert.equal(peekResponse(body), 7);
      assert.deepEqual(plain(decodeResponse(api, version, body)), plain(fill(response, value as never)));
      assert.deepEqual(Buffer.concat(encodeResponse(api, version, 7, value as never)), Buffer.from(bytes));
    }
  });
}

for (const { name, frame } of readRecorded()) {
  test(`recorded ${name}: decodes, and encodes to the same bytes`, () => {
    const { api, apiVersion, correlationId, clientId, body } = decodeRequest(frame);
    assert.equal(camel(name.split(" ")[1]!), api);
    assert.equal(name.split(" ")[2], `v${apiVersion}`);
    const again = Buffer.concat(encodeRequest(api, apiVersion, correlationId, clientId, body as never));
    assert.equal(again.subarray(4).toString("hex"), Buffer.from(frame).toString("hex"));
    for (let size = 0; size < frame.length; size += 1) {
      assert.equal(receive(frame.subarray(0, size), api, true, apiVersion, `${name} to ${size}`), false);
    }
    for (let at = 0; at < frame.length; at += 1) {
      const broken = Uint8Array.from(frame);
      broken[at]! ^= 0xff;
      receive(broken, api, true, apiVersion, `${name} byte ${at}`);
    }
  });
}

/** Decodes as the side that receives it would; only catalogue errors may come out. */
function receive(frame: Uint8Array, api: ApiName, isRequest: boolean, version: number, what: string): boolean {
  try {
    if (isRequest) decodeRequest(frame);
    else decodeResponse(api, version, frame);
    return true;
  } catch (error) {
    assert.ok(error instanceof HubError, `${what}: ${String(error)}`);
    assert.ok(["INVALID_REQUEST", "UNSUPPORTED_VERSION"].includes(error.kind), `${what}: ${error.kind}`);
    return false;
  }
}

test("every prefix of a golden frame is refused; every flipped byte is refused or is another message", () => {
  for (const { name, bytes, api, isRequest, version } of golden) {
    const body = bytes.subarray(4);
    for (let size = 0; size < body.length; size += 1) {
      assert.equal(receive(body.subarray(0, size), api, isRequest, version, `${name} to ${size}`), false);
    }
    for (let at = 0; at < body.length; at += 1) {
      for (let mask = 1; mask < 256; mask += mask < 4 ? 1 : 63) {
        const broken = Uint8Array.from(body);
        broken[at]! ^= mask;
        receive(broken, api, isRequest, version, `${name} byte ${at} ^ ${mask}`);
      }
    }
  }
});

test("all golden frames in one stream, cut at every byte, come out as they went in", () => {
  const stream = Buffer.concat(golden.map(({ bytes }) => bytes));
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const splitter = new FrameSplitter();
    let count = 0;
    for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
      splitter.push(part);
      for (let frame = splitter.next(); frame !== null; frame = splitter.next()) {
        assert.ok(Buffer.from(frame).equals(golden[count]!.bytes.subarray(4)), `cut at ${cut}, frame ${count}`);
        count += 1;
      }
    }
    assert.equal(count, golden.length);
  }
});

test("unknown keys and versions that are not served are refused as such", () => {
  const frame = (key: number, version: number): Buffer => {
    const bytes = Buffer.alloc(10);
    bytes.writeInt16BE(key, 0);
    bytes.writeInt16BE(version, 2);
    bytes.writeInt16BE(-1, 8);
    return bytes;
  };
  const refused = [
    [99, 0],
    [-1, 0],
    [0, 2],
    [0, 14],
    [1, 3],
    [1, 19],
    [18, 5],
    [18, -1],
  ] as const;
  for (const [key, version] of refused) {
    assert.throws(
      () => decodeRequest(frame(key, version)),
      (error) => error instanceof HubError && error.kind === "UNSUPPORTED_VERSION",
      `${key} v${version}`,
    );
    assert.deepEqual(peekRequest(frame(key, version)), {
      apiKey: key,
      apiVersion: version,
      correlationId: 0,
      clientId: null,
    });
  }
});

test("large records of a response are parts by reference behind one size", () => {
  const batch = Buffer.alloc(100_000, 5);
  const parts = encodeResponse("fetch", 11, 1, {
    responses: [
      { topic: "t", partitions: [{ partitionIndex: 0, errorCode: 0, highWatermark: 9, records: [batch, batch] }] },
    ],
  });
  assert.equal(parts.filter((part) => part === batch).length, 2);
  const whole = Buffer.concat(parts);
  assert.equal(whole.readInt32BE(0), whole.length - 4);
});
