// The catalogue of errors.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf, codeOfThrown, errorCatalogue, errorNameOf, HubError } from "../../hub/errors.ts";

test("codes are unique and lead back to their names", () => {
  const codes = Object.values(errorCatalogue).map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
  for (const name of Object.keys(errorCatalogue) as (keyof typeof errorCatalogue)[]) {
    assert.equal(errorNameOf(codeOf(name)), name);
    assert.ok(errorCatalogue[name].remedy.endsWith("."), name);
  }
  assert.equal(errorNameOf(31_999), "UNKNOWN_SERVER_ERROR");
});

test("a refusal bears its code, whether a retry can help, and what to do when it says nothing else", () => {
  const error = new HubError("KAFKA_STORAGE_ERROR");
  assert.deepEqual([error.code, error.retriable], [56, true]);
  assert.equal(error.message, errorCatalogue.KAFKA_STORAGE_ERROR.remedy);
  assert.equal(new HubError("CORRUPT_MESSAGE", "batch 7").message, "batch 7");
});

test("what nobody foresaw is an unknown server error on the wire", () => {
  assert.equal(codeOfThrown(new HubError("NOT_COORDINATOR")), 16);
  assert.equal(codeOfThrown(new TypeError("x")), -1);
});
