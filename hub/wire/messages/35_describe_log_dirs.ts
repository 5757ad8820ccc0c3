// DescribeLogDirs (35): the data folder of a broker and the size of each log in it (KIP-113).
import { array, bool, int16, int32, int64, list, message, string } from "../schema.ts";

// Version notes
//  2  flexible
//  3  error of the whole
//  4  total and usable bytes of the volume (KIP-827)
//  5  cordoned folders (KIP-1066)
const versions = { min: 1, max: 5, flexible: 2 };

export const describeLogDirsRequest = message("DescribeLogDirsRequest", versions, {
  topics: array(
    {
      topic: string(),
      partitions: list(int32()),
    },
    { nullable: 0 },
  ),
});

export const describeLogDirsResponse = message("DescribeLogDirsResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16({ since: 3 }),
  results: array({
    errorCode: int16(),
    logDir: string(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        partitionSize: int64(),
        offsetLag: int64(),
        isFutureKey: bool(),
      }),
    }),
    totalBytes: int64({ since: 4, default: -1 }),
    usableBytes: int64({ since: 4, default: -1 }),
    isCordoned: bool({ since: 5, default: false }),
  }),
});
