// A simulated network: streams of bytes with delay and bandwidth, cut in one direction or both, dropped and half-open.
import type { Listener, Net, Socket } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/limits.ts";
import type { Machine, World } from "./world.ts";

interface Listening {
  readonly machine: Machine;
  readonly life: number;
  readonly accept: (socket: Socket) => void;
}

/** What a link does to what goes over it in one direction. */
interface Link {
  cut: boolean;
  delayMs: number;
  bytesPerMs: number;
}

const bufferMark = 64 * 1024;
/** As the system asks a silent machine: so often, and so far apart. */
const keepAliveProbes = 10;
const keepAliveProbeMs = 1000;

function fault(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

export class SimNet {
  readonly #world: World;
  readonly #chance: () => number;
  readonly #listeners = new Map<string, Listening>();
  readonly #links = new Map<string, Link>();
  readonly #sockets = new Set<SimSocket>();
  #lastId = 0;
  #lastPort = 40_000;

  constructor(world: World) {
    this.#world = world;
    this.#chance = world.fork();
  }

  link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (!link) this.#links.set(key, (link = { cut: false, delayMs: 0.3, bytesPerMs: 50_000 }));
    return link;
  }

  /** Bytes wait at a cut link, as they do with a sender that repeats them. */
  cut(from: string, to: string): void {
    this.link(from, to).cut = true;
  }

  /** All links as at the start; what waited goes on. */
  heal(): void {
    for (const link of this.#links.values()) Object.assign(link, { cut: false, delayMs: 0.3, bytesPerMs: 50_000 });
    for (const socket of this.#sockets) socket.pump();
  }

  delay(from: string, to: string): number {
    const { delayMs } = this.link(from, to);
    return delayMs * (0.5 + this.#chance());
  }

  /** Connections between two hosts break, as when a machine between them forgets them. */
  drop(one: string, other: string): void {
    for (const socket of [...this.#sockets]) {
      const ends = [socket.machine.host, socket.remoteAddress];
      if (ends.includes(one) && ends.includes(other)) socket.broken("ECONNRESET");
    }
  }

  /** The process ends: its kernel closes what it had, and refuses what comes. */
  killed(machine: Machine): void {
    for (const [address, listening] of this.#listeners)
      if (listening.machine === machine) this.#listeners.delete(address);
    for (const socket of [...this.#sockets]) if (socket.machine === machine) socket.destroy();
  }

  /** The power goes: nobody is told. */
  lost(machine: Machine): void {
    for (const [address, listening] of this.#listeners)
      if (listening.machine === machine) this.#listeners.delete(address);
    for (const socket of [...this.#sockets]) {
      if (socket.machine !== machine) continue;
      socket.vanished = true;
      this.#sockets.delete(socket);
      socket.peer!.keepAlive(limits.tcpKeepAliveMs, keepAliveProbes);
    }
  }

  forget(socket: SimSocket): void {
    this.#sockets.delete(socket);
  }

  portOf(machine: Machine): Net {
    const { life } = machine;
    const never = (): Promise<never> => new Promise(() => {}); // of a process that is no more
    return {
      listen: (host, port, accept) => (machine.life === life ? this.#listen(machine, host, port, accept) : never()),
      dial: (host, port, timeoutMs) => (machine.life === life ? this.#dial(machine, host, port, timeoutMs) : never()),
    };
  }

  #listen(machine: Machine, host: string, port: number, accept: (socket: Socket) => void): Promise<Listener> {
    const at = `${machine.host}:${port}`;
    return new Promise((resolve, reject) => {
      this.#world.at(machine, 0, () => {
        if (this.#listeners.has(at)) return reject(fault("EADDRINUSE", at));
        this.#listeners.set(at, { machine, life: machine.life, accept });
        resolve({
          host,
          port,
          close: async () => {
            this.#listeners.delete(at);
            for (const socket of [...this.#sockets]) {
              if (socket.machine === machine && socket.localPort === port) socket.destroy();
            }
          },
        });
      });
    });
  }

  #dial(machine: Machine, host: string, port: number, timeoutMs: number): Promise<Socket> {
    const world = this.#world;
    return new Promise((resolve, reject) => {
      const late = world.at(machine, timeoutMs / machine.rate, () => {
        reject(fault("ETIMEDOUT", `no answer from ${host}:${port} within ${timeoutMs} ms`));
      });
      const { life } = machine;
      // Two steps as SYN and its answer; either may meet a cut, and is not repeated.
      world.time.after(this.delay(machine.host, host), () => {
        if (this.link(machine.host, host).cut) return;
        const there = this.#listeners.get(`${host}:${port}`);
        const up = this.#powered(host);
        world.time.after(this.delay(host, machine.host), () => {
          if (this.link(host, machine.host).cut || !up || machine.life !== life || !machine.running) return;
          late.cancel();
          if (!there || there.life !== there.machine.life || !there.machine.running) {
            return void world.at(machine, 0, () => reject(fault("ECONNREFUSED", `${host}:${port}`)));
          }
          this.#connect(machine, there, port, resolve);
        });
      });
    });
  }

  readonly machines = new Map<string, Machine>();

  #powered(host: string): boolean {
    return this.machines.get(host)?.powered ?? false;
  }

  #connect(from: Machine, there: Listening, port: number, resolve: (socket: Socket) => void): void {
    this.#lastPort += 1;
    const local = { port: this.#lastPort };
    const mine = new SimSocket(this.#world, this, from, ++this.#lastId, local.port, there.machine.host, port);
    const theirs = new SimSocket(this.#world, this, there.machine, ++this.#lastId, port, from.host, local.port);
    mine.peer = theirs;
    theirs.peer = mine;
    this.#sockets.add(mine);
    this.#sockets.add(theirs);
    this.#world.at(there.machine, 0, () => {
      there.accept(theirs);
      theirs.pump();
    });
    this.#world.at(from, 0, () => resolve(mine));
  }
}

interface Segment {
  readonly at: number;
  /** null: the other side closed. */
  readonly bytes: Uint8Array | null;
}

/** One end of a connection; what it is sent waits in `#inbound`. */
export class SimSocket implements Socket {
  readonly id: number;
  readonly machine: Machine;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  onData: (bytes: Uint8Array) => void = () => {};
  onClose: (error: Error | null) => void = () => {};
  onDrain: () => void = () => {};
  peer: SimSocket | null = null;
  /** Its machine lost power: whoever writes to it learns so when the machine is back. */
  vanished = false;
  readonly #world: World;
  readonly #net: SimNet;
  readonly #life: number;
  #inbound: Segment[] = [];
  #inboundBytes = 0;
  #paused = false;
  #ending = false;
  #closed = false;
  #pumping = false;
  #full = false;
  #busyUntil = 0;

  constructor(
    world: World,
    net: SimNet,
    machine: Machine,
    id: number,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
  ) {
    this.#world = world;
    this.#net = net;
    this.machine = machine;
    this.#life = machine.life;
    this.id = id;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  get localAddress(): string {
    return this.machine.host;
  }

  write(parts: readonly Uint8Array[]): boolean {
    if (this.#closed || this.#ending || this.machine.life !== this.#life) return true;
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const peer = this.peer!;
    if (peer.vanished) {
      // A machine that is back knows nothing of this connection and says so.
      if (peer.machine.powered && peer.machine.running) {
        this.#world.at(this.machine, 1, () => this.broken("ECONNRESET"), this.#life);
      }
      return true;
    }
    peer.#arrive(bytes);
    this.#full = peer.#inboundBytes > bufferMark;
    return !this.#full;
  }

  #arrive(bytes: Uint8Array | null): void {
    if (this.#closed) return;
    const { bytesPerMs } = this.#net.link(this.remoteAddress, this.machine.host);
    const sent = Math.max(this.#world.now, this.#busyUntil);
    this.#busyUntil = sent + (bytes?.length ?? 0) / bytesPerMs;
    const at = this.#busyUntil + this.#net.delay(this.remoteAddress, this.machine.host);
    const last = this.#inbound.at(-1)?.at ?? 0;
    this.#inbound.push({ at: Math.max(at, last), bytes });
    this.#inboundBytes += bytes?.length ?? 0;
    this.pump();
  }

  /** Hands over what has arrived, one segment an event. */
  pump(): void {
    const first = this.#inbound[0];
    if (first === undefined || this.#pumping || this.#paused || this.#closed) return;
    if (this.#net.link(this.remoteAddress, this.machine.host).cut) return;
    this.#pumping = true;
    this.#world.at(
      this.machine,
      Math.max(0, first.at - this.#world.now),
      () => {
        this.#pumping = false;
        if (this.#paused || this.#closed || this.#net.link(this.remoteAddress, this.machine.host).cut) return;
        this.#inbound.shift();
        if (first.bytes === null) return this.#close(null);
        this.#inboundBytes -= first.bytes.length;
        this.pump();
        const peer = this.peer!;
        if (peer.#full && this.#inboundBytes < bufferMark / 2) {
          peer.#full = false;
          this.#world.at(
            peer.machine,
            0,
            () => {
              if (!peer.#closed) peer.onDrain();
            },
            peer.#life,
          );
        }
        this.onData(first.bytes);
      },
      this.#life,
    );
  }

  buffered(): number {
    const waiting = this.peer!.#inboundBytes;
    return waiting > bufferMark ? waiting - bufferMark : 0;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.pump();
  }

  /** The other side gets all that was written, then the end; its own end comes back. */
  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.peer!.#arrive(null);
  }

  destroy(): void {
    if (this.#closed) return;
    this.peer!.#arrive(null);
    this.#closed = true;
    this.#net.forget(this);
    this.#world.at(this.machine, 0, () => this.onClose(null), this.#life);
  }

  /** The other machine lost power: one that is back denies the connection, one that stays silent is given up. */
  keepAlive(afterMs: number, probes: number): void {
    const ask = (): void => {
      if (this.#closed) return;
      const { powered, running } = this.peer!.machine;
      if (powered && running) this.broken("ECONNRESET");
      else if (probes === 0) this.broken("ETIMEDOUT");
      else this.keepAlive(keepAliveProbeMs, probes - 1);
    };
    this.#world.at(this.machine, afterMs, ask, this.#life);
  }

  /** Both sides learn of it at once. */
  broken(code: string): void {
    for (const end of [this, this.peer!]) {
      if (end.#closed || end.vanished) continue;
      end.#closed = true;
      this.#net.forget(end);
      const error = fault(code, `${end.remoteAddress}:${end.remotePort}`);
      this.#world.at(end.machine, 0, () => end.onClose(error), end.#life);
    }
  }

  /** The other side is done; this one is then, too. */
  #close(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#net.forget(this);
    if (!this.#ending) this.peer!.#arrive(null);
    this.onClose(error);
  }
}
