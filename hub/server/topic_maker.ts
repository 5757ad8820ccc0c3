// Makes topics that rooms of this process need, once for all who wait for one.
import { keptTopic } from "../engine/kept_topics.ts";
import { HubError } from "../errors.ts";
import { makeTopic } from "./forwarding.ts";
import type { HubServices } from "./services.ts";

export class TopicMaker {
  readonly #services: HubServices;
  readonly #making = new Map<string, Promise<void>>();

  constructor(services: HubServices) {
    this.#services = services;
  }

  /** Makes a topic unless it is there: MQTT routes make theirs whatever auto.create.topics.enable says. */
  ensure(name: string): Promise<void> {
    if (this.#services.partitions.of(name)) return Promise.resolve();
    // all who wait share one promise, so that they go on in the order they came
    let making = this.#making.get(name);
    if (making === undefined) {
      making = this.#make(name).finally(() => this.#making.delete(name));
      this.#making.set(name, making);
    }
    return making;
  }

  async #make(name: string): Promise<void> {
    const { partitions } = this.#services;
    try {
      // known and without logs: a client's request is making it at this moment
      if (partitions.topics.byName(name)) await partitions.whenMade(name);
      else await makeTopic(this.#services, name, keptTopic(name));
    } catch (error) {
      if (!(error instanceof HubError && error.kind === "TOPIC_ALREADY_EXISTS")) throw error;
      await partitions.whenMade(name);
    }
  }
}
