// The WebSocket to the hub: subscriptions that resume where they were, credit, reconnecting, and a watchdog.
// @ts-check

/**
 * @typedef {{ id: number, partition: number, first: number, next: number, records: any[][],
 *   conflated?: number, dropped?: number, slow?: boolean }} Frame
 * @typedef {{ topic: string, from: unknown, keys?: string[], partitions?: number[], every?: number,
 *   historyEvery?: number, headers?: true | string[] }} Wanted
 * @typedef {{ onFrame: (frame: Frame) => void, onState?: (state: SubscriptionState) => void,
 *   onGap?: (missing: number) => void }} Taker
 * @typedef {"waiting" | "history" | "live"} SubscriptionState
 * @typedef {"connecting" | "live" | "catching" | "lost" | "starting"} LinkState
 * @typedef {{ id: number, wanted: Wanted, taker: Taker, topicId: string | null, next: Map<number, number>,
 *   state: SubscriptionState, taken: number }} Subscription
 */

const creditAhead = 20_000;
const creditStep = 2000;
const retryMsMin = 200;
const retryMsMax = 1500;
const silenceMsMax = 12_000;

export class Link extends EventTarget {
  /** @type {LinkState} */
  state = "connecting";
  /** Hub's clock minus ours, ms. */
  skew = 0;
  /** Records replaced by newer ones in the last full second, and whether this browser was why. */
  conflated = 0;
  slow = false;
  /** Records that the log no longer had when we asked for them. */
  missed = 0;
  received = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<number, Subscription>} */
  #subscriptions = new Map();
  /** @type {Map<string, Set<(message: any) => void>>} */
  #watchers = new Map();
  #ids = 0;
  #tries = 0;
  #heard = 0;
  #retry = 0;
  #conflatedNow = 0;
  #slowNow = false;

  start() {
    this.#connect();
    setInterval(() => this.#second(), 1000);
    addEventListener("online", () => this.#soon());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#soon();
    });
  }

  /** Now, by the hub's clock. */
  now() {
    return Date.now() + this.skew;
  }

  /** @param {Wanted} wanted @param {Taker} taker @returns {() => void} ends the subscription */
  subscribe(wanted, taker) {
    const id = ++this.#ids;
    /** @type {Subscription} */
    const subscription = { id, wanted, taker, topicId: null, next: new Map(), state: "waiting", taken: 0 };
    this.#subscriptions.set(id, subscription);
    this.#sendSubscribe(subscription);
    return () => {
      this.#subscriptions.delete(id);
      this.#send({ type: "unsubscribe", id });
    };
  }

  /** @param {"topics" | "groups"} what @param {(message: any) => void} take @returns {() => void} */
  watch(what, take) {
    const takers = this.#watchers.get(what) ?? new Set();
    this.#watchers.set(what, takers);
    takers.add(take);
    this.#send({ type: "watch", what });
    return () => {
      takers.delete(take);
      if (takers.size === 0) this.#send({ type: "unwatch", what });
    };
  }

  #connect() {
    clearTimeout(this.#retry);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#take(event.data);
    };
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      for (const subscription of this.#subscriptions.values()) this.#sendSubscribe(subscription);
      for (const [what, takers] of this.#watchers) if (takers.size > 0) this.#send({ type: "watch", what });
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #lost() {
    this.#socket = null;
    this.#set("lost");
    for (const subscription of this.#subscriptions.values()) this.#setState(subscription, "waiting");
    // half of the wait is chance, so that the browsers of a hub that restarts do not all come at once
    const wait = Math.min(retryMsMax, retryMsMin * 2 ** this.#tries++);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), wait / 2 + (Math.random() * wait) / 2);
  }

  #soon() {
    if (this.#socket === null) this.#connect();
  }

  #second() {
    this.conflated = this.#conflatedNow;
    this.slow = this.#slowNow;
    this.#conflatedNow = 0;
    this.#slowNow = false;
    // the hub says something each 5 s: a silent socket is a dead one, whatever the system thinks
    if (this.#socket !== null && performance.now() - this.#heard > silenceMsMax) {
      const dead = this.#socket;
      this.#lost();
      dead.close();
    }
  }

  /** @param {Subscription} subscription */
  #sendSubscribe(subscription) {
    const { id, wanted, next, topicId } = subscription;
    subscription.taken = 0;
    const from = next.size === 0 ? wanted.from : { offsets: Object.fromEntries(next) };
    this.#send({ type: "subscribe", id, ...wanted, from, topicId, credit: creditAhead });
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {string} text */
  #take(text) {
    this.#heard = performance.now();
    const message = JSON.parse(text);
    if (message.records !== undefined && message.type === undefined) return this.#frame(message);
    const subscription = this.#subscriptions.get(message.id);
    switch (message.type) {
      case "hello":
      case "beat":
        this.skew = message.time - Date.now();
        this.#tries = 0;
        if (message.status === "starting") this.#set("starting");
        else this.#settle();
        break;
      case "subscribed":
        if (subscription === undefined) break;
        subscription.topicId = message.topicId;
        if (message.anew) subscription.next.clear();
        for (const { partition, from } of message.partitions) subscription.next.set(partition, from);
        this.#setState(subscription, "history");
        break;
      case "live":
        if (subscription !== undefined) this.#setState(subscription, "live");
        break;
      case "gap":
        if (message.got > message.wanted) this.missed += message.got - message.wanted;
        subscription?.taker.onGap?.(message.got - message.wanted);
        break;
      case "changed":
        if (subscription !== undefined) this.#sendSubscribe(subscription);
        break;
      case "error":
        console.warn(`hub: ${message.message}`);
        if (message.retry && subscription !== undefined) setTimeout(() => this.#again(subscription), 1000);
        break;
      default:
        for (const take of this.#watchers.get(message.type) ?? []) take(message);
    }
  }

  /** @param {Subscription} subscription */
  #again(subscription) {
    if (this.#subscriptions.has(subscription.id)) this.#sendSubscribe(subscription);
  }

  /** @param {Frame} frame */
  #frame(frame) {
    const subscription = this.#subscriptions.get(frame.id);
    if (subscription === undefined) return;
    this.received += frame.records.length;
    this.#conflatedNow += subscription.state === "live" ? (frame.conflated ?? 0) + (frame.dropped ?? 0) : 0;
    if (frame.slow) this.#slowNow = true;
    subscription.taker.onFrame(frame);
    subscription.next.set(frame.partition, frame.next);
    subscription.taken += frame.records.length;
    if (subscription.taken < creditStep) return;
    this.#send({ type: "credit", id: frame.id, n: subscription.taken });
    subscription.taken = 0;
  }

  /** @param {Subscription} subscription @param {SubscriptionState} state */
  #setState(subscription, state) {
    subscription.state = state;
    subscription.taker.onState?.(state);
    if (this.#socket !== null) this.#settle();
  }

  #settle() {
    const catching = [...this.#subscriptions.values()].some(({ state }) => state === "history");
    this.#set(catching ? "catching" : "live");
  }

  /** @param {LinkState} state */
  #set(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
