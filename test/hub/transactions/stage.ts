// A stage for stories about one transactional id: producers with names, a log that takes, holds or refuses, markers.
import type { CommittedOffset } from "../../../hub/io/registry.ts";
import * as machine from "../../../hub/transactions/coordinator.ts";
import { decodeLogRecord, encodeLogRecord } from "../../../hub/transactions/record.ts";
import type {
  End,
  Image,
  LogRecord,
  Reply,
  TransactionEffect,
  TransactionSettings,
} from "../../../hub/transactions/transaction.ts";

const day = 24 * 60 * 60 * 1000;

export const settings: TransactionSettings = {
  transactionTimeoutMsMax: 900_000,
  transactionalIdExpirationMs: 7 * day,
  transactionalIdsMax: 3,
  diskRetryMs: 5000,
};

export const topicIdOf = (topic: string): string =>
  `00000000-0000-4000-8000-${topic.charCodeAt(0).toString().padStart(12, "0")}`;

/** A record as the log gives it back. */
export function reread(record: LogRecord): LogRecord {
  const { key, value } = encodeLogRecord(record);
  return decodeLogRecord(key, value);
}

interface Actor {
  producerId: number;
  epoch: number;
}

/** Plays the id "x" unless a line names another (`id=`). */
export class Stage {
  coordinator = machine.newTransactionCoordinator(settings);
  now = 1000;
  readonly log: LogRecord[] = [];
  readonly #actors = new Map<string, Actor>();
  readonly #askedBy = new Map<number, string>();
  readonly #held: { id: string; records: readonly LogRecord[] }[] = [];
  readonly #ends: { id: string; end: End }[] = [];
  #holding = false;
  #holdingMarkers = false;
  #requests = 0;
  #fresh = 0;
  #shown: string[] = [];

  /** One line of a story. */
  step(command: string): string[] {
    this.#shown = [];
    const words = command.split(" ");
    const options = new Map(words.filter((word) => word.includes("=")).map((word) => split(word)));
    const [verb = "", ...rest] = words.filter((word) => !word.includes("="));
    this.#do(verb, rest, options);
    return this.#shown;
  }

  #do(verb: string, rest: string[], options: Map<string, string>): void {
    const [name = "", second = ""] = rest;
    const id = options.get("id") ?? "x";
    switch (verb) {
      case "init":
        return this.#init(name, id, second, options);
      case "add":
        return this.#add(name, id, rest.slice(1), options);
      case "offsets":
        return this.#offsets(name, id, second, options);
      case "end":
        return this.#end(name, id, second === "commit", options);
      case "become":
        return void this.#actors.set(name, { producerId: Number(second), epoch: Number(rest[2]) });
      case "epoch":
        return this.#epoch(id, Number(name));
      case "hold":
        return void (name === "markers" ? (this.#holdingMarkers = true) : (this.#holding = true));
      case "written":
        return this.#written(name === "ok");
      case "markers":
        return this.#markersDone();
      case "wait":
        return this.#wait(Number(name), id);
      case "sweep":
        return this.#play(machine.sweep(this.coordinator, this.now));
      case "restart":
        return this.#restart();
      case "state":
        return this.#state(id);
      default:
        throw new Error(`no such verb: ${verb}`);
    }
  }

  #actor(name: string): Actor {
    return this.#actors.get(name) ?? { producerId: -1, epoch: -1 };
  }

  #request(name: string): number {
    this.#requests += 1;
    this.#askedBy.set(this.#requests, name);
    return this.#requests;
  }

  #freshId(): number {
    this.#fresh += 100;
    return this.#fresh;
  }

  #init(name: string, id: string, how: string, options: Map<string, string>): void {
    const { producerId, epoch } = this.#actor(name);
    const expected = how === "again" ? { producerId, epoch } : null;
    const timeoutMs = Number(options.get("timeout") ?? "60000");
    const request = this.#request(name);
    const event = { request, id: id === "-" ? "" : id, timeoutMs, expected, freshProducerId: this.#freshId() };
    this.#play(machine.init(this.coordinator, event, this.now));
  }

  #add(name: string, id: string, partitions: string[], options: Map<string, string>): void {
    const map = new Map<string, Set<number>>();
    for (const text of partitions) {
      const [topic = "", index = "0"] = text.split("-");
      map.set(topic, (map.get(topic) ?? new Set()).add(Number(index)));
    }
    const groups = new Set((options.get("group") ?? "").split(",").filter((group) => group !== ""));
    const event = { request: this.#request(name), id, ...this.#actor(name), partitions: map, groups, wall: this.now };
    this.#play(machine.add(this.coordinator, event));
  }

  #offsets(name: string, id: string, group: string, options: Map<string, string>): void {
    const offsets: CommittedOffset[] = [];
    for (const [place, value] of options) {
      const [topic = "", index] = place.split("-");
      if (index === undefined) continue;
      const partition = Number(index);
      const rest = { leaderEpoch: -1, metadata: "", committedAt: this.now };
      offsets.push({ topicId: topicIdOf(topic), topic, partition, offset: Number(value), ...rest });
    }
    const implicit = (options.get("v") ?? "3") === "5";
    const event = { request: this.#request(name), id, ...this.#actor(name), group, offsets, implicit, wall: this.now };
    this.#play(machine.commitOffsets(this.coordinator, event));
  }

  #end(name: string, id: string, commit: boolean, options: Map<string, string>): void {
    const bump = (options.get("v") ?? "3") === "5";
    const freshProducerId = this.#freshId();
    const event = { request: this.#request(name), id, ...this.#actor(name), commit, bump, freshProducerId };
    this.#play(machine.end(this.coordinator, event));
  }

  /** Years of ends later. */
  #epoch(id: string, epoch: number): void {
    const image = this.coordinator.transactions.get(id)?.image;
    if (!image) throw new Error(`${id} is unknown`);
    const record: LogRecord = { kind: "transaction", id, image: { ...image, epoch } };
    this.log.push(record);
    machine.replay(this.coordinator, record, this.now);
  }

  #written(ok: boolean): void {
    this.#holding = false;
    for (const { id, records } of this.#held.splice(0)) this.#finish(id, records, ok);
  }

  #finish(id: string, records: readonly LogRecord[], ok: boolean): void {
    if (ok) for (const record of records) this.log.push(reread(record));
    this.#play(machine.onWritten(this.coordinator, id, ok ? "NONE" : "COORDINATOR_NOT_AVAILABLE", this.now));
  }

  #markersDone(): void {
    this.#holdingMarkers = false;
    for (const { id } of this.#ends.splice(0)) this.#play(machine.onEnded(this.coordinator, id));
  }

  /** Lets time pass from deadline to deadline, as the engine's timer does. */
  #wait(ms: number, id: string): void {
    const end = this.now + ms;
    for (;;) {
      const next = machine.nextDeadline(this.coordinator, id);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#play(machine.tick(this.coordinator, id, this.now));
    }
    this.now = end;
  }

  /** kill -9: what is not in the log never was. */
  #restart(): void {
    this.#held.length = 0;
    this.#ends.length = 0;
    this.#holding = false;
    this.coordinator = machine.newTransactionCoordinator(settings);
    for (const record of this.log) machine.replay(this.coordinator, record, this.now);
    this.#play(machine.resume(this.coordinator));
  }

  #state(id: string): void {
    const image = this.coordinator.transactions.get(id)?.image ?? null;
    this.#shown.push(image === null ? "unknown" : shown(image));
  }

  #play(effects: readonly TransactionEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "answer":
          this.#answer(this.#askedBy.get(effect.request) ?? "", effect.reply);
          break;
        case "append":
          this.#shown.push(`log ${effect.records.map(recordText).join(", ")}`);
          if (this.#holding) this.#held.push(effect);
          else this.#finish(effect.id, effect.records, true);
          break;
        case "end":
          this.#shown.push(endText(effect.end));
          this.#ends.push(effect);
          if (!this.#holdingMarkers) this.#markersDone();
          break;
        case "tell":
          this.#shown.push(`${effect.what} ${effect.producerId}/${effect.epoch}`);
          break;
        default: {
          const never: never = effect;
          throw new Error(`unknown effect ${JSON.stringify(never)}`);
        }
      }
    }
  }

  #answer(name: string, { error, producerId, epoch }: Reply): void {
    if (error !== "NONE") return void this.#shown.push(`${name} ${error}`);
    this.#actors.set(name, { producerId, epoch });
    this.#shown.push(`${name} is ${producerId}/${epoch}`);
  }
}

function split(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

const placesOf = (image: Pick<Image, "partitions" | "groups">): string => {
  const places = [...image.partitions].flatMap(([topic, indexes]) => [...indexes].map((index) => `${topic}-${index}`));
  const all = [...places, ...[...image.groups].map((group) => `group:${group}`)];
  return all.length === 0 ? "" : ` [${all.join(" ")}]`;
};

function shown(image: Image): string {
  const before = image.lastEpoch < 0 ? "" : ` after ${image.lastProducerId}/${image.lastEpoch}`;
  const next = image.nextProducerId < 0 ? "" : ` then ${image.nextProducerId}`;
  return `${image.state} ${image.producerId}/${image.epoch}${before}${next}${placesOf(image)}`;
}

function recordText(record: LogRecord): string {
  if (record.kind === "transaction") return record.image === null ? "gone" : shown(record.image);
  if (record.offsets === null) return `offsets of ${record.group} gone`;
  const offsets = record.offsets.map(({ topic, partition, offset }) => `${topic}-${partition}=${offset}`);
  return `offsets of ${record.group}: ${offsets.join(" ")}`;
}

function endText({ commit, producerId, epoch, partitions, offsets }: End): string {
  const groups = [...offsets].map(([group, of]) => `${group}: ${of.map(({ offset }) => offset).join(" ")}`);
  const applied = groups.length === 0 ? "" : ` and offsets ${groups.join(", ")}`;
  const places = placesOf({ partitions, groups: new Set() });
  return `${commit ? "commit" : "abort"} markers ${producerId}/${epoch}${places}${applied}`;
}
