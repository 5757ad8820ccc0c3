// SASL messages of PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677), the server's side, without channel binding. Pure.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { HashName, Hashing } from "../io/ports.ts";

/** Hash of each SCRAM mechanism, with its number in KIP-554. */
export const scramMechanisms = {
  "SCRAM-SHA-256": { hash: "sha256", number: 1 },
  "SCRAM-SHA-512": { hash: "sha512", number: 2 },
} as const satisfies Record<string, { hash: HashName; number: number }>;

export type ScramMechanism = keyof typeof scramMechanisms;
export type SaslMechanism = "PLAIN" | ScramMechanism;

export const saslMechanisms = ["PLAIN", ...(Object.keys(scramMechanisms) as ScramMechanism[])] as const;

/** What is kept of a password: enough to check it, not enough to log in elsewhere as its owner (RFC 5802 section 3). */
export interface Credential {
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
  readonly iterations: number;
}

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** The one sentence of every refusal: which half was wrong is nobody's business. */
export function refused(detail = "invalid credentials"): HubError {
  return new HubError("SASL_AUTHENTICATION_FAILED", `Authentication failed: ${detail}`);
}

/** Derives what is kept from a salted password (`Hashing.stretch` of the password). */
export function credentialOf(
  hashing: Hashing,
  mechanism: ScramMechanism,
  saltedPassword: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): Credential {
  const { hash } = scramMechanisms[mechanism];
  const clientKey = hashing.hmac(hash, saltedPassword, encoder.encode("Client Key"));
  const serverKey = hashing.hmac(hash, saltedPassword, encoder.encode("Server Key"));
  return { salt, storedKey: hashing.digest(hash, clientKey), serverKey, iterations };
}

/** Whether a salted password is the one the credential was made of. */
export function opensWith(
  hashing: Hashing,
  mechanism: ScramMechanism,
  credential: Credential,
  saltedPassword: Uint8Array,
): boolean {
  const { salt, iterations, storedKey } = credential;
  return hashing.equal(credentialOf(hashing, mechanism, saltedPassword, salt, iterations).storedKey, storedKey);
}

function textOf(token: Uint8Array): string {
  try {
    return strict.decode(token);
  } catch {
    throw refused("the message is not UTF-8");
  }
}

function checkUser(user: string): string {
  if (user === "" || user.length > limits.accessNameLengthMax) throw refused("the user name is empty or too long");
  return user;
}

/** Reads [authorisation id] NUL user NUL password. @throws HubError SASL_AUTHENTICATION_FAILED */
export function readPlain(token: Uint8Array): { readonly user: string; readonly password: Uint8Array } {
  const parts = textOf(token).split("\0");
  if (parts.length !== 3) throw refused("a PLAIN message has three parts");
  const [authorization, user, password] = parts as [string, string, string];
  checkUser(user);
  if (password === "") throw refused("the password is empty");
  if (authorization !== "" && authorization !== user) throw refused("acting for another user is not allowed");
  return { user, password: encoder.encode(password) };
}

/** The client's first message, taken apart. */
export interface ScramFirst {
  readonly user: string;
  readonly nonce: string;
  /** The part before the bare message; the client's second message repeats it. */
  readonly header: string;
  readonly bare: string;
}

const printable = /^[\x21-\x2b\x2d-\x7e]+$/; // printable ASCII without the comma
const firstForm = /^((n|y|p=[^,]*),(?:a=([^,]*))?,)(n=([^,]*),r=([^,]*)(?:,[A-Za-z]=[^,]*)*)$/s;
const finalForm = /^(c=([^,]*),r=([^,]*)((?:,[A-Za-z]=[^,]*)*)),p=([^,]*)$/s;

/** `=2C` is a comma and `=3D` an equals sign; no other `=` may stand in a name. */
function readName(name: string): string {
  if (/=(?!2C|3D)/.test(name)) throw refused("the user name is not escaped as it must be");
  return name.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

/** @throws HubError SASL_AUTHENTICATION_FAILED for what is malformed or asks for what is not done here */
export function readScramFirst(token: Uint8Array): ScramFirst {
  const parts = firstForm.exec(textOf(token));
  if (!parts) throw refused("the first SCRAM message is malformed");
  // extensions that are not mandatory (m=) are ignored, as RFC 5802 section 5.1 has it
  const [, header, binding, authorization, bare, name, nonce] = parts as unknown as string[];
  if (binding!.startsWith("p")) throw refused("channel binding is not offered");
  if (!printable.test(nonce!) || nonce!.length > limits.scramNonceLengthMax) throw refused("the nonce is malformed");
  const user = checkUser(readName(name!));
  if (authorization && readName(authorization) !== user) throw refused("acting for another user is not allowed");
  return { user, nonce: nonce!, header: header!, bare: bare! };
}

/** An exchange between its two halves. */
export interface ScramChallenge {
  readonly first: ScramFirst;
  readonly credential: Credential;
  readonly nonce: string;
  /** The server's first message. */
  readonly text: string;
}

/** Answers the first message. `fresh` is the server's half of the nonce: printable, without a comma. */
export function challenge(first: ScramFirst, credential: Credential, fresh: string): ScramChallenge {
  const nonce = first.nonce + fresh;
  const text = `r=${nonce},s=${base64(credential.salt)},i=${credential.iterations}`;
  return { first, credential, nonce, text };
}

/**
 * Checks the client's proof; answers the server's final message, with which the client checks the hub.
 * @throws HubError SASL_AUTHENTICATION_FAILED
 */
export function finish(
  hashing: Hashing,
  mechanism: ScramMechanism,
  asked: ScramChallenge,
  token: Uint8Array,
): Uint8Array {
  const parts = finalForm.exec(textOf(token));
  if (!parts) throw refused("the last SCRAM message is malformed");
  const [, withoutProof, binding, nonce, , proofText] = parts as unknown as string[];
  if (binding !== base64(encoder.encode(asked.first.header))) throw refused("the channel binding differs");
  if (nonce !== asked.nonce) throw refused("the nonce differs");
  const { hash } = scramMechanisms[mechanism];
  const { storedKey, serverKey } = asked.credential;
  const proof = fromBase64(proofText!);
  if (proof === null || proof.length !== storedKey.length) throw refused("the proof is malformed");
  const message = encoder.encode(`${asked.first.bare},${asked.text},${withoutProof}`);
  const signature = hashing.hmac(hash, storedKey, message);
  const clientKey = proof.map((byte, i) => byte ^ signature[i]!);
  if (!hashing.equal(hashing.digest(hash, clientKey), storedKey)) throw refused();
  return encoder.encode(`v=${base64(hashing.hmac(hash, serverKey, message))}`);
}

/** Standard base64 with padding. */
export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** The bytes, or null when the text is no base64. */
export function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
