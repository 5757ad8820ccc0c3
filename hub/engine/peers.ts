// The other hubs as this one calls them: connections kept by purpose, deadlines, and who is gone or silent.
import { type Connection, dial, type DialOptions, type Greet } from "../client/connection.ts";
import type { HubId } from "../cluster/types.ts";
import { errorNameOf, HubError } from "../errors.ts";
import type { Clock, Hashing, Millis, Net, Random, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { ApiName, CallOf, ReplyOf } from "../wire/apis.ts";
import { type Introduction, nonceBytes, proofOf } from "./hub_proof.ts";
import { PeerLink } from "./peer_link.ts";

/** `gone`: closed, and the redial refused. `silent`: nothing answered for `limits.peerSilentMs`. */
export type PeerState = "open" | "gone" | "silent";

export interface PeersOptions {
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly trace: Trace;
  /** Read at each hello. */
  readonly me: { readonly clusterId: string; readonly hubId: HubId; readonly dirId: string; readonly session: string };
  /** `[cluster] secret`; null: the network is trusted. */
  readonly secret: string | null;
  /** Where a registered hub listens. */
  addressOf(hub: HubId): { readonly host: string; readonly port: number } | undefined;
}

/**
 * Answers of one connection come in the order of the requests, so what takes its time has a connection of its own:
 * `control` is for what is answered at once and tells who lives, `fetch` for fetches that wait at the leader.
 */
type Purpose = "control" | "work" | "fetch" | "transactions" | "ends" | "repair";

const purposes: { readonly [N in ApiName]?: Purpose } = {
  hubHello: "control",
  vote: "control",
  replicaStates: "control",
  replicaRange: "repair",
  fetch: "fetch",
  txnGate: "transactions",
  txnHold: "transactions",
  heldOffsets: "transactions",
  // they wait for their commit, and what others ask of a transaction shall not wait behind that
  writeTxnMarkers: "ends",
  groupDecided: "ends",
};

interface Peer {
  readonly hub: HubId;
  readonly links: Map<Purpose, PeerLink>;
  state: PeerState | null;
  /** Control calls without an answer. */
  unanswered: number;
  heardAt: Millis;
  beat: Timer | null;
  /** Why its last hello was refused, so that one reason is told once. */
  refusal: string;
}

const nothing = new Uint8Array(0);

export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<HubId, Peer>();
  readonly #listeners: ((hub: HubId, state: PeerState) => void)[] = [];
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /**
   * Asks another hub. Calls of one purpose leave in the order they are made. Rejects with NETWORK_EXCEPTION when that
   * hub is not registered, cannot be reached or the connection broke (whether the call took effect is unknown then),
   * with REQUEST_TIMED_OUT after `timeoutMs`, with the refusal when its hello was refused.
   */
  call<N extends ApiName>(hub: HubId, api: N, request: CallOf<N>, timeoutMs: Millis): Promise<ReplyOf<N>> {
    if (this.#closed) return Promise.reject(new HubError("NETWORK_EXCEPTION", "this hub stops"));
    const peer = this.#peerOf(hub);
    const purpose = purposes[api] ?? "work";
    const link = this.#linkOf(peer, purpose);
    if (purpose === "fetch") return link.send(api, request, timeoutMs);
    return this.#ask(peer, purpose, link.send(api, request, timeoutMs + limits.peerGraceMs), `${api}`, timeoutMs);
  }

  /**
   * A connection of its own for a client of this hub's rooms: the other hub lets it in as a hub, where clients log in
   * too, and takes what only hubs write.
   */
  open(hub: HubId, clientId: string): Promise<Connection> {
    if (this.#closed) return Promise.reject(new HubError("NETWORK_EXCEPTION", "this hub stops"));
    return this.#dial(this.#peerOf(hub), clientId, () => {}, { asClient: true });
  }

  /** Keeps a connection to the hub from now on, so that its state is told whether it is called or not. Idempotent. */
  watch(hub: HubId): void {
    if (!this.#closed && hub !== this.#options.me.hubId) this.#peerOf(hub);
  }

  /** Closes what leads to a hub that is no more of the cluster; its state is told no more. */
  forget(hub: HubId): void {
    const peer = this.#peers.get(hub);
    if (peer === undefined) return;
    this.#peers.delete(hub);
    this.#end(peer);
  }

  /** null while nothing is known. */
  state(hub: HubId): PeerState | null {
    return this.#peers.get(hub)?.state ?? null;
  }

  /** Each change is told once. */
  onState(listener: (hub: HubId, state: PeerState) => void): void {
    this.#listeners.push(listener);
  }

  /** Idempotent; calls under way reject. */
  close(): void {
    this.#closed = true;
    for (const peer of this.#peers.values()) this.#end(peer);
    this.#peers.clear();
  }

  #end(peer: Peer): void {
    peer.beat?.cancel();
    for (const link of peer.links.values()) link.close();
  }

  #peerOf(hub: HubId): Peer {
    let peer = this.#peers.get(hub);
    if (peer === undefined) {
      peer = { hub, links: new Map(), state: null, unanswered: 0, heardAt: 0, beat: null, refusal: "" };
      this.#peers.set(hub, peer);
      this.#beat(peer);
    }
    return peer;
  }

  #linkOf(peer: Peer, purpose: Purpose): PeerLink {
    let link = peer.links.get(purpose);
    if (link === undefined) {
      link = this.#newLink(peer, purpose);
      peer.links.set(purpose, link);
    }
    return link;
  }

  #newLink(peer: Peer, purpose: Purpose): PeerLink {
    const { clock, random, me } = this.#options;
    const control = purpose === "control";
    const link: PeerLink = new PeerLink({
      clock,
      random,
      dial: (closed) => this.#dial(peer, `hub-${me.hubId}-${purpose}`, closed),
      opened: () => {
        if (control) this.#heard(peer);
      },
      failed: (error) => {
        this.#explain(peer, error);
        if (control) this.#tell(peer, wasRefused(error) ? "gone" : "silent");
      },
      // whichever broke: a hub that ended closed all of them, and the redial tells
      lost: () => {
        if (control) link.reach();
        else this.#ping(peer);
      },
    });
    return link;
  }

  #dial(
    peer: Peer,
    clientId: string,
    onClosed: () => void,
    options: Pick<DialOptions, "asClient"> = {},
  ): Promise<Connection> {
    const { net, clock } = this.#options;
    const address = this.#options.addressOf(peer.hub);
    if (address === undefined) {
      return Promise.reject(new HubError("NETWORK_EXCEPTION", `hub ${peer.hub} is not registered`));
    }
    const { host, port } = address;
    const connectMsMax = limits.peerConnectMsMax;
    const greet: Greet = (ask) => this.#greet(peer, ask);
    return dial({ net, clock, clientId, host, port, connectMsMax, onClosed, greet, ...options });
  }

  /** Introduces this hub, and proves on both sides that the secret is known where there is one. */
  async #greet(peer: Peer, ask: Parameters<Greet>[0]): ReturnType<Greet> {
    const { me, secret, random, hashing } = this.#options;
    const { clusterId, hubId, dirId, session } = me;
    const nonce = secret === null ? nothing : random.bytes(nonceBytes);
    const hello = { clusterId, hubId, dirId, session, toHubId: peer.hub, nonce, proof: nothing };
    const first = await ask("hubHello", hello, limits.peerSilentMs);
    check(peer.hub, first);
    if (secret === null) {
      if (!first.accepted) throw denied("it has a [cluster] secret, this hub has none");
      return first.apiKeys;
    }
    if (first.accepted) throw denied("it has no [cluster] secret, this hub has");
    const to = { hubId: first.hubId, dirId: first.dirId, session: first.session, nonce: first.nonce };
    const introduction: Introduction = { clusterId, from: { hubId, dirId, session, nonce }, to };
    const proof = proofOf(hashing, secret, "caller", introduction);
    const second = await ask("hubHello", { ...hello, proof }, limits.peerSilentMs);
    check(peer.hub, second);
    const proven = second.accepted && hashing.equal(second.proof, proofOf(hashing, secret, "called", introduction));
    if (!proven) throw denied("it does not know the [cluster] secret");
    return second.apiKeys;
  }

  /** A deadline of its own, after which the connection goes on; and the watch over who answers nothing. */
  #ask<Reply>(peer: Peer, purpose: Purpose, answer: Promise<Reply>, what: string, timeoutMs: Millis): Promise<Reply> {
    const { clock } = this.#options;
    const control = purpose === "control";
    const silent = control ? clock.after(limits.peerSilentMs, () => this.#tell(peer, "silent")) : null;
    if (control) peer.unanswered += 1;
    const answered = (): void => {
      silent?.cancel();
      if (control) peer.unanswered -= 1;
    };
    return new Promise((resolve, reject) => {
      const late = clock.after(timeoutMs, () => {
        reject(new HubError("REQUEST_TIMED_OUT", `hub ${peer.hub} did not answer ${what} in ${timeoutMs} ms`));
      });
      answer.then(
        (reply) => {
          answered();
          late.cancel();
          if (control) this.#heard(peer);
          resolve(reply);
        },
        (error: unknown) => {
          answered();
          late.cancel();
          reject(error as Error);
        },
      );
    });
  }

  #heard(peer: Peer): void {
    peer.heardAt = this.#options.clock.now();
    peer.refusal = "";
    this.#tell(peer, "open");
  }

  #tell(peer: Peer, state: PeerState): void {
    if (peer.state === state || this.#peers.get(peer.hub) !== peer) return;
    peer.state = state;
    this.#options.trace.event(state === "open" ? "info" : "warn", "peer_state", { hub: peer.hub, state });
    for (const listener of this.#listeners) listener(peer.hub, state);
  }

  #explain(peer: Peer, error: unknown): void {
    if (!(error instanceof HubError) || error.kind === "NETWORK_EXCEPTION" || error.kind === "REQUEST_TIMED_OUT")
      return;
    if (error.message === peer.refusal) return;
    peer.refusal = error.message;
    this.#options.trace.event("warn", "hub_hello_failed", { hub: peer.hub, error: error.kind, why: error.message });
  }

  /** Asks how the hub is when it said nothing of itself for a while, and dials it when it is not connected. */
  #beat(peer: Peer): void {
    const quietMs = this.#options.clock.now() - peer.heardAt;
    if (peer.unanswered === 0 && (quietMs >= limits.peerPingMs / 2 || peer.state !== "open")) this.#ping(peer);
    peer.beat = this.#options.clock.after(limits.peerPingMs, () => this.#beat(peer));
  }

  #ping(peer: Peer): void {
    const link = this.#linkOf(peer, "control");
    if (!link.open) {
      link.reach();
      return;
    }
    const { clusterId, hubId, dirId, session } = this.#options.me;
    const ping = { clusterId, hubId, dirId, session, toHubId: peer.hub, nonce: nothing, proof: nothing };
    const answer = link.send("hubHello", ping, limits.peerSilentMs + limits.peerGraceMs);
    // a ping that fails has told what there is to tell
    this.#ask(peer, "control", answer, "hubHello", limits.peerSilentMs + limits.peerGraceMs).catch(() => {});
  }
}

function denied(why: string): HubError {
  return new HubError("CLUSTER_AUTHORIZATION_FAILED", `The other hub is not believed: ${why}`);
}

function check(hub: HubId, reply: ReplyOf<"hubHello">): void {
  if (reply.errorCode !== 0) throw new HubError(errorNameOf(reply.errorCode), reply.errorMessage ?? undefined);
  if (reply.hubId !== hub) throw denied(`hub ${reply.hubId} answers at the address of hub ${hub}`);
}

/** A closed port, or one that closes what it has taken: nobody is there. What does not answer may only be slow. */
function wasRefused(error: unknown): boolean {
  if (!(error instanceof HubError) || error.kind !== "NETWORK_EXCEPTION") return false;
  const cause = error.cause as { readonly code?: unknown } | undefined;
  return cause === undefined
    ? error.message.includes("broke")
    : cause.code === "ECONNREFUSED" || cause.code === "ECONNRESET";
}
