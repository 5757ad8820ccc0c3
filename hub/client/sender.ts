// Sends the sealed batches of a producer: one request per leader at a time and place, order kept through every retry.
import { errorNameOf, HubError } from "../errors.ts";
import type { Clock, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Connection, LocalAppend } from "./connection.ts";
import type { Acks, Identity } from "./faces.ts";
import { byTopic, judge, tellAll, unclear } from "./lane.ts";
import type { Batch, Lane } from "./lane.ts";
import { mustBeNone, pause, retrying, retryPause } from "./routes.ts";
import type { Routes } from "./routes.ts";
import { slabs } from "./slabs.ts";

/** A request is not filled beyond this, its first batch excepted. */
const requestBytesMax = 8 * 1024 * 1024;
/** The broker answers within its own timeout; the connection waits a little longer. */
const graceMs = 5_000;
/** Not used with idempotence, but the field must hold something a broker accepts. */
const transactionTimeoutMs = 60_000;

export class Sender {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #acks: Acks;
  readonly #release: (batch: Batch) => void;
  /** Whether batches bear sequences; turned off when it was not asked for and the broker does not serve it. */
  #idempotent: boolean;
  readonly #insist: boolean;
  #shared: Identity | null = null;
  #asking: Promise<Identity | null> | null = null;
  /** Lanes with waiting batches. */
  readonly #offered = new Set<Lane>();
  readonly #underWay = new Map<Connection, number>();
  #isPumping = false;

  /** @param idempotent undefined: on with acks=all, and off again when the broker cannot. */
  constructor(routes: Routes, acks: Acks, idempotent: boolean | undefined, release: (batch: Batch) => void) {
    this.#routes = routes;
    this.#clock = routes.clock;
    this.#acks = acks;
    this.#release = release;
    this.#idempotent = idempotent ?? acks === -1;
    this.#insist = idempotent === true;
    if (this.#insist && acks !== -1)
      throw new HubError("INVALID_REQUIRED_ACKS", "an idempotent producer needs acks all");
  }

  /** Tells that a lane may have something to send; `pump` sends it. */
  offer(lane: Lane): void {
    if (lane.waiting.length > 0 || lane.due) this.#offered.add(lane);
  }

  /** Asks for a topic until it is there (it may be created by asking). Rejects when it does not come. */
  async find(topic: string): Promise<void> {
    await retrying(this.#clock, async () => {
      await this.#routes.refresh([topic], true);
      if ((this.#routes.topic(topic)?.leaders.length ?? 0) > 0) return;
      const kind = this.#routes.problem(topic) ?? "UNKNOWN_TOPIC_OR_PARTITION";
      throw new HubError(kind, `topic ${topic} is not there and was not created: ${kind}`);
    });
  }

  /** Resolves when the batch is answered for good. */
  readonly whenDone = (batch: Batch): Promise<void> =>
    new Promise((resolve) => {
      const before = batch.onDone;
      batch.onDone = () => {
        before?.();
        resolve();
      };
    });

  /** Sends what may be sent now. */
  pump(): void {
    for (;;) {
      const byConnection = new Map<Connection, Batch[]>();
      const bytes = new Map<Connection, number>();
      for (const lane of this.#offered) {
        if (lane.waiting.length === 0 && !lane.due) {
          this.#offered.delete(lane);
          continue;
        }
        const connection = this.#wayFor(lane);
        if (connection === null) continue;
        if (lane.waiting.length === 0) lane.seal();
        if (lane.waiting.length === 0) continue;
        const size = lane.waiting[0]!.bytes.length;
        const sum = bytes.get(connection) ?? 0;
        if (sum > 0 && sum + size > requestBytesMax) continue;
        bytes.set(connection, sum + size);
        const batches = byConnection.get(connection);
        if (batches === undefined) byConnection.set(connection, [lane.start(connection)]);
        else batches.push(lane.start(connection));
      }
      if (byConnection.size === 0) return;
      for (const [connection, batches] of byConnection) this.#send(connection, batches);
    }
  }

  /** Where the lane's first batch can go now; null when something is awaited, which will pump again. */
  #wayFor(lane: Lane): Connection | null {
    if (lane.held) return null;
    const connection = this.#routes.leaderNow(lane.topic, lane.partition);
    if (connection === undefined) {
      this.#hold(lane, this.#locate(lane));
      return null;
    }
    if (this.#idempotent && lane.identity === null) {
      if (lane.underWay.length > 0) return null;
      if (this.#shared !== null && lane.isFirst) {
        lane.begin(this.#shared);
        return this.#wayFor(lane);
      }
      this.#hold(lane, this.#identify(lane));
      return null;
    }
    if (this.#acks === 0) {
      if (connection.buffered() < limits.connectionOutBytesMax) return connection;
      this.#hold(lane, pause(this.#clock, limits.clientRetryMs));
      return null;
    }
    if (this.#idempotent && !connection.direct) lane.takeBack(connection);
    const mustBeAlone = !this.#idempotent || lane.waiting[0]?.returned === true;
    if (mustBeAlone && lane.underWay.length > 0) return null;
    if (connection.direct) return lane.underWay.length < limits.clientLocalInFlightMax ? connection : null;
    return (this.#underWay.get(connection) ?? 0) < limits.clientProduceInFlightMax ? connection : null;
  }

  /** Nothing of the lane is sent until the promise is settled. */
  #hold(lane: Lane, until: Promise<void>): void {
    lane.held = true;
    until
      .catch((error: unknown) => this.#giveUp(lane, error as Error))
      .then(() => {
        lane.held = false;
        this.offer(lane);
        this.pump();
      });
  }

  /** Finds and dials the leader; after too many failures in a row all that waits in the lane fails. */
  async #locate(lane: Lane): Promise<void> {
    try {
      if (lane.lost > 0) await pause(this.#clock, retryPause(lane.lost - 1));
      if (lane.lost > 0 || this.#routes.topic(lane.topic) === undefined) await this.#routes.refresh([lane.topic], true);
      await this.#routes.leader(lane.topic, lane.partition);
      lane.lost = 0;
    } catch (error) {
      lane.lost += 1;
      if (lane.lost > limits.clientRetriesMax || !(error instanceof HubError && error.retriable)) throw error;
    }
  }

  /** Gives the lane an identity: the producer's own at first, one for itself alone after it broke its sequence. */
  async #identify(lane: Lane): Promise<void> {
    const identity = lane.isFirst ? await this.#sharedIdentity() : await this.#newIdentity();
    for (const batch of lane.takeDoubtful()) {
      const detail = `${lane.topic}-${lane.partition}: not known to be stored, and a batch before it is lost`;
      this.#settle(batch, new HubError("REQUEST_TIMED_OUT", detail), -1);
    }
    if (identity !== null) lane.begin(identity);
  }

  #sharedIdentity(): Promise<Identity | null> {
    this.#asking ??= this.#newIdentity().then(
      (identity) => {
        this.#shared = identity;
        return identity;
      },
      (error) => {
        this.#asking = null;
        throw error;
      },
    );
    return this.#asking;
  }

  async #newIdentity(): Promise<Identity | null> {
    try {
      return await retrying(this.#clock, async () => {
        const connection = await this.#routes.any();
        const reply = await connection.call("initProducerId", { transactionalId: null, transactionTimeoutMs });
        mustBeNone(reply.errorCode, "producer id");
        return { producerId: reply.producerId, producerEpoch: reply.producerEpoch };
      });
    } catch (error) {
      const cannot =
        error instanceof HubError &&
        (error.kind === "UNSUPPORTED_VERSION" || error.kind === "CLUSTER_AUTHORIZATION_FAILED");
      if (!cannot || this.#insist) throw error;
      this.#idempotent = false;
      return null;
    }
  }

  #giveUp(lane: Lane, error: Error): void {
    lane.seal();
    const waiting = lane.waiting;
    lane.waiting = [];
    lane.lost = 0;
    lane.breakSequence();
    for (const batch of waiting) this.#settle(batch, error, -1);
  }

  #send(connection: Connection, all: readonly Batch[]): void {
    const { append } = connection;
    const isDirect = append !== undefined && this.#acks !== 0;
    const batches = isDirect ? all.filter((batch) => !this.#append(append, batch, connection)) : all;
    if (batches.length === 0) return;
    const request = { acks: this.#acks, timeoutMs: limits.clientRequestMsMax, topicData: byTopic(batches) };
    if (this.#acks === 0) {
      this.#tell(connection, batches, request);
      return;
    }
    this.#underWay.set(connection, (this.#underWay.get(connection) ?? 0) + 1);
    const sendings = batches.map(({ sending }) => sending);
    const current = (): Batch[] =>
      batches.filter((batch, i) => batch.sending === sendings[i] && batch.lane.underWay.includes(batch));
    const doubt = this.#doubt(connection, current);
    connection.call("produce", request, limits.clientRequestMsMax + graceMs).then(
      (reply) => {
        doubt.cancel();
        this.#routes.trust(connection);
        this.#answered(connection, current(), reply);
      },
      (error: unknown) => {
        doubt.cancel();
        this.#unanswered(connection, current(), error);
      },
    );
  }

  /** Straight into the hub of this process; false: it has to be asked. */
  #append(append: LocalAppend, batch: Batch, connection: Connection): boolean {
    const { lane, sending } = batch;
    const where = `${lane.topic}-${lane.partition}`;
    let isWithin = true;
    let isRefusedAtOnce = false;
    const done = (error: HubError | null, baseOffset: number): void => {
      // never within the call that sent the records
      if (isWithin) {
        isRefusedAtOnce = error !== null;
        return void Promise.resolve().then(() => done(error, baseOffset));
      }
      if (batch.sending !== sending || !lane.underWay.includes(batch)) return;
      if (error === null) this.#delivered(batch, baseOffset);
      else this.#refused(batch, new HubError(error.kind, `${where}: ${error.message}`), connection, isRefusedAtOnce);
      this.#pumpLater();
    };
    const isTaken = append(lane.topic, lane.partition, batch.bytes, this.#acks, done);
    isWithin = false;
    return isTaken;
  }

  #delivered(batch: Batch, baseOffset: number): void {
    batch.lane.finish(batch);
    batch.lane.lost = 0;
    this.#settle(batch, null, baseOffset);
    this.#giveBack(batch);
  }

  /** The hub has it, or would not have it, and nobody else was ever sent it: its bytes are free. */
  #giveBack(batch: Batch): void {
    if (batch.sending === 1) slabs.give(batch.bytes);
  }

  /** Once for all that is answered in one go. */
  #pumpLater(): void {
    if (this.#isPumping || this.#offered.size === 0) return;
    this.#isPumping = true;
    void Promise.resolve().then(() => {
      this.#isPumping = false;
      this.pump();
    });
  }

  /** While a hub does not answer, others are asked who leads: one that is cut off never says that it does not. */
  #doubt(connection: Connection, current: () => Batch[]): Pick<Timer, "cancel"> {
    if (connection.direct) return { cancel: () => {} };
    const look = (): void => {
      timer = this.#clock.after(limits.clientDoubtMs, look);
      const topics = [...new Set(current().map(({ lane }) => lane.topic))];
      if (topics.length === 0) return;
      this.#routes.doubt(connection);
      this.#routes.metadata(topics).then(
        () => this.#lookAgain(connection, current()),
        () => {}, // it is asked again
      );
    };
    let timer = this.#clock.after(limits.clientDoubtMs, look);
    return { cancel: () => timer.cancel() };
  }

  #lookAgain(connection: Connection, batches: readonly Batch[]): void {
    for (const { lane } of batches) {
      const leader = this.#routes.topic(lane.topic)?.leaders[lane.partition]?.leader ?? -1;
      const now = this.#routes.leaderNow(lane.topic, lane.partition);
      if (leader < 0 || now === connection || lane.identity === null) continue;
      lane.takeBack(now ?? null);
      this.offer(lane);
    }
    this.pump();
  }

  #tell(connection: Connection, batches: readonly Batch[], request: Parameters<Connection["tell"]>[1]): void {
    let failure: Error | null = null;
    try {
      connection.tell("produce", request as never);
    } catch (error) {
      failure = error as Error;
    }
    // Never within the call that sent the records: `flush` may be one.
    this.#clock.soon(() => {
      for (const batch of batches) {
        batch.lane.finish(batch);
        this.#settle(batch, failure, -1);
      }
    });
  }

  #left(connection: Connection): void {
    const count = (this.#underWay.get(connection) ?? 1) - 1;
    if (count > 0) this.#underWay.set(connection, count);
    else this.#underWay.delete(connection);
  }

  #answered(connection: Connection, batches: readonly Batch[], reply: ReplyOf<"produce">): void {
    this.#left(connection);
    const answers = new Map<
      string,
      Map<number, ReplyOf<"produce">["responses"][number]["partitionResponses"][number]>
    >();
    for (const { name, partitionResponses } of reply.responses) {
      answers.set(name, new Map(partitionResponses.map((answer) => [answer.index, answer])));
    }
    for (const batch of batches) {
      const answer = answers.get(batch.lane.topic)?.get(batch.lane.partition);
      if (answer?.errorCode === 0) {
        this.#delivered(batch, answer.baseOffset);
      } else if (answer === undefined) {
        const detail = "the hub did not answer for the partition";
        this.#refused(batch, new HubError("UNKNOWN_SERVER_ERROR", detail), connection);
      } else {
        const kind = errorNameOf(answer.errorCode);
        const where = `${batch.lane.topic}-${batch.lane.partition}`;
        this.#refused(batch, new HubError(kind, `${where}: ${answer.errorMessage ?? kind}`), connection);
      }
    }
    this.pump();
  }

  #unanswered(connection: Connection, batches: readonly Batch[], error: unknown): void {
    this.#left(connection);
    const failure = error instanceof HubError ? error : new HubError("UNKNOWN_SERVER_ERROR", String(error));
    for (const batch of batches) this.#refused(batch, failure, connection);
    this.pump();
  }

  /** @param atOnce nothing of it was taken */
  #refused(batch: Batch, error: HubError, connection: Connection, atOnce = false): void {
    const { lane } = batch;
    if (unclear.has(error.kind)) batch.doubtful = true;
    const verdict = judge(batch, error, connection.direct);
    const counts = verdict === "again" || verdict === "again-anew";
    if (counts) batch.attempts += 1;
    if (!(counts || verdict === "wait-turn") || batch.attempts > limits.clientRetriesMax) {
      lane.finish(batch);
      if (verdict !== "delivered" && verdict !== "unknown") lane.breakSequence();
      this.#settle(batch, verdict === "delivered" ? null : error, -1);
      if (atOnce) this.#giveBack(batch);
      return;
    }
    lane.retry(batch);
    this.offer(lane);
    if (verdict === "again-anew") lane.breakSequence();
    // a leader that gave way names no pause: who leads now is known already
    const moved = error.kind === "NOT_LEADER_OR_FOLLOWER" && batch.attempts === 1;
    if (counts && !lane.held) this.#hold(lane, this.#recover(lane, moved ? null : batch.attempts - 1));
  }

  /** A pause, if any, and a look where the leader is now. */
  async #recover(lane: Lane, attempt: number | null): Promise<void> {
    if (attempt !== null) await pause(this.#clock, retryPause(attempt));
    await this.#routes.refresh([lane.topic], true).catch(() => {});
  }

  #settle(batch: Batch, error: Error | null, baseOffset: number): void {
    this.#release(batch);
    tellAll(batch, error, baseOffset, (thrown) => {
      this.#clock.soon(() => {
        throw thrown;
      });
    });
    batch.onDone?.();
  }
}
