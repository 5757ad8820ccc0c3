// DescribeQuorum (55), UpdateFeatures (57): who holds the metadata, and which levels of features are in force.
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { features } from "../../wire/features.ts";
import { doubled } from "./doubled.ts";
import { addressFor, type HubServices, type RequestContext } from "../services.ts";

/** The name under which Kafka's tools ask for the metadata. */
const metadataTopic = "__cluster_metadata";

type Update = RequestOf<"updateFeatures">["featureUpdates"][number];
type Quorum = ResponseOf<"describeQuorum">["topics"][number]["partitions"][number];

const UpgradeType = { Upgrade: 1, SafeDowngrade: 2, UnsafeDowngrade: 3 } as const;

export function clusterHandlers(services: HubServices) {
  return {
    /** A lone hub is the only voter of its cluster; each of its starts is an epoch that it leads. */
    describeQuorum(request: RequestOf<"describeQuorum">, context: RequestContext): ResponseOf<"describeQuorum"> {
      const { hubId, folder } = services;
      const topics = request.topics.map(({ topicName, partitions }) => ({
        topicName,
        partitions: partitions.map(({ partitionIndex }) => quorumOf(services, topicName, partitionIndex)),
      }));
      const address = addressFor(services, context);
      const nodes = [{ nodeId: hubId, listeners: [{ name: "CONTROLLER", ...address }] }];
      if (folder.state() === "failed") return { errorCode: codeOf("KAFKA_STORAGE_ERROR"), topics: [], nodes: [] };
      return { errorCode: 0, errorMessage: null, topics, nodes };
    },

    /** KIP-584: levels come with the program and are in force from its start, so only what is in force can be asked. */
    updateFeatures(
      request: RequestOf<"updateFeatures">,
      context: { readonly version: number },
    ): ResponseOf<"updateFeatures"> {
      const twice = doubled(request.featureUpdates.map(({ feature }) => feature));
      const results = request.featureUpdates.map((update) => {
        try {
          if (twice.has(update.feature)) {
            throw new HubError("INVALID_REQUEST", `${update.feature} stands twice in the request`);
          }
          checkUpdate(update, context.version);
          return { feature: update.feature, errorCode: 0, errorMessage: null };
        } catch (error) {
          return { feature: update.feature, errorCode: codeOfThrown(error), errorMessage: (error as Error).message };
        }
      });
      // From version 2 on there is one answer for all (KIP-1022).
      const first = context.version < 2 ? undefined : results.find((result) => result.errorCode !== 0);
      const { errorCode = 0, errorMessage = null } = first ?? {};
      return { throttleTimeMs: 0, errorCode, errorMessage, results };
    },
  };
}

function quorumOf(services: HubServices, topicName: string, partitionIndex: number): Quorum {
  const { hubId, folder, clock } = services;
  if (topicName !== metadataTopic || partitionIndex !== 0) {
    const none = { leaderId: -1, leaderEpoch: -1, highWatermark: -1, currentVoters: [], observers: [] };
    const errorMessage = `The metadata is ${metadataTopic}-0`;
    return { partitionIndex, errorCode: codeOf("UNKNOWN_TOPIC_OR_PARTITION"), errorMessage, ...none };
  }
  // The journal is no log that others could fetch: what grows is the number of starts.
  const end = folder.boots;
  const now = clock.wall();
  const self = {
    replicaId: hubId,
    replicaDirectoryId: folder.directoryId,
    logEndOffset: end,
    lastFetchTimestamp: now,
    lastCaughtUpTimestamp: now,
  };
  return {
    partitionIndex,
    errorCode: 0,
    errorMessage: null,
    leaderId: hubId,
    leaderEpoch: folder.boots,
    highWatermark: end,
    currentVoters: [self],
    observers: [],
  };
}

function checkUpdate({ feature, maxVersionLevel, upgradeType, allowDowngrade }: Update, version: number): void {
  const refuse = (why: string): never => {
    throw new HubError("INVALID_UPDATE_VERSION", `${feature} level ${maxVersionLevel}: ${why}`);
  };
  const known = features.find(({ name }) => name === feature);
  if (maxVersionLevel < 0) refuse("a level is 0 or more");
  if (!Object.values<number>(UpgradeType).includes(upgradeType)) refuse(`upgrade type ${upgradeType} is not known`);
  const { min, max, level } = known ?? { min: 0, max: 0, level: 0 };
  if (maxVersionLevel > max) refuse(known ? `this hub supports ${min} to ${max}` : "this hub has no such feature");
  const down = version === 0 ? allowDowngrade : upgradeType !== UpgradeType.Upgrade;
  if (maxVersionLevel < level && !down) refuse(`it is ${level} now, and a downgrade was not asked for`);
  if (maxVersionLevel > level && down && version > 0) refuse("a downgrade does not raise a level");
  if (maxVersionLevel === level) return;
  throw new HubError("FEATURE_UPDATE_FAILED", `${feature} stays at ${level}: levels come with the program`);
}
