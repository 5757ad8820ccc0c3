// Logins over a raw connection: every mechanism and form, every refusal, repeated logins, and what happens before one.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { limits } from "../../../../hub/limits.ts";
import { scratch } from "../../../tools/hub_process.ts";
import { accessSection, login, type Mechanism, plainToken, ScramClient, upsertion } from "../../../tools/sasl.ts";
import { openTestHub, type TestHub } from "../../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../../tools/wire_client.ts";
import { is } from "../../../tools/wire_calls.ts";

const mechanisms: readonly Mechanism[] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

async function withAccess(
  use: (opened: TestHub, dial: () => Promise<WireClient>) => Promise<void>,
  more: Readonly<Record<string, unknown>> = {},
  settings: Readonly<Record<string, number>> = {},
): Promise<void> {
  const { folder, remove } = scratch();
  const opened = await openTestHub({ folder, access: accessSection(folder, more), settings });
  const dialled: WireClient[] = [];
  try {
    await use(opened, async () => {
      const wire = await dialWire(opened.kafka);
      dialled.push(wire);
      return wire;
    });
  } finally {
    for (const wire of dialled) wire.close();
    await opened.close();
    remove();
  }
}

test("every mechanism logs in, in every version; then everything is served", async () => {
  await withAccess(async (_, dial) => {
    for (const mechanism of mechanisms) {
      for (const version of [0, 1, 2]) {
        const wire = await dial();
        const answer = await login(wire, mechanism, "admin", "admin-secret", { version });
        is(answer, "NONE");
        assert.equal(answer.sessionLifetimeMs, 0);
        assert.equal((await wire.call("metadata", 1, { topics: null })).topics.length, 0);
      }
    }
  });
});

test("a wrong password, an unknown user: one answer, late, and then the end", async () => {
  await withAccess(async (_, dial) => {
    const said = new Set<string | null>();
    for (const mechanism of mechanisms) {
      for (const user of ["admin", "nobody"]) {
        const wire = await dial();
        const began = performance.now();
        const answer = await login(wire, mechanism, user, "wrong");
        is(answer, "SASL_AUTHENTICATION_FAILED");
        const took = performance.now() - began;
        assert.ok(took >= limits.saslFailureDelayMs, `${took} ms`);
        said.add(answer.errorMessage);
        await wire.closed;
      }
    }
    assert.equal(said.size, 1);
  });
});

test("an unknown user is challenged as a known one is, always with the same salt, over a restart too", async () => {
  const { folder, remove } = scratch();
  const access = accessSection(folder);
  const challenge = async (kafka: number): Promise<string> => {
    const wire = await dialWire(kafka);
    await wire.call("saslHandshake", 1, { mechanism: "SCRAM-SHA-256" });
    const { first } = new ScramClient("SCRAM-SHA-256", "nobody", "x");
    const answer = await wire.call("saslAuthenticate", 2, { authBytes: first });
    is(answer, "NONE");
    wire.close();
    return new TextDecoder().decode(answer.authBytes).replace(/^r=[^,]*,/, "");
  };
  try {
    const seen = new Set<string>();
    for (let start = 0; start < 2; start++) {
      const opened = await openTestHub({ folder, access });
      seen.add(await challenge(opened.kafka));
      seen.add(await challenge(opened.kafka));
      await opened.close();
    }
    assert.equal(seen.size, 1);
    assert.match([...seen][0]!, /^s=[A-Za-z0-9+/=]{24},i=4096$/);
  } finally {
    remove();
  }
});

test("before a login only ApiVersions and the login itself are answered", async () => {
  await withAccess(async (_, dial) => {
    const early = await dial();
    is(await early.call("apiVersions", 3, { clientSoftwareName: "x", clientSoftwareVersion: "1" }), "NONE");
    await assert.rejects(early.call("metadata", 1, { topics: null }), /closed/);
    const between = await dial();
    await between.call("saslHandshake", 1, { mechanism: "PLAIN" });
    await assert.rejects(between.call("metadata", 1, { topics: null }), /closed/);
  });
});

test("steps out of order: ILLEGAL_SASL_STATE, then the end", async () => {
  await withAccess(async (_, dial) => {
    const noHandshake = await dial();
    is(await noHandshake.call("saslAuthenticate", 1, { authBytes: plainToken("a", "b") }), "ILLEGAL_SASL_STATE");
    await noHandshake.closed;
    const twice = await dial();
    await twice.call("saslHandshake", 1, { mechanism: "PLAIN" });
    is(await twice.call("saslHandshake", 1, { mechanism: "PLAIN" }), "ILLEGAL_SASL_STATE");
    await twice.closed;
  });
});

test("a mechanism that is not enabled: UNSUPPORTED_SASL_MECHANISM with those that are, then the end", async () => {
  await withAccess(
    async (_, dial) => {
      for (const mechanism of ["GSSAPI", "PLAIN", "scram-sha-256", ""]) {
        const wire = await dial();
        const answer = await wire.call("saslHandshake", 1, { mechanism });
        is(answer, "UNSUPPORTED_SASL_MECHANISM");
        assert.deepEqual(answer.mechanisms, ["SCRAM-SHA-256"]);
        await wire.closed;
      }
    },
    { sasl: ["SCRAM-SHA-256"] },
  );
});

test("a handshake of v0 is followed by bare tokens", async () => {
  await withAccess(async (_, dial) => {
    const bare = (token: Uint8Array): Uint8Array => {
      const frame = new Uint8Array(4 + token.length);
      new DataView(frame.buffer).setInt32(0, token.length);
      frame.set(token, 4);
      return frame;
    };
    const plain = await dial();
    is(await plain.call("saslHandshake", 0, { mechanism: "PLAIN" }), "NONE");
    plain.send(bare(plainToken("admin", "admin-secret")));
    assert.equal((await plain.frame()).length, 0);
    assert.equal((await plain.call("metadata", 1, { topics: null })).topics.length, 0);
    const scram = await dial();
    await scram.call("saslHandshake", 0, { mechanism: "SCRAM-SHA-512" });
    const client = new ScramClient("SCRAM-SHA-512", "admin", "admin-secret");
    scram.send(bare(client.first));
    scram.send(bare(client.final(await scram.frame())));
    assert.equal(new TextDecoder().decode(await scram.frame()), client.expected);
    assert.equal((await scram.call("metadata", 1, { topics: null })).topics.length, 0);
    const wrong = await dial();
    await wrong.call("saslHandshake", 0, { mechanism: "PLAIN" });
    wrong.send(bare(plainToken("admin", "wrong")));
    await assert.rejects(wrong.frame(), /closed/);
  });
});

test("a frame before the login has little room, after it the usual", async () => {
  await withAccess(async (_, dial) => {
    const size = (bytes: number): Uint8Array => {
      const header = new Uint8Array(4);
      new DataView(header.buffer).setInt32(0, bytes);
      return header;
    };
    const stranger = await dial();
    stranger.send(size(limits.saslFrameBytesMax + 1));
    await stranger.closed;
    const known = await dial();
    await login(known, "PLAIN", "admin", "admin-secret");
    const topics = Array.from({ length: 20_000 }, (_, i) => ({ name: `a-topic-that-is-not-there-${i}` }));
    const { topics: told } = await known.call("metadata", 4, { topics, allowAutoTopicCreation: false });
    assert.equal(told.length, topics.length);
  });
});

test("without logins a handshake is ILLEGAL_SASL_STATE and nothing is closed", async () => {
  const opened = await openTestHub();
  try {
    const { wire } = opened;
    const answer = await wire.call("saslHandshake", 1, { mechanism: "PLAIN" });
    is(answer, "ILLEGAL_SASL_STATE");
    assert.deepEqual(answer.mechanisms, []);
    is(await wire.call("saslAuthenticate", 2, { authBytes: plainToken("a", "b") }), "ILLEGAL_SASL_STATE");
    assert.equal((await wire.call("metadata", 1, { topics: null })).topics.length, 0);
  } finally {
    await opened.close();
  }
});

test("logins are repeated on their connection (KIP-368), by the same user in the same way", async () => {
  const lifetime = { "connections.max.reauth.ms": 60_000 };
  await withAccess(
    async (_, dial) => {
      const admin = await dial();
      assert.equal((await login(admin, "SCRAM-SHA-256", "admin", "admin-secret")).sessionLifetimeMs, 60_000);
      const made = await admin.call("alterUserScramCredentials", 0, {
        deletions: [],
        upsertions: [upsertion("ann", "ann-secret")],
      });
      is(made.results[0]!, "NONE");
      for (let again = 0; again < 2; again++) {
        is(await login(admin, "SCRAM-SHA-256", "admin", "admin-secret"), "NONE");
        assert.equal((await admin.call("metadata", 1, { topics: null })).topics.length, 0);
      }
      is(await login(admin, "SCRAM-SHA-256", "ann", "ann-secret"), "SASL_AUTHENTICATION_FAILED");
      await admin.closed;
      const other = await dial();
      is(await login(other, "SCRAM-SHA-256", "admin", "admin-secret"), "NONE");
      const answer = await other.call("saslHandshake", 1, { mechanism: "PLAIN" });
      is(answer, "UNSUPPORTED_SASL_MECHANISM");
      assert.deepEqual(answer.mechanisms, ["SCRAM-SHA-256"]);
      await other.closed;
    },
    {},
    lifetime,
  );
});

test("a login that ran out admits nothing but its repetition", async () => {
  await withAccess(
    async (_, dial) => {
      const wire = await dial();
      is(await login(wire, "PLAIN", "admin", "admin-secret"), "NONE");
      const lazy = await dial();
      is(await login(lazy, "PLAIN", "admin", "admin-secret"), "NONE");
      await new Promise((resolve) => setTimeout(resolve, 350));
      is(await login(wire, "PLAIN", "admin", "admin-secret"), "NONE");
      assert.equal((await wire.call("metadata", 1, { topics: null })).topics.length, 0);
      await assert.rejects(lazy.call("metadata", 1, { topics: null }), /closed/);
    },
    {},
    { "connections.max.reauth.ms": 300 },
  );
});

test("a login is not repeated where logins last as long as their connection", async () => {
  await withAccess(async (_, dial) => {
    const wire = await dial();
    await login(wire, "PLAIN", "admin", "admin-secret");
    is(await wire.call("saslHandshake", 1, { mechanism: "PLAIN" }), "ILLEGAL_SASL_STATE");
    assert.equal((await wire.call("metadata", 1, { topics: null })).topics.length, 0);
  });
});

test("many wrong logins at a time disturb nobody who is in", async () => {
  await withAccess(async (_, dial) => {
    const known = await dial();
    await login(known, "PLAIN", "admin", "admin-secret");
    const attempts = Array.from({ length: 50 }, async () => {
      const wire = await dial();
      return await login(wire, "PLAIN", "nobody", "x");
    });
    assert.equal((await known.call("metadata", 1, { topics: null })).topics.length, 0);
    for (const answer of await Promise.all(attempts)) {
      assert.equal(answer.errorCode, codeOf("SASL_AUTHENTICATION_FAILED"));
    }
  });
});

test("the password of the first user changes with its file at the next start", async () => {
  const { folder, remove } = scratch();
  try {
    for (const password of ["one", "two"]) {
      const access = accessSection(folder, { password_file: `${folder}/own.password` });
      writeFileSync(`${folder}/own.password`, password);
      const opened = await openTestHub({ folder, access });
      try {
        for (const mechanism of mechanisms) {
          const wire = await dialWire(opened.kafka);
          is(await login(wire, mechanism, "admin", password), "NONE");
          wire.close();
        }
        const wire = await dialWire(opened.kafka);
        const other = password === "one" ? "two" : "one";
        is(await login(wire, "SCRAM-SHA-256", "admin", other), "SASL_AUTHENTICATION_FAILED");
        wire.close();
      } finally {
        await opened.close();
      }
    }
  } finally {
    remove();
  }
});
