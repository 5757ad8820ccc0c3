// Listening for MQTT over TCP: one port on each host, and one clear sentence when that is not possible.
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface Listening {
  readonly port: number;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  close(): Promise<void>;
}

/** Unread bytes kept per connection before its socket is no longer read. */
const readAheadBytes = 16 * 1024;
const backlog = 1_024;

/**
 * Listens on the same port on every host; port 0 lets the system choose. A host that this machine does not have
 * (`::1` without IPv6) is left out as long as another one is served.
 * @throws Error with one sentence for the operator when the port is taken or not allowed.
 */
export async function listenAll(
  hosts: readonly string[],
  port: number,
  accept: (socket: Socket) => void,
): Promise<Listening> {
  const servers: Server[] = [];
  const addresses: { host: string; port: number }[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  };
  let chosen = port;
  let missing: Error | null = null;
  for (const host of hosts) {
    const server = createServer({ noDelay: true, highWaterMark: readAheadBytes }, accept);
    try {
      await listen(server, host, chosen);
    } catch (error) {
      const failed = explain(error as NodeJS.ErrnoException, host, chosen);
      if (isMissing(error as NodeJS.ErrnoException) && hosts.length > 1) {
        missing ??= failed;
        continue;
      }
      await close();
      throw failed;
    }
    servers.push(server);
    chosen = (server.address() as AddressInfo).port;
    addresses.push({ host, port: chosen });
  }
  if (addresses.length === 0) throw missing ?? new Error("MQTT needs at least one host to listen on.");
  return { port: chosen, addresses, close };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog, exclusive: true }, () => {
      server.off("error", reject);
      // an accept that fails (no file handles left) must not end the process
      server.on("error", () => {});
      resolve();
    });
  });
}

/** The machine has no such address; Deno says EINVAL. */
function isMissing(error: NodeJS.ErrnoException): boolean {
  return error.code === "EADDRNOTAVAIL" || error.code === "EINVAL";
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const where = `MQTT port ${port} on ${host}`;
  switch (error.code) {
    case "EADDRINUSE":
      return new Error(`${where} is taken by another program: stop it, or choose another port (0 picks a free one).`);
    case "EACCES":
      return new Error(`${where} may not be opened by this user: choose a port from 1024 up.`);
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return new Error(`${where} cannot be opened: this machine has no such address.`);
    default:
      return new Error(`${where} cannot be opened: ${error.message}`);
  }
}
