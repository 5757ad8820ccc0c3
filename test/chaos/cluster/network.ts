// The network of a chaos run: a namespace per hub where the system allows it, so that links can be cut one by one.
import { execFileSync } from "node:child_process";

/** Where hubs, Redis and clients live, and how links between them are cut. */
export interface ChaosNetwork {
  readonly kind: "namespaces" | "loopback";
  /** Address of a hub, 1-based. */
  hubHost(hub: number): string;
  readonly redisHost: string;
  readonly clientHost: string;
  /** Puts a command into the hub's network. */
  command(hub: number, program: string, args: readonly string[]): [string, string[]];
  /** What `from` sends to `to` gets lost until `heal`. */
  cut(from: number | "redis" | "clients", to: number | "redis" | "clients"): void;
  heal(): void;
  remove(): void;
}

const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });

/** Namespaces need root; without them every hub is on loopback and no link is ever cut. */
export function openNetwork(hubs: number): ChaosNetwork {
  try {
    return new Namespaces(hubs);
  } catch (error) {
    console.error(`chaos: no network namespaces (${(error as Error).message.split("\n")[0]}): links are not cut`);
    return loopback;
  }
}

const loopback: ChaosNetwork = {
  kind: "loopback",
  hubHost: () => "127.0.0.1",
  redisHost: "127.0.0.1",
  clientHost: "127.0.0.1",
  command: (_hub, program, args) => [program, [...args]],
  cut() {},
  heal() {},
  remove() {},
};

class Namespaces implements ChaosNetwork {
  readonly kind = "namespaces";
  readonly #name = `pd${process.pid}`;
  readonly #net = `10.77.${process.pid % 250}`;
  readonly #hubs: number;
  #cuts: (() => void)[] = [];

  constructor(hubs: number) {
    this.#hubs = hubs;
    try {
      ip("link", "add", this.#name, "type", "bridge");
      ip("addr", "add", `${this.clientHost}/24`, "dev", this.#name);
      ip("addr", "add", `${this.redisHost}/24`, "dev", this.#name);
      ip("link", "set", this.#name, "up");
      for (let hub = 1; hub <= hubs; hub++) this.#add(hub);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  #add(hub: number): void {
    const space = this.#space(hub);
    const [outside, inside] = [`${this.#name}-${hub}`, "eth0"];
    ip("netns", "add", space);
    ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", space);
    ip("link", "set", outside, "master", this.#name);
    ip("link", "set", outside, "up");
    ip("-n", space, "link", "set", "lo", "up");
    ip("-n", space, "addr", "add", `${this.hubHost(hub)}/24`, "dev", inside);
    ip("-n", space, "link", "set", inside, "up");
  }

  #space(hub: number): string {
    return `${this.#name}h${hub}`;
  }

  hubHost(hub: number): string {
    return `${this.#net}.${hub}`;
  }

  get clientHost(): string {
    return `${this.#net}.254`;
  }

  get redisHost(): string {
    return `${this.#net}.253`;
  }

  command(hub: number, program: string, args: readonly string[]): [string, string[]] {
    // Not `ip netns exec`: it copies all mounts, and a file system that others still have mounted is never gone.
    return ["nsenter", [`--net=/run/netns/${this.#space(hub)}`, program, ...args]];
  }

  cut(from: number | "redis" | "clients", to: number | "redis" | "clients"): void {
    const host = typeof to === "number" ? this.hubHost(to) : to === "redis" ? this.redisHost : this.clientHost;
    // Only hubs have a routing table of their own: what Redis or clients send is cut by the answer that never comes.
    if (typeof from !== "number") return;
    const space = this.#space(from);
    try {
      ip("-n", space, "route", "add", "blackhole", `${host}/32`);
      this.#cuts.push(() => ip("-n", space, "route", "del", "blackhole", `${host}/32`));
    } catch {
      // cut already
    }
  }

  heal(): void {
    for (const undo of this.#cuts.splice(0)) undo();
  }

  remove(): void {
    const quiet = (...args: string[]): void => {
      try {
        ip(...args);
      } catch {
        // was not there
      }
    };
    for (let hub = 1; hub <= this.#hubs; hub++) quiet("netns", "del", this.#space(hub));
    quiet("link", "del", this.#name);
  }
}
