// Access rules and credentials as admins keep them, over a restart too, and every refusal by name.
import assert from "node:assert/strict";
import test from "node:test";
import { Operation, Pattern, Permission, Resource } from "../../../../hub/access/acl.ts";
import { codeOf } from "../../../../hub/errors.ts";
import { limits } from "../../../../hub/limits.ts";
import { scratch } from "../../../tools/hub_process.ts";
import { accessSection, login, upsertion } from "../../../tools/sasl.ts";
import { openTestHub } from "../../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../../tools/wire_client.ts";
import { is } from "../../../tools/wire_calls.ts";

async function withAdmin(folder: string, use: (admin: WireClient, kafka: number) => Promise<void>): Promise<void> {
  const opened = await openTestHub({ folder, access: accessSection(folder, { rules: true }) });
  const admin = await dialWire(opened.kafka);
  try {
    is(await login(admin, "SCRAM-SHA-512", "admin", "admin-secret"), "NONE");
    await use(admin, opened.kafka);
  } finally {
    admin.close();
    await opened.close();
  }
}

async function within(use: (folder: string) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  try {
    await use(folder);
  } finally {
    remove();
  }
}

const creation = {
  resourceType: Resource.Topic as number,
  resourceName: "sensors",
  resourcePatternType: Pattern.Literal as number,
  principal: "User:ann",
  host: "*",
  operation: Operation.Read as number,
  permissionType: Permission.Allow as number,
};
const everything = {
  resourceTypeFilter: Resource.Any as number,
  resourceNameFilter: null as string | null,
  patternTypeFilter: Pattern.Any as number,
  principalFilter: null as string | null,
  hostFilter: null as string | null,
  operation: Operation.Any as number,
  permissionType: Permission.Any as number,
};

test("rules are created, told, kept over a restart and deleted, in every version", async () => {
  await within(async (folder) => {
    await withAdmin(folder, async (admin) => {
      for (const version of [1, 2, 3]) {
        const creations = [creation, { ...creation, operation: Operation.Write, resourceName: `v${version}` }];
        const { results } = await admin.call("createAcls", version, { creations });
        for (const result of results) is(result, "NONE");
      }
    });
    await withAdmin(folder, async (admin) => {
      for (const version of [1, 2, 3]) {
        const told = await admin.call("describeAcls", version, everything);
        is(told, "NONE");
        assert.deepEqual(told.resources.map(({ resourceName }) => resourceName).sort(), ["sensors", "v1", "v2", "v3"]);
      }
      const one = await admin.call("describeAcls", 2, { ...everything, resourceNameFilter: "sensors" });
      const acls = [{ principal: "User:ann", host: "*", operation: Operation.Read, permissionType: Permission.Allow }];
      const { resourceType, resourceName } = creation;
      assert.deepEqual(one.resources, [{ resourceType, resourceName, patternType: Pattern.Literal, acls }]);
      const writes = { ...everything, operation: Operation.Write as number };
      const { filterResults } = await admin.call("deleteAcls", 3, { filters: [writes, writes] });
      assert.deepEqual(
        filterResults.map(({ errorCode, matchingAcls }) => [errorCode, matchingAcls.length]),
        [
          [0, 3],
          [0, 0],
        ],
      );
    });
    await withAdmin(folder, async (admin) => {
      assert.equal((await admin.call("describeAcls", 3, everything)).resources.length, 1);
    });
  });
});

test("rules that are none, one by one, beside one that is", async () => {
  await within((folder) =>
    withAdmin(folder, async (admin) => {
      const wrong: [Partial<typeof creation>, "INVALID_REQUEST" | "INVALID_PRINCIPAL_TYPE"][] = [
        [{ resourceType: 0 }, "INVALID_REQUEST"],
        [{ resourceType: Resource.Any }, "INVALID_REQUEST"],
        [{ resourceType: 99 }, "INVALID_REQUEST"],
        [{ resourcePatternType: Pattern.Match }, "INVALID_REQUEST"],
        [{ operation: Operation.Any }, "INVALID_REQUEST"],
        [{ operation: 99 }, "INVALID_REQUEST"],
        [{ permissionType: Permission.Any }, "INVALID_REQUEST"],
        [{ resourceName: "" }, "INVALID_REQUEST"],
        [{ resourceName: "x".repeat(300) }, "INVALID_REQUEST"],
        [{ resourceType: Resource.Cluster, resourceName: "mine" }, "INVALID_REQUEST"],
        [{ host: "" }, "INVALID_REQUEST"],
        [{ principal: "ann" }, "INVALID_REQUEST"],
        [{ principal: "User:" }, "INVALID_REQUEST"],
        [{ principal: "Robot:ann" }, "INVALID_PRINCIPAL_TYPE"],
      ];
      const creations = [...wrong.map(([change]) => ({ ...creation, ...change })), creation];
      const { results } = await admin.call("createAcls", 3, { creations });
      wrong.forEach(([change, name], i) => assert.equal(results[i]!.errorCode, codeOf(name), JSON.stringify(change)));
      is(results.at(-1)!, "NONE");
      assert.equal((await admin.call("describeAcls", 3, everything)).resources.length, 1);
      is(await admin.call("describeAcls", 3, { ...everything, operation: 0 }), "INVALID_REQUEST");
      const { filterResults } = await admin.call("deleteAcls", 3, {
        filters: [{ ...everything, resourceTypeFilter: 0 }],
      });
      is(filterResults[0]!, "INVALID_REQUEST");
    }),
  );
});

test("rules and credentials have a bound: POLICY_VIOLATION", async () => {
  await within((folder) =>
    withAdmin(folder, async (admin) => {
      const creations = Array.from({ length: limits.accessRulesMax + 1 }, (_, i) => {
        return { ...creation, resourceName: `t${i}` };
      });
      const { results } = await admin.call("createAcls", 3, { creations });
      is(results.at(-2)!, "NONE");
      is(results.at(-1)!, "POLICY_VIOLATION");
    }),
  );
});

test("without access control rules are SECURITY_DISABLED", async () => {
  const opened = await openTestHub();
  try {
    const { wire } = opened;
    is(await wire.call("describeAcls", 3, everything), "SECURITY_DISABLED");
    is((await wire.call("createAcls", 3, { creations: [creation] })).results[0]!, "SECURITY_DISABLED");
    is((await wire.call("deleteAcls", 3, { filters: [everything] })).filterResults[0]!, "SECURITY_DISABLED");
  } finally {
    await opened.close();
  }
});

const alter = (admin: WireClient, upsertions: ReturnType<typeof upsertion>[], deletions: [string, number][] = []) =>
  admin.call("alterUserScramCredentials", 0, {
    deletions: deletions.map(([name, mechanism]) => ({ name, mechanism })),
    upsertions,
  });

test("credentials are set, told without their secrets, kept over a restart and deleted", async () => {
  await within(async (folder) => {
    await withAdmin(folder, async (admin, kafka) => {
      const both = [upsertion("ann", "one"), upsertion("ann", "one", "SCRAM-SHA-512", 8192), upsertion("bob", "b")];
      const { results } = await alter(admin, both);
      assert.deepEqual(results.map(({ user, errorCode }) => [user, errorCode]).sort(), [
        ["ann", 0],
        ["bob", 0],
      ]);
      const ann = await dialWire(kafka);
      is(await login(ann, "SCRAM-SHA-512", "ann", "one"), "NONE");
      ann.close();
    });
    await withAdmin(folder, async (admin, kafka) => {
      const all = await admin.call("describeUserScramCredentials", 0, { users: null });
      assert.deepEqual(all.results.map(({ user }) => user).sort(), ["admin", "ann", "bob"]);
      const { results } = await admin.call("describeUserScramCredentials", 0, { users: [{ name: "ann" }] });
      assert.deepEqual(
        [...results[0]!.credentialInfos].sort((a, b) => a.mechanism - b.mechanism),
        [
          { mechanism: 1, iterations: 4096 },
          { mechanism: 2, iterations: 8192 },
        ],
      );
      is((await alter(admin, [], [["ann", 2]])).results[0]!, "NONE");
      const ann = await dialWire(kafka);
      is(await login(ann, "SCRAM-SHA-512", "ann", "one"), "SASL_AUTHENTICATION_FAILED");
      const still = await dialWire(kafka);
      is(await login(still, "PLAIN", "ann", "one"), "NONE");
      still.close();
      ann.close();
    });
  });
});

test("credentials that are refused, by name; a user's changes are all made or none", async () => {
  await within((folder) =>
    withAdmin(folder, async (admin) => {
      const good = upsertion("ann", "one");
      const one = async (...args: Parameters<typeof alter>) => (await alter(...args)).results[0]!;
      is(await one(admin, [{ ...good, name: "" }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, name: "x".repeat(300) }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, iterations: 4095 }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, iterations: 16_385 }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, salt: new Uint8Array(0) }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, saltedPassword: new Uint8Array(5) }]), "UNACCEPTABLE_CREDENTIAL");
      is(await one(admin, [{ ...good, mechanism: 3 }]), "UNSUPPORTED_SASL_MECHANISM");
      is(await one(admin, [good, good]), "DUPLICATE_RESOURCE");
      is(await one(admin, [good], [["ann", 1]]), "DUPLICATE_RESOURCE");
      is(await one(admin, [], [["ann", 1]]), "RESOURCE_NOT_FOUND");
      const { results } = await alter(admin, [good, upsertion("bob", "b")], [["ann", 2]]);
      is(results.find(({ user }) => user === "ann")!, "RESOURCE_NOT_FOUND");
      is(results.find(({ user }) => user === "bob")!, "NONE");
      const users = [{ name: "ann" }, { name: "bob" }, { name: "bob" }];
      const told = await admin.call("describeUserScramCredentials", 0, { users });
      is(told.results[0]!, "RESOURCE_NOT_FOUND");
      is(told.results[1]!, "DUPLICATE_RESOURCE");
      assert.equal(told.results.length, 2);
    }),
  );
});
