// From what was thrown to exit code and sentence.
import assert from "node:assert/strict";
import test from "node:test";
import { CliError, failureOf, UsageError } from "../../cli/exit.ts";
import { errorCatalogue, type ErrorName, HubError } from "../../hub/errors.ts";

const system = (code: string): Error => Object.assign(new Error(`connect ${code} 127.0.0.1:9092`), { code });

test("errors map to the exit codes of the contract", async () => {
  const cases: [unknown, number][] = [
    [new UsageError("x"), 2],
    [new CliError(3, "x"), 3],
    [new HubError("UNKNOWN_TOPIC_OR_PARTITION"), 3],
    [new HubError("GROUP_ID_NOT_FOUND"), 3],
    [new HubError("TOPIC_AUTHORIZATION_FAILED"), 4],
    [new HubError("REQUEST_TIMED_OUT"), 5],
    [new HubError("COORDINATOR_NOT_AVAILABLE"), 5],
    [new HubError("TOPIC_ALREADY_EXISTS"), 6],
    [new HubError("NON_EMPTY_GROUP"), 6],
    [new HubError("NOT_ENOUGH_REPLICAS"), 7],
    [new HubError("KAFKA_STORAGE_ERROR"), 70],
    [new HubError("INVALID_TOPIC_EXCEPTION"), 2],
    [new HubError("UNKNOWN_SERVER_ERROR"), 1],
    [system("ECONNREFUSED"), 5],
    [system("EADDRINUSE"), 6],
    [system("ENOENT"), 3],
    [new HubError("LEADER_NOT_AVAILABLE", "no hub answers", { cause: system("ECONNREFUSED") }), 5],
    [new Error("bug"), 1],
    ["text", 1],
  ];
  for (const [thrown, code] of cases) assert.equal((await failureOf(thrown)).code, code, String(thrown));
});

test("every name of the catalogue has a code and a remedy that is said once", async () => {
  for (const name of Object.keys(errorCatalogue) as ErrorName[]) {
    const plain = await failureOf(new HubError(name));
    assert.equal(plain.remedy, "", name);
    const detailed = await failureOf(new HubError(name, "what happened"));
    assert.equal(detailed.what, "what happened");
    assert.equal(detailed.remedy, errorCatalogue[name].remedy);
  }
});

test("a stack is shown for a mistake of our own, never for the user's", async () => {
  assert.ok((await failureOf(new TypeError("bug"))).what.includes("exit_test"));
  for (const thrown of [new UsageError("u"), new HubError("INVALID_CONFIG", "c"), system("ECONNREFUSED")]) {
    assert.ok(!(await failureOf(thrown)).what.includes("\n"));
  }
});
