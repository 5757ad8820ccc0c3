// Who may connect and do what over MQTT: today anonymous clients, from this machine alone unless said otherwise. Pure.

/** What a CONNECT says about who it is. */
export interface Credentials {
  readonly clientId: string;
  readonly remoteAddress: string;
  readonly username: string | null;
  readonly password: Uint8Array | null;
}

/** A decision; a refusal is a CONNACK return code of MQTT 3.1.1 (2 identifier, 4 bad credentials, 5 not authorised). */
export type Admission =
  | { readonly admitted: true; readonly principal: string }
  | { readonly admitted: false; readonly returnCode: 2 | 4 | 5; readonly reason: string };

/** Decides; called once per CONNECT, and once per topic or filter of a connection. */
export interface Access {
  connect(credentials: Credentials): Admission;
  publish(principal: string, topic: string): boolean;
  subscribe(principal: string, filter: string): boolean;
}

/** Admits anybody who connects from this machine, or from anywhere; a user name is taken as it is said. */
export function anonymousAccess(from: "loopback" | "everywhere"): Access {
  return {
    connect(credentials) {
      if (from === "everywhere" || isLoopback(credentials.remoteAddress)) {
        return { admitted: true, principal: "anonymous" };
      }
      const reason = `anonymous clients are admitted from this machine only, not from ${credentials.remoteAddress}`;
      return { admitted: false, returnCode: 5, reason };
    },
    publish: () => true,
    subscribe: () => true,
  };
}

/** 127.0.0.0/8, ::1, and the first mapped into IPv6. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}
