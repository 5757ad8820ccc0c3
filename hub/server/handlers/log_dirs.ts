// DescribeLogDirs (35), AlterReplicaLogDirs (34): the one data folder of a hub, and what each partition takes of it.
import { codeOf } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

type Folder = ResponseOf<"describeLogDirs">["results"][number];

export function logDirHandlers(services: HubServices) {
  const { partitions, folder } = services;
  return {
    describeLogDirs(request: RequestOf<"describeLogDirs">): ResponseOf<"describeLogDirs"> {
      const { totalBytes, freeBytes } = folder.space();
      const failed = folder.state() === "failed";
      const result: Folder = {
        errorCode: failed ? codeOf("KAFKA_STORAGE_ERROR") : 0,
        logDir: folder.path,
        topics: failed ? [] : topicsOf(services, request.topics),
        totalBytes,
        usableBytes: freeBytes,
      };
      return { throttleTimeMs: 0, errorCode: 0, results: [result] };
    },

    /** A replica is where it is: moving it to the folder of this hub is done, any other folder is not here. */
    alterReplicaLogDirs(request: RequestOf<"alterReplicaLogDirs">): ResponseOf<"alterReplicaLogDirs"> {
      const answers = new Map<string, { partitionIndex: number; errorCode: number }[]>();
      for (const { path, topics } of request.dirs) {
        for (const { name, partitions: indexes } of topics) {
          const answer = answers.get(name) ?? [];
          answers.set(name, answer);
          for (const partitionIndex of indexes) {
            const known = partitions.get(name, partitionIndex) !== undefined;
            const there = known ? "NONE" : "UNKNOWN_TOPIC_OR_PARTITION";
            answer.push({ partitionIndex, errorCode: codeOf(path === folder.path ? there : "LOG_DIR_NOT_FOUND") });
          }
        }
      }
      const results = [...answers].map(([topicName, answer]) => ({ topicName, partitions: answer }));
      return { throttleTimeMs: 0, results };
    },
  };
}

/** null: all. What is not here is left out, as Kafka does. */
function topicsOf(services: HubServices, wanted: RequestOf<"describeLogDirs">["topics"]): Folder["topics"] {
  const { partitions } = services;
  const named = wanted?.map(({ topic, partitions: indexes }) => [topic, new Set(indexes)] as const);
  const names = named ?? [...partitions.topics.all()].map((topic) => [topic.name, null] as const);
  return names.flatMap(([name, indexes]) => {
    const sizes = (partitions.of(name) ?? []).flatMap(({ log }, partitionIndex) => {
      if (indexes !== null && !indexes.has(partitionIndex)) return [];
      return [{ partitionIndex, partitionSize: log.sizeBytes, offsetLag: 0, isFutureKey: false }];
    });
    return sizes.length === 0 ? [] : [{ name, partitions: sizes }];
  });
}
