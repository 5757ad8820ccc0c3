// Real sockets over node:net: each data chunk is the receiver's own, each write one system call.
import net from "node:net";
import { limits } from "../limits.ts";
import type { Clock, Listener, Net, Socket } from "./ports.ts";

let lastId = 0;

class RealSocket implements Socket {
  readonly id = ++lastId;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  onData: (bytes: Uint8Array) => void = () => {};
  onClose: (error: Error | null) => void = () => {};
  onDrain: () => void = () => {};
  #socket: net.Socket;
  #error: Error | null = null;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    // kept here: node forgets them when the socket closes
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    // a machine that lost power closes nothing: who only waits for its answer would not learn of it
    socket.setKeepAlive(true, limits.tcpKeepAliveMs);
    socket.on("data", (bytes) => this.onData(bytes as Uint8Array));
    socket.on("drain", () => this.onDrain());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.onClose(this.#error));
  }

  write(parts: readonly Uint8Array[]): boolean {
    if (this.#socket.destroyed) return true;
    if (parts.length === 1) return this.#socket.write(parts[0]!);
    this.#socket.cork();
    let room = true;
    for (const part of parts) room = this.#socket.write(part);
    this.#socket.uncork();
    return room;
  }

  buffered(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** ::ffff:127.0.0.1 is 127.0.0.1 to whoever reads it. */
function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:/, "");
}

/** Opens the network of this process. */
export function openNet(clock: Clock): Net {
  return {
    listen(host, port, accept) {
      return new Promise((resolve, reject) => {
        const open = new Set<net.Socket>();
        const server = net.createServer((socket) => {
          open.add(socket);
          socket.on("close", () => open.delete(socket));
          accept(new RealSocket(socket));
        });
        server.maxConnections = limits.connectionsMax;
        server.once("error", reject);
        server.listen({ host, port, backlog: 4096 }, () => {
          server.removeListener("error", reject);
          server.on("error", () => {}); // one failed accept (EMFILE) must not end the process
          resolve(listenerOf(server, open));
        });
      });
    },
    dial(host, port, timeoutMs) {
      return new Promise((resolve, reject) => {
        const socket = net.connect({ host, port });
        const late = clock.after(timeoutMs, () => {
          socket.destroy();
          reject(new Error(`no answer from ${host}:${port} within ${timeoutMs} ms`));
        });
        socket.once("error", (error) => {
          late.cancel();
          reject(error);
        });
        socket.once("connect", () => {
          late.cancel();
          socket.removeAllListeners("error");
          resolve(new RealSocket(socket));
        });
      });
    },
  };
}

function listenerOf(server: net.Server, open: ReadonlySet<net.Socket>): Listener {
  const address = server.address() as net.AddressInfo;
  return {
    host: address.address,
    port: address.port,
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      });
    },
  };
}
