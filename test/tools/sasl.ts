// The client's side of PLAIN and SCRAM, written from the RFCs, and logins over a raw connection.
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { WireClient } from "./wire_client.ts";

export type Mechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export function plainToken(user: string, password: string, authorization = ""): Uint8Array {
  return bytes(`${authorization}\0${user}\0${password}`);
}

export function hashOf(mechanism: Mechanism): "sha256" | "sha512" {
  return mechanism === "SCRAM-SHA-512" ? "sha512" : "sha256";
}

export function salted(mechanism: Mechanism, password: string, salt: Uint8Array, iterations: number): Uint8Array {
  const hash = hashOf(mechanism);
  return pbkdf2Sync(password, salt, iterations, hash === "sha512" ? 64 : 32, hash);
}

/** One SCRAM exchange as a client has it: its first message, then its answer to the server's first. */
export class ScramClient {
  readonly #mechanism: Mechanism;
  readonly #password: string;
  readonly #bare: string;
  readonly first: Uint8Array;
  /** What the server's last message must be. */
  expected = "";

  constructor(mechanism: Mechanism, user: string, password: string, nonce = "fyko+d2lbbFgONRv9qkxdawL") {
    this.#mechanism = mechanism;
    this.#password = password;
    this.#bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
    this.first = bytes(`n,,${this.#bare}`);
  }

  final(challenge: Uint8Array): Uint8Array {
    const text = new TextDecoder().decode(challenge);
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(text)!;
    const hash = hashOf(this.#mechanism);
    const hmac = (key: Uint8Array, data: string): Buffer => createHmac(hash, key).update(data).digest();
    const key = salted(this.#mechanism, this.#password, Buffer.from(salt!, "base64"), Number(iterations));
    const clientKey = hmac(key, "Client Key");
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `${this.#bare},${text},${withoutProof}`;
    const signature = hmac(createHash(hash).update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
    this.expected = `v=${hmac(hmac(key, "Server Key"), message).toString("base64")}`;
    return bytes(`${withoutProof},p=${proof.toString("base64")}`);
  }
}

/** Logs in; answers the last SaslAuthenticate response, a refusal too. */
export async function login(
  wire: WireClient,
  mechanism: Mechanism,
  user: string,
  password: string,
  options: { readonly version?: number; readonly handshake?: boolean } = {},
) {
  const { version = 2, handshake = true } = options;
  if (handshake) {
    const { errorCode } = await wire.call("saslHandshake", 1, { mechanism });
    if (errorCode !== 0) throw new Error(`the handshake was refused with ${errorCode}`);
  }
  if (mechanism === "PLAIN") {
    return await wire.call("saslAuthenticate", version, { authBytes: plainToken(user, password) });
  }
  const client = new ScramClient(mechanism, user, password);
  const challenge = await wire.call("saslAuthenticate", version, { authBytes: client.first });
  if (challenge.errorCode !== 0) return challenge;
  const last = await wire.call("saslAuthenticate", version, { authBytes: client.final(challenge.authBytes) });
  const said = new TextDecoder().decode(last.authBytes);
  if (last.errorCode === 0 && said !== client.expected) throw new Error(`the hub did not prove itself: ${said}`);
  return last;
}

/** A section [access] whose first user is admin; their password lies in a file beside the data folder. */
export function accessSection(folder: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const file = `${folder}/admin.password`;
  writeFileSync(file, "admin-secret\n");
  const sasl = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];
  return { sasl, user: "admin", password_file: file, ...more };
}

/** An upsertion for AlterUserScramCredentials, as Kafka's tools make it. */
export function upsertion(user: string, password: string, mechanism: Mechanism = "SCRAM-SHA-256", iterations = 4096) {
  const salt = bytes(`salt of ${user}`);
  const number = mechanism === "SCRAM-SHA-256" ? 1 : 2;
  const saltedPassword = salted(mechanism, password, salt, iterations);
  return { name: user, mechanism: number, iterations, salt, saltedPassword };
}
