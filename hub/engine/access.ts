// Who may come in, what they may do and how much: credentials, rules and quotas of one hub, from its journal.
import type { SaslMechanism } from "../access/scram.ts";
import type { Clock, Hashing, Millis, Random } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { Credentials } from "./access_credentials.ts";
import { Logins } from "./access_login.ts";
import { Quotas } from "./access_quotas.ts";
import { Rules } from "./access_rules.ts";

export interface AccessOptions {
  readonly facts: FactStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  /** Enabled mechanisms; none = nobody is asked who they are. */
  readonly mechanisms: readonly SaslMechanism[];
  /** Whether rules decide what a principal may do. */
  readonly rules: boolean;
  /** Names of users for whom no rule counts, with or without "User:" before them. */
  readonly superUsers: readonly string[];
  readonly allowIfNoRule: boolean;
  /** The first user, who exists from the start and is a super user; their password is set at each start. */
  readonly firstUser: { readonly name: string; readonly password: string } | null;
  /** Longest life of a login (connections.max.reauth.ms); 0 = as long as the connection. */
  readonly sessionLifetimeMs: Millis;
}

export interface Access {
  readonly credentials: Credentials;
  readonly logins: Logins;
  readonly rules: Rules;
  readonly quotas: Quotas;
  readonly sessionLifetimeMs: Millis;
}

/** "ann" and "User:ann" are the same principal. */
export function principalOf(name: string): string {
  return name.includes(":") ? name : `User:${name}`;
}

/** Reads what is stored, and makes the first user. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { facts, clock, random, hashing, mechanisms, firstUser } = options;
  const credentials = new Credentials(facts, hashing, random);
  if (mechanisms.length > 0) await credentials.open();
  if (firstUser !== null) await credentials.ensure(firstUser.name, firstUser.password);
  const superUsers = options.superUsers.map(principalOf);
  if (firstUser !== null) superUsers.push(`User:${firstUser.name}`);
  return {
    credentials,
    logins: new Logins({ credentials, hashing, random, mechanisms }),
    rules: new Rules(facts, { enabled: options.rules, superUsers, allowIfNoRule: options.allowIfNoRule }),
    quotas: new Quotas(facts, clock),
    sessionLifetimeMs: options.sessionLifetimeMs,
  };
}
