// SASL messages: the RFC's own exchange, every refusal, and bytes that no client would send.
import assert from "node:assert/strict";
import test from "node:test";
import {
  challenge,
  credentialOf,
  finish,
  opensWith,
  readPlain,
  readScramFirst,
  type ScramMechanism,
} from "../../../hub/access/scram.ts";
import { HubError } from "../../../hub/errors.ts";
import { openHashing } from "../../../hub/io/crypto.ts";
import { plainToken, ScramClient, salted } from "../../tools/sasl.ts";

const hashing = openHashing();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (token: Uint8Array): string => new TextDecoder().decode(token);

function refused(call: () => unknown, why: RegExp): void {
  assert.throws(call, (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.equal(error.kind, "SASL_AUTHENTICATION_FAILED");
    assert.match(error.message, why);
    return true;
  });
}

function credentialFor(mechanism: ScramMechanism, password: string, salt: Uint8Array, iterations = 4096) {
  return credentialOf(hashing, mechanism, salted(mechanism, password, salt, iterations), salt, iterations);
}

test("the exchange of RFC 7677 section 3, byte for byte", () => {
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  const credential = credentialFor("SCRAM-SHA-256", "pencil", salt);
  const first = readScramFirst(bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
  assert.equal(first.user, "user");
  const asked = challenge(first, credential, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
  const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  assert.equal(asked.text, `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
  const proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  const last = finish(hashing, "SCRAM-SHA-256", asked, bytes(`c=biws,r=${nonce},p=${proof}`));
  assert.equal(text(last), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("both mechanisms with a client of its own; a name with = and , in it; another password", () => {
  for (const mechanism of ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
    const credential = credentialFor(mechanism, "päss", bytes("salty"), 5000);
    const client = new ScramClient(mechanism, "a=b,c", "päss");
    const first = readScramFirst(client.first);
    assert.equal(first.user, "a=b,c");
    const asked = challenge(first, credential, "server");
    const last = finish(hashing, mechanism, asked, client.final(bytes(asked.text)));
    assert.equal(text(last), client.expected);
    const wrong = new ScramClient(mechanism, "a=b,c", "pass");
    refused(() => finish(hashing, mechanism, asked, wrong.final(bytes(asked.text))), /invalid credentials/);
  }
});

test("a plain password opens the credential it was made of and no other", () => {
  const credential = credentialFor("SCRAM-SHA-512", "one", bytes("salt"));
  const check = (password: string): boolean =>
    opensWith(hashing, "SCRAM-SHA-512", credential, salted("SCRAM-SHA-512", password, bytes("salt"), 4096));
  assert.equal(check("one"), true);
  assert.equal(check("two"), false);
});

test("first messages that are refused", () => {
  for (const [message, why] of [
    ["", /malformed/],
    ["n,,n=user", /malformed/],
    ["p=tls-unique,,n=user,r=abc", /channel binding/],
    ["n,a=other,n=user,r=abc", /another user/],
    ["n,,n=,r=abc", /empty/],
    ["n,,n=us=er,r=abc", /escaped/],
    ["n,,n=user,r=", /nonce/],
    ["n,,n=user,r=a b", /nonce/],
    [`n,,n=user,r=${"x".repeat(2000)}`, /nonce/],
    [`n,,n=${"u".repeat(2000)},r=abc`, /too long/],
    ["n,,m=x,n=user,r=abc", /malformed/],
    ["n,,n=user,r=abc,tokenauth=true", /malformed/],
  ] as const) {
    refused(() => readScramFirst(bytes(message)), why);
  }
  refused(() => readScramFirst(new Uint8Array([0x6e, 0xff, 0xfe])), /UTF-8/);
  assert.equal(readScramFirst(bytes("y,,n=user,r=abc")).user, "user");
  assert.equal(readScramFirst(bytes("n,,n=user,r=abc,t=true")).nonce, "abc");
  assert.equal(readScramFirst(bytes("n,a=user,n=user,r=abc")).user, "user");
});

test("last messages that are refused", () => {
  const credential = credentialFor("SCRAM-SHA-256", "pencil", bytes("salt"));
  const asked = challenge(readScramFirst(bytes("n,,n=user,r=abc")), credential, "def");
  const last = (message: string) => () => finish(hashing, "SCRAM-SHA-256", asked, bytes(message));
  const proof = Buffer.alloc(32).toString("base64");
  refused(last(""), /malformed/);
  refused(last(`c=biws,r=abcdef`), /malformed/);
  refused(last(`c=eSws,r=abcdef,p=${proof}`), /channel binding/);
  refused(last(`c=biws,r=abcxyz,p=${proof}`), /nonce/);
  refused(last(`c=biws,r=abcdef,p=AAAA`), /proof/);
  refused(last(`c=biws,r=abcdef,p=***`), /proof/);
  refused(last(`c=biws,r=abcdef,p=${proof}`), /invalid credentials/);
});

test("PLAIN messages", () => {
  const read = readPlain(plainToken("ann", "secret"));
  assert.equal(read.user, "ann");
  assert.equal(text(read.password), "secret");
  assert.equal(readPlain(plainToken("ann", "secret", "ann")).user, "ann");
  refused(() => readPlain(plainToken("ann", "secret", "bob")), /another user/);
  refused(() => readPlain(plainToken("", "secret")), /empty/);
  refused(() => readPlain(plainToken("ann", "")), /empty/);
  refused(() => readPlain(bytes("ann\0secret")), /three parts/);
  refused(() => readPlain(bytes("\0ann\0sec\0ret")), /three parts/);
});

test("random bytes are refused as such and in no other way", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const credential = credentialFor("SCRAM-SHA-256", "pencil", bytes("salt"));
  const asked = challenge(readScramFirst(bytes("n,,n=user,r=abc")), credential, "def");
  const good = ["n,,n=user,r=abc", "\0ann\0secret", "c=biws,r=abcdef,p=AAAA"];
  for (let round = 0; round < 2000; round++) {
    const token = bytes(good[next(3)]!);
    const cut = token.slice(0, next(token.length + 1));
    for (let i = next(4); i > 0 && cut.length > 0; i--) cut[next(cut.length)] = next(256);
    for (const read of [
      () => readScramFirst(cut),
      () => readPlain(cut),
      () => finish(hashing, "SCRAM-SHA-256", asked, cut),
    ]) {
      try {
        read();
      } catch (error) {
        const known = error instanceof HubError && error.kind === "SASL_AUTHENTICATION_FAILED";
        assert.ok(known, `SEED=${seed} round ${round}: ${String(error)}`);
      }
    }
  }
});
