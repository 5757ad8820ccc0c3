// The stories of members that give back before others take, told step by step; and what one step does alone.
import assert from "node:assert/strict";
import test from "node:test";
import { MemberState, newConsumerGroup, setPossession } from "../../../hub/groups/consumer_group.ts";
import * as consumers from "../../../hub/groups/consumer_coordinator.ts";
import type { HeartbeatReply } from "../../../hub/groups/group.ts";
import { addConsumerMember } from "../../../hub/groups/membership.ts";
import { couldTake, reconcile } from "../../../hub/groups/reconciliation.ts";
import type { TopicPartitions } from "../../../hub/groups/topic_partitions.ts";
import { noPartitions, partitionsFrom } from "../../../hub/groups/topic_partitions.ts";
import { runScenario } from "../../tools/scenario.ts";
import { ConsumerStage, idOf } from "./consumer_stage.ts";

/** Members by name, each with the epoch and the assignment it was told last. */
class Story {
  readonly #stage = new ConsumerStage();
  readonly #epochs = new Map<string, number>();
  readonly #told = new Map<string, TopicPartitions>();

  step(command: string): string[] {
    const [verb = "", name = "", ...rest] = command.split(" ");
    const options = new Map(rest.map((word) => word.split("=") as [string, string]));
    const before = this.#stage.told.length;
    const shown = this.#do(verb, name, options);
    return [...this.#stage.told.slice(before), ...shown];
  }

  #do(verb: string, name: string, options: Map<string, string>): string[] {
    const stage = this.#stage;
    const instanceId = options.get("instance") ?? null;
    switch (verb) {
      case "topic":
        stage.topic(name, Number(options.get("partitions")));
        return [];
      case "join": {
        const topics = (options.get("topics") ?? "t").split(",");
        const assignor = options.get("assignor") ?? null;
        return this.#show(name, stage.join(name, { topics, assignor, instanceId }));
      }
      case "beat":
        return this.#show(name, stage.beat({ memberId: name, memberEpoch: this.#epochs.get(name) ?? 0, instanceId }));
      case "ack": {
        const owned = this.#told.get(name) ?? noPartitions;
        const memberEpoch = this.#epochs.get(name) ?? 0;
        return this.#show(name, stage.beat({ memberId: name, memberEpoch, owned, instanceId }));
      }
      case "leave":
        return this.#show(name, stage.beat({ memberId: name, memberEpoch: -1, instanceId }));
      case "pause":
        return this.#show(name, stage.beat({ memberId: name, memberEpoch: -2, instanceId }));
      case "wait":
        stage.wait(Number(name));
        return [];
      case "restart":
        stage.restart();
        return [];
      case "state":
        return this.#state();
      default:
        throw new Error(`no such verb: ${verb}`);
    }
  }

  #show(name: string, reply: HeartbeatReply | undefined): string[] {
    if (reply === undefined) return [`${name} waits`];
    if (reply.error !== "NONE") return [`${name} ${reply.error}`];
    this.#epochs.set(name, reply.memberEpoch);
    if (reply.assignment === null) return [`${name} epoch=${reply.memberEpoch}`];
    this.#told.set(name, reply.assignment);
    return [`${name} epoch=${reply.memberEpoch} has ${this.#stage.text(reply.assignment)}`];
  }

  #state(): string[] {
    const found = consumers.describeConsumer(this.#stage.coordinator, "g");
    if (found === null) return ["no group"];
    const members = found.members.map(({ member, target }) => {
      const gives = member.revoking.size === 0 ? "" : ` gives back ${this.#stage.text(member.revoking)}`;
      const has = this.#stage.text(member.assigned);
      return `  ${member.memberId} ${member.state} epoch=${member.epoch} has ${has}${gives}, wants ${this.#stage.text(target)}`;
    });
    return [`${found.state} epoch=${found.epoch} assigned=${found.assignmentEpoch} by ${found.assignor}`, ...members];
  }
}

test("reconciliation: consumer_groups.txt", () => {
  const story = new Story();
  runScenario("consumer_groups", (command) => story.step(command));
});

test("reconciliation: a partition that another holds is waited for; a classic member gives back what it says it owns", () => {
  const group = newConsumerGroup("g", 1, "uniform");
  const who = { instanceId: null, clientId: "", clientHost: "" };
  const [one, two] = [addConsumerMember(group, who, "one"), addConsumerMember(group, who, "two")];
  const of = (...partitions: number[]) => partitionsFrom(partitions.length === 0 ? [] : [[idOf(1), partitions]]);
  setPossession(group, one, of(0, 1), noPartitions);
  one.epoch = 1;
  group.epoch = 2;
  group.assignmentEpoch = 2;
  group.target = new Map([
    ["one", of(0)],
    ["two", of(1)],
  ]);
  assert.equal(reconcile(group, two, of()), true);
  assert.deepEqual([two.state, two.epoch, two.assigned.size], [MemberState.Unreleased, 2, 0]);
  assert.equal(couldTake(group, two), false);
  assert.equal(reconcile(group, one, of(0)), true, "it may be about to take 1: it has to hear of it first");
  assert.deepEqual([one.state, one.epoch, [...one.revoking]], [MemberState.Unrevoked, 1, [[idOf(1), [1]]]]);
  assert.equal(reconcile(group, one, null), false, "it does not say");
  assert.equal(reconcile(group, one, of(1)), false, "it still has it");
  assert.equal(reconcile(group, one, of(0)), true);
  assert.deepEqual([one.state, one.epoch], [MemberState.Stable, 2]);
  assert.equal(couldTake(group, two), true);
  assert.equal(reconcile(group, two, null), true);
  assert.deepEqual([...two.assigned], [[idOf(1), [1]]]);
  assert.equal(reconcile(group, two, null), false, "nothing left to do");
  group.epoch = 3;
  group.assignmentEpoch = 3;
  group.target = new Map([["two", of()]]);
  assert.equal(reconcile(group, two, of(), true), true, "a classic JoinGroup that owns nothing has let go already");
  assert.deepEqual([two.state, two.assigned.size], [MemberState.Stable, 0]);
});
