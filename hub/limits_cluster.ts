// The bounds of a hub that is not alone: a part of limits.ts.

const MiB = 1024 * 1024;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

export const clusterLimits = {
  // cluster
  clusterMeetMsMax: 30 * second,
  clusterMeetRetryMs: 200,
  /** A hub that others call silent is down once its beats stood still so long. */
  peerStallMs: 2 * second,
  /** Votes in one call. */
  votesPerCallMax: 500,
  /** How long a vote waits for its promise to be on disk. */
  voteAnswerMsMax: 2 * second,
  /** How long an election may take. */
  electionMsMax: 2 * second,
  /** A candidate that may lose something waits so long for those who may know more. */
  voteWaitMs: 200,
  /** How long a handover waits for the new leader to have everything; produce is refused meanwhile. */
  handoverMsMax: 200,
  /** How long a hub that stops hands over what it leads. */
  drainMsMax: 10 * second,
  /** States of partitions in one call to Redis. */
  publishedPerCallMax: 200,
  publishRetryMs: 500,
  /** How long a change of shared metadata waits for a majority of the hubs. */
  metadataChangeMsMax: 5 * second,
  /** How long a change waits for a controller to be there. */
  controllerWaitMsMax: 10 * second,
  clusterEventsMax: 200,
  replicaDepartsMs: 5 * second,
  /** Before a hub that does not know most fills an emptied Redis. */
  mendWaitMs: 2 * second,
  /** Leadership goes back to the preferred replica after so long in the ISR; doubled each time it does not last. */
  preferredReturnMs: minute,
  preferredReturnMsMax: hour,

  // between hubs
  /** A hub that answered nothing for so long is silent. */
  peerSilentMs: 1_500,
  /** A hub that says nothing is asked how it is. */
  peerPingMs: 500,
  peerConnectMsMax: 1_500,
  /** First pause before a redial after the one that came at once; it doubles up to `peerRetryMsMax`. */
  peerRetryMs: 50,
  peerRetryMsMax: second,
  /** A connection whose answer is so much later than the call's deadline is given up. */
  peerGraceMs: 5 * second,
  /** Calls that wait for one connection to be dialled. */
  peerCallsWaitingMax: 256,
  /** One answer to a follower, and the part of one partition. */
  replicaFetchBytesMax: 8 * MiB,
  replicaFetchPartitionBytes: MiB,
  /** Partitions named in one fetch; more follow in the next. */
  replicaFetchPartitionsMax: 2_000,
  /** How long a fetch waits at the leader for something to bring. */
  replicaFetchWaitMs: 500,
  /** Fetches of one follower on their way to one leader. */
  replicaFetchesInFlightMax: 3,
  /** Beyond its waiting time, how long a fetch may take to be answered, its bytes to arrive. */
  replicaFetchMsMax: 10 * second,
  replicaRetryMs: 50,
  replicaRetryMsMax: second,
  /** What a leader remembers of a follower that asks no more. */
  replicaFeedIdleMs: 30 * second,

  // damage
  /** What is damaged is asked for so often before it counts as lost; the pause between two rounds doubles. */
  repairTriesMax: 12,
  repairRetryMs: 100,
  repairRetryMsMax: 2 * second,
  /** Lost or not: a replica that was away may have it. */
  repairLostRetryMs: 10 * second,
  /** Of one damaged range in memory at a time; the rest of it comes in the next round. One range of a hub at a time. */
  repairBytesMax: 16 * MiB,
  repairCallMsMax: 5 * second,
} as const;
