// Logins: runs a SASL exchange step by step against the stored credentials.
import {
  type Credential,
  challenge,
  finish,
  opensWith,
  readPlain,
  readScramFirst,
  refused,
  type SaslMechanism,
  type ScramChallenge,
  type ScramMechanism,
  saslMechanisms,
  base64,
  scramMechanisms,
} from "../access/scram.ts";
import type { Hashing, Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Credentials } from "./access_credentials.ts";

/** One step's answer; `user` is set by the last one. */
export interface Step {
  readonly token: Uint8Array;
  readonly user: string | null;
}

/** One login under way. */
export interface Exchange {
  readonly mechanism: SaslMechanism;
  /** Takes the client's next token. Rejects with SASL_AUTHENTICATION_FAILED, after which there is no next. */
  step(token: Uint8Array): Promise<Step>;
}

export interface LoginOptions {
  readonly credentials: Credentials;
  readonly hashing: Hashing;
  readonly random: Random;
  /** Enabled, in the order they are offered. */
  readonly mechanisms: readonly SaslMechanism[];
}

const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

export class Logins {
  readonly #options: LoginOptions;
  #stretching = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  get mechanisms(): readonly SaslMechanism[] {
    return this.#options.mechanisms;
  }

  /** Begins a login; null for a mechanism that is not enabled. */
  begin(name: string): Exchange | null {
    const mechanism = saslMechanisms.find((one) => one === name);
    if (mechanism === undefined || !this.mechanisms.includes(mechanism)) return null;
    if (mechanism === "PLAIN") return { mechanism, step: (token) => this.#plain(token) };
    return this.#scram(mechanism);
  }

  /** The password is checked against the user's SCRAM credential. Whoever is not there costs the same. */
  async #plain(token: Uint8Array): Promise<Step> {
    const { user, password } = readPlain(token);
    const { credentials, hashing } = this.#options;
    const { mechanism, credential } = credentials.forPlain(user);
    const salted = await this.#stretch(mechanism, password, credential);
    if (!opensWith(hashing, mechanism, credential, salted)) throw refused();
    return { token: nothing, user };
  }

  #scram(mechanism: ScramMechanism): Exchange {
    const { credentials, hashing, random } = this.#options;
    let asked: ScramChallenge | null = null;
    const step = async (token: Uint8Array): Promise<Step> => {
      if (asked === null) {
        const first = readScramFirst(token);
        asked = challenge(first, credentials.forScram(first.user, mechanism), base64(random.bytes(18)));
        return { token: encoder.encode(asked.text), user: null };
      }
      return { token: finish(hashing, mechanism, asked, token), user: asked.first.user };
    };
    return { mechanism, step };
  }

  /** A few at a time: the threads that do this also sync the journal. */
  async #stretch(mechanism: ScramMechanism, password: Uint8Array, credential: Credential): Promise<Uint8Array> {
    if (this.#stretching >= limits.saslStretchesMax) {
      if (this.#waiting.length >= limits.saslStretchesWaitingMax) throw refused("too many logins at a time");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#stretching++;
    try {
      const { hash } = scramMechanisms[mechanism];
      return await this.#options.hashing.stretch(hash, password, credential.salt, credential.iterations);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#stretching--;
    }
  }
}
