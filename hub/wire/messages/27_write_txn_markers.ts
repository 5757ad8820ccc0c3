// WriteTxnMarkers (27): a coordinator ends a transaction in the partitions that another hub leads (KIP-98).
import { array, bool, int16, int32, int64, int8, list, message, string } from "../schema.ts";

// Version notes
//  1  flexible
//  2  transaction version, for the epoch check (KIP-1228)
const versions = { min: 1, max: 2, flexible: 1 };

export const writeTxnMarkersRequest = message("WriteTxnMarkersRequest", versions, {
  markers: array({
    producerId: int64(),
    producerEpoch: int16(),
    transactionResult: bool(),
    topics: array({
      name: string(),
      partitionIndexes: list(int32()),
    }),
    coordinatorEpoch: int32(),
    transactionVersion: int8({ since: 2, default: 0 }),
  }),
});

export const writeTxnMarkersResponse = message("WriteTxnMarkersResponse", versions, {
  markers: array({
    producerId: int64(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  }),
});
