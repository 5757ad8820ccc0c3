// SCRAM credentials of users, kept as facts; a user that is not there has a decoy that no password opens.
import { type Credential, credentialOf, fromBase64, base64 } from "../access/scram.ts";
import { type ScramMechanism, opensWith, scramMechanisms } from "../access/scram.ts";
import { HubError } from "../errors.ts";
import type { Hashing, Random } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { Turns } from "./turns.ts";

const prefix = "access/user/";
const secretKey = "access/secret";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const mechanismNames = Object.keys(scramMechanisms) as ScramMechanism[];

/** A change as AlterUserScramCredentials asks for it (KIP-554). */
export interface CredentialChange {
  readonly user: string;
  /** Kafka's number; any may come in. */
  readonly mechanism: number;
  /** null deletes. */
  readonly set: { readonly iterations: number; readonly salt: Uint8Array; readonly saltedPassword: Uint8Array } | null;
}

export interface Outcome {
  readonly user: string;
  readonly error: HubError | null;
}

export interface Known {
  readonly mechanism: ScramMechanism;
  readonly credential: Credential;
}

export class Credentials {
  readonly #facts: FactStore;
  readonly #hashing: Hashing;
  readonly #random: Random;
  readonly #users = new Map<string, Map<ScramMechanism, Credential>>();
  /** Makes decoys that stay the same over restarts. */
  #secret: Uint8Array = new Uint8Array(0);
  #count = 0;
  readonly #turns = new Turns();

  constructor(facts: FactStore, hashing: Hashing, random: Random) {
    this.#facts = facts;
    this.#hashing = hashing;
    this.#random = random;
    for (const [key, value] of facts.entries(prefix)) this.learn(key, value);
  }

  /** Takes over a fact, as stored here or changed on another hub; null removes. Keys of others are passed over. */
  learn(key: string, value: Uint8Array | null): void {
    if (!key.startsWith(prefix)) return;
    const [mechanism, ...name] = key.slice(prefix.length).split("/");
    if (!mechanismNames.includes(mechanism as ScramMechanism)) return;
    this.#keep(name.join("/"), mechanism as ScramMechanism, value === null ? null : decode(value));
  }

  /** Ready to check passwords when it resolves. */
  async open(): Promise<void> {
    const known = this.#facts.get(secretKey);
    this.#secret = known ?? this.#random.bytes(32);
    if (known === undefined) await this.#facts.put([[secretKey, this.#secret]]);
  }

  get size(): number {
    return this.#count;
  }

  users(): Iterable<string> {
    return this.#users.keys();
  }

  /** Mechanisms and iterations of a user; undefined when there is no such user. */
  describe(user: string): readonly Known[] | undefined {
    const held = this.#users.get(user);
    return held && [...held].map(([mechanism, credential]) => ({ mechanism, credential }));
  }

  /** The user's credential for the mechanism, else a decoy. */
  forScram(user: string, mechanism: ScramMechanism): Credential {
    const decoy = this.#decoy(user, mechanism); // made for everybody, so that nobody's absence shows in the time
    return this.#users.get(user)?.get(mechanism) ?? decoy;
  }

  /** The strongest credential of the user, to check a plain password with, else a decoy. */
  forPlain(user: string): Known {
    const mechanism = this.#model(user)?.mechanism ?? "SCRAM-SHA-512";
    const decoy = { mechanism, credential: this.#decoy(user, mechanism) };
    const held = [...(this.describe(user) ?? [])].sort((a, b) => rank(b.mechanism) - rank(a.mechanism))[0];
    return held ?? decoy;
  }

  /**
   * All or nothing for each user. Refuses with RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE, UNACCEPTABLE_CREDENTIAL,
   * UNSUPPORTED_SASL_MECHANISM, POLICY_VIOLATION; in force once it is durable.
   */
  alter(changes: readonly CredentialChange[]): Promise<Outcome[]> {
    return this.#turns.take(prefix, () => this.#alter(changes));
  }

  async #alter(changes: readonly CredentialChange[]): Promise<Outcome[]> {
    const byUser = new Map<string, CredentialChange[]>();
    for (const change of changes) {
      const known = byUser.get(change.user);
      if (known === undefined) byUser.set(change.user, [change]);
      else known.push(change);
    }
    let room = limits.credentialsMax - this.#count;
    return await Promise.all(
      [...byUser].map(async ([user, wanted]) => {
        try {
          if (new Set(wanted.map(({ mechanism }) => mechanism)).size < wanted.length) {
            throw new HubError("DUPLICATE_RESOURCE", "One credential cannot be altered twice in one request");
          }
          const rows = wanted.map((change) => this.#check(change));
          room -= rows.filter(({ mechanism, credential }) => {
            return credential !== null && this.#users.get(user)?.has(mechanism) !== true;
          }).length;
          if (room < 0) {
            throw new HubError("POLICY_VIOLATION", `${limits.credentialsMax} credentials are kept at most`);
          }
          await this.#facts.put(rows.map(({ mechanism, credential }) => row(user, mechanism, credential)));
          for (const { mechanism, credential } of rows) this.#keep(user, mechanism, credential);
          return { user, error: null };
        } catch (error) {
          if (error instanceof HubError) return { user, error };
          throw error;
        }
      }),
    );
  }

  /** Makes sure that the password is the user's, for every mechanism; stores only what differs. */
  async ensure(user: string, password: string): Promise<void> {
    const bytes = encoder.encode(password);
    const changes: CredentialChange[] = [];
    for (const mechanism of mechanismNames) {
      const { hash, number } = scramMechanisms[mechanism];
      const held = this.#users.get(user)?.get(mechanism);
      if (held) {
        const salted = await this.#hashing.stretch(hash, bytes, held.salt, held.iterations);
        if (opensWith(this.#hashing, mechanism, held, salted)) continue;
      }
      const [salt, iterations] = [this.#random.bytes(16), limits.scramIterationsMin];
      const saltedPassword = await this.#hashing.stretch(hash, bytes, salt, iterations);
      changes.push({ user, mechanism: number, set: { iterations, salt, saltedPassword } });
    }
    for (const { error } of await this.alter(changes)) if (error) throw error;
  }

  #check(change: CredentialChange) {
    const { user, set } = change;
    const bad = (detail: string): HubError => new HubError("UNACCEPTABLE_CREDENTIAL", detail);
    const mechanism = mechanismNames.find((name) => scramMechanisms[name].number === change.mechanism);
    if (user === "") throw bad("The user name is empty");
    if (user.length > limits.accessNameLengthMax) throw bad("The user name is too long");
    if (mechanism === undefined) {
      throw new HubError("UNSUPPORTED_SASL_MECHANISM", `There is no SCRAM mechanism ${change.mechanism}`);
    }
    if (set === null) {
      if (!this.#users.get(user)?.has(mechanism)) {
        throw new HubError("RESOURCE_NOT_FOUND", `There is no such credential of ${user}`);
      }
      return { mechanism, credential: null };
    }
    const { iterations, salt, saltedPassword } = set;
    if (iterations < limits.scramIterationsMin) throw bad(`Fewer than ${limits.scramIterationsMin} iterations`);
    if (iterations > limits.scramIterationsMax) throw bad(`More than ${limits.scramIterationsMax} iterations`);
    if (salt.length === 0 || salt.length > limits.scramSaltBytesMax) throw bad("The salt is empty or too long");
    if (saltedPassword.length !== (mechanism === "SCRAM-SHA-256" ? 32 : 64)) {
      throw bad("The salted password is not as long as the hash");
    }
    return { mechanism, credential: credentialOf(this.#hashing, mechanism, saltedPassword, salt, iterations) };
  }

  #keep(user: string, mechanism: ScramMechanism, credential: Credential | null): void {
    const held = this.#users.get(user) ?? new Map<ScramMechanism, Credential>();
    this.#count -= held.size;
    if (credential) held.set(mechanism, credential);
    else held.delete(mechanism);
    this.#count += held.size;
    if (held.size === 0) this.#users.delete(user);
    else this.#users.set(user, held);
  }

  /** Some credential that is there: a decoy costs what it costs. The same for the same name. */
  #model(user: string): Known | undefined {
    const all = [...this.#users.values()].flatMap((held) => [...held]);
    const draw = this.#hashing.hmac("sha256", this.#secret, encoder.encode(`model ${user}`));
    const found = all[(draw[0]! * 256 + draw[1]!) % Math.max(1, all.length)];
    return found && { mechanism: found[0], credential: found[1] };
  }

  #decoy(user: string, mechanism: ScramMechanism): Credential {
    const { hash } = scramMechanisms[mechanism];
    const drawn = (what: string): Uint8Array => this.#hashing.hmac(hash, this.#secret, encoder.encode(what + user));
    const model = this.#model(user)?.credential;
    return {
      salt: drawn("salt ").subarray(0, model?.salt.length ?? 16),
      storedKey: drawn("stored "),
      serverKey: drawn("server "),
      iterations: model?.iterations ?? limits.scramIterationsMin,
    };
  }
}

const rank = (mechanism: ScramMechanism): number => scramMechanisms[mechanism].number;

function row(
  user: string,
  mechanism: ScramMechanism,
  credential: Credential | null,
): readonly [string, Uint8Array | null] {
  return [`${prefix}${mechanism}/${user}`, credential && encode(credential)];
}

function encode({ salt, storedKey, serverKey, iterations }: Credential): Uint8Array {
  const stored = { salt: base64(salt), storedKey: base64(storedKey), serverKey: base64(serverKey), iterations };
  return encoder.encode(JSON.stringify(stored));
}

function decode(value: Uint8Array): Credential {
  const { salt, storedKey, serverKey, iterations } = JSON.parse(decoder.decode(value)) as Record<string, never>;
  const bytes = (text: string): Uint8Array => fromBase64(text) ?? new Uint8Array(0);
  return { salt: bytes(salt!), storedKey: bytes(storedKey!), serverKey: bytes(serverKey!), iterations: iterations! };
}
