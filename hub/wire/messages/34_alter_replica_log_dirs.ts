// AlterReplicaLogDirs (34): moves replicas between the data folders of a broker (KIP-113).
import { array, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  2  flexible
const versions = { min: 1, max: 2, flexible: 2 };

export const alterReplicaLogDirsRequest = message("AlterReplicaLogDirsRequest", versions, {
  dirs: array({
    path: string(),
    topics: array({
      name: string(),
      partitions: list(int32()),
    }),
  }),
});

export const alterReplicaLogDirsResponse = message("AlterReplicaLogDirsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    topicName: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
});
