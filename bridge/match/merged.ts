// What several subscriptions of one client mean together for one message (MQTT5 section 3.3.4). Pure.
import type { Qos } from "../wire/packet.ts";

/** What a client asked for with one filter. */
export interface Options {
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Subscription identifier; 0: none. */
  readonly id: number;
}

/** One copy for all matching subscriptions: the highest QoS ([MQTT-3.3.4-2]), all identifiers ([MQTT-3.3.4-4]). */
export interface Merged {
  readonly qos: Qos;
  /** True when any of them asks for it: a flag that is kept can be ignored, one that is cleared is lost. */
  readonly retainAsPublished: boolean;
  readonly ids: readonly number[];
}

/** For messages of others, and for the client's own: subscriptions with No Local do not count there. */
export interface Both {
  readonly all: Merged;
  /** Null: nothing is sent back ([MQTT-3.8.3-3]). */
  readonly own: Merged | null;
}

const noIds: readonly number[] = [];

/** What one subscription means. */
export function single({ qos, noLocal, retainAsPublished, id }: Options): Both {
  const all = { qos, retainAsPublished, ids: id === 0 ? noIds : [id] };
  return { all, own: noLocal ? null : all };
}

/** What two (or more, one after the other) mean together. */
export function join(a: Both, b: Both): Both {
  const all = joinMerged(a.all, b.all);
  if (a.own === a.all && b.own === b.all) return { all, own: all };
  if (a.own === null || b.own === null) return { all, own: a.own ?? b.own };
  return { all, own: joinMerged(a.own, b.own) };
}

function joinMerged(a: Merged, b: Merged): Merged {
  const fresh = b.ids.filter((id) => !a.ids.includes(id));
  return {
    qos: a.qos > b.qos ? a.qos : b.qos,
    retainAsPublished: a.retainAsPublished || b.retainAsPublished,
    ids: fresh.length === 0 ? a.ids : [...a.ids, ...fresh],
  };
}
