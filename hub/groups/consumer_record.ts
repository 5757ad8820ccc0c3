// The stored form of a group of the server-side protocol: one byte string, told from a classic one by its first byte.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { ClassicSide, ConsumerGroup, ConsumerMember, MemberState } from "./consumer_group.ts";
import { MemberState as State, newConsumerGroup, setPossession } from "./consumer_group.ts";
import { getBytes, getList, getText, putBytes, putText } from "./record.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { noPartitions, samePartitions } from "./topic_partitions.ts";

// Version notes (record.ts has 1, the classic group)
//  2  group epoch, assignment epoch, assignor, empty time, topic counts; per member ids, principal, subscription,
//     epochs, state, assigned, revoking, target, and the classic side of a member under online upgrade
const version = 2;

const states: readonly MemberState[] = [State.Stable, State.Unrevoked, State.Unreleased];

/** Whether the bytes are of this form (of any version this hub reads). */
export function isConsumerRecord(bytes: Uint8Array): boolean {
  return bytes[0] === version;
}

/** Encodes the group as it is. */
export function encodeConsumerRecord(group: ConsumerGroup): Uint8Array {
  const writer = new Writer();
  writer.int8(version);
  writer.int32(group.epoch);
  writer.int32(group.assignmentEpoch);
  putText(writer, group.assignor);
  writer.uvarint(Math.floor(group.emptyMs));
  writer.uvarint(group.counts.size);
  for (const [topicId, count] of group.counts) {
    writer.uuid(topicId);
    writer.uvarint(count);
  }
  writer.uvarint(group.members.size);
  for (const member of group.members.values()) {
    putMember(writer, member, group.target.get(member.memberId) ?? noPartitions);
  }
  return writer.join();
}

function putMember(writer: Writer, member: ConsumerMember, target: TopicPartitions): void {
  const { memberId, instanceId, rackId, clientId, clientHost, principal } = member;
  for (const text of [memberId, instanceId, rackId, clientId, clientHost, principal]) putText(writer, text);
  writer.uvarint(Math.floor(member.rebalanceTimeoutMs));
  writer.uvarint(member.topics.length);
  for (const topic of member.topics) putText(writer, topic);
  putText(writer, member.regex);
  putText(writer, member.assignor);
  writer.int8(states.indexOf(member.state));
  writer.int32(member.epoch);
  writer.int32(member.previousEpoch);
  writer.bool(member.fenced);
  putPartitions(writer, member.assigned);
  putPartitions(writer, member.revoking);
  const settled = samePartitions(target, member.assigned);
  writer.bool(settled);
  if (!settled) putPartitions(writer, target);
  writer.bool(member.classic !== null);
  if (member.classic !== null) putClassic(writer, member.classic);
}

function putClassic(writer: Writer, classic: ClassicSide): void {
  writer.uvarint(classic.sessionTimeoutMs);
  writer.int8(classic.version);
  writer.uvarint(classic.protocols.length);
  for (const { name, metadata } of classic.protocols) {
    putText(writer, name);
    putBytes(writer, metadata);
  }
}

/** Topic id, then runs of consecutive partitions as (distance from the end of the last run, length). */
function putPartitions(writer: Writer, partitions: TopicPartitions): void {
  writer.uvarint(partitions.size);
  for (const [topicId, list] of partitions) {
    writer.uuid(topicId);
    const runs: [number, number][] = [];
    for (const partition of list) {
      const last = runs.at(-1);
      if (last !== undefined && last[0] + last[1] === partition) last[1] += 1;
      else runs.push([partition, 1]);
    }
    writer.uvarint(runs.length);
    let at = 0;
    for (const [first, length] of runs) {
      writer.uvarint(first - at);
      writer.uvarint(length);
      at = first + length;
    }
  }
}

/** More partitions in one run than any topic has: the record is damaged. */
const runMax = 1_000_000;

function getPartitions(reader: Reader): TopicPartitions {
  const rows = getList(reader, (): [string, number[]] => {
    const topicId = reader.uuid();
    const list: number[] = [];
    let at = 0;
    for (let runs = reader.elements(reader.uvarint(), 2); runs > 0; runs -= 1) {
      at += reader.uvarint();
      const length = reader.uvarint();
      if (list.length + length > runMax)
        throw new HubError("INVALID_REQUEST", "a group record names too many partitions");
      for (let i = 0; i < length; i += 1) list.push(at + i);
      at += length;
    }
    return [topicId, list];
  });
  return new Map(rows);
}

/**
 * Decodes the group; its sessions begin anew at `now`, so members go on without joining again.
 * @throws HubError UNSUPPORTED_VERSION when a newer hub wrote it, INVALID_REQUEST when it is damaged
 */
export function decodeConsumerRecord(id: string, bytes: Uint8Array, now: Millis, sessionMs: Millis): ConsumerGroup {
  const reader = new Reader(bytes);
  const found = reader.int8();
  if (found !== version) throw new HubError("UNSUPPORTED_VERSION", `group record of version ${found}`);
  const group = newConsumerGroup(id, reader.int32(), "");
  group.assignmentEpoch = reader.int32();
  group.assignor = getText(reader) ?? "";
  group.emptyMs = reader.uvarint();
  group.counts = new Map(getList(reader, () => [reader.uuid(), reader.uvarint()] as const));
  const targets = new Map<string, TopicPartitions>();
  for (let left = reader.elements(reader.uvarint(), 1); left > 0; left -= 1) {
    const { member, target } = getMember(reader, now, sessionMs);
    group.members.set(member.memberId, member);
    if (member.instanceId !== null) group.staticMembers.set(member.instanceId, member.memberId);
    targets.set(member.memberId, target);
    setPossession(group, member, member.assigned, member.revoking);
  }
  group.target = targets;
  if (reader.remaining() > 0) throw new HubError("INVALID_REQUEST", "bytes are left after the group record");
  return group;
}

function getMember(
  reader: Reader,
  now: Millis,
  sessionMs: Millis,
): { readonly member: ConsumerMember; readonly target: TopicPartitions } {
  const member: ConsumerMember = {
    memberId: getText(reader) ?? "",
    instanceId: getText(reader),
    rackId: getText(reader),
    clientId: getText(reader) ?? "",
    clientHost: getText(reader) ?? "",
    principal: getText(reader) ?? "",
    rebalanceTimeoutMs: reader.uvarint(),
    topics: getList(reader, () => getText(reader) ?? ""),
    regex: getText(reader) ?? "",
    assignor: getText(reader),
    state: states[reader.int8()] ?? State.Stable,
    epoch: reader.int32(),
    previousEpoch: reader.int32(),
    fenced: reader.bool(),
    assigned: getPartitions(reader),
    revoking: getPartitions(reader),
    deadline: now + sessionMs,
    revokeDeadline: Infinity,
    changedAt: 0,
    classic: null,
  };
  const target = reader.bool() ? member.assigned : getPartitions(reader);
  if (reader.bool()) member.classic = getClassic(reader);
  if (member.classic !== null) member.deadline = now + member.classic.sessionTimeoutMs;
  if (member.state === State.Unrevoked) member.revokeDeadline = now + member.rebalanceTimeoutMs;
  return { member, target };
}

function getClassic(reader: Reader): ClassicSide {
  return {
    sessionTimeoutMs: reader.uvarint(),
    version: reader.int8(),
    protocols: getList(reader, () => ({ name: getText(reader) ?? "", metadata: getBytes(reader) })),
    joinDeadline: Infinity,
    syncDeadline: Infinity,
  };
}
