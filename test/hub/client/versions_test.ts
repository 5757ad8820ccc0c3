// What the client sends at most: no version that names topics by ids.
import assert from "node:assert/strict";
import test from "node:test";
import { newestSent } from "../../../hub/client/versions.ts";
import { apiNames, apis } from "../../../hub/wire/apis.ts";
import { isPresent } from "../../../hub/wire/schema.ts";
import type { Field, Fields } from "../../../hub/wire/schema.ts";

/** True when a name that stood beside the id in an older version is gone in this one. */
function needsIds(fields: Fields, version: number): boolean {
  return Object.entries(fields).some(([name, field]: [string, Field]) => {
    if (name === "topicId" && isPresent(field, version)) {
      const named = fields["name"] ?? fields["topic"];
      return named !== undefined && !isPresent(named, version);
    }
    const inner = field.fields ?? field.element?.fields;
    return inner !== undefined && isPresent(field, version) && needsIds(inner, version);
  });
}

test("newestSent: no request needs a topic id, and every one is a version of its schema", () => {
  for (const api of apiNames) {
    const version = newestSent(api);
    assert.ok(version <= apis[api].max, api);
    if (version < 0) continue;
    assert.ok(!needsIds(apis[api].request.fields, version), `${api} v${version} needs topic ids`);
  }
  assert.ok(needsIds(apis.fetch.request.fields, 13), "the test itself sees an id in Fetch 13");
  assert.equal(newestSent("joinGroup"), Math.min(8, apis.joinGroup.max), "a static leader always assigns");
});
