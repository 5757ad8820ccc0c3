// InitProducerId (22): a producer id and epoch for idempotent and transactional producers (KIP-98).
import { bool, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  flexible
//  3  producer id and epoch, to go on after an error (KIP-360)
//  4  PRODUCER_FENCED
//  5  TRANSACTION_ABORTABLE (KIP-890)
//  6  two-phase commit (KIP-939)
const versions = { min: 0, max: 6, flexible: 2 };

export const initProducerIdRequest = message("InitProducerIdRequest", versions, {
  transactionalId: string({ nullable: 0 }),
  transactionTimeoutMs: int32(),
  producerId: int64({ since: 3, default: -1 }),
  producerEpoch: int16({ since: 3, default: -1 }),
  enable2Pc: bool({ since: 6, default: false }),
  keepPreparedTxn: bool({ since: 6, default: false }),
});

export const initProducerIdResponse = message("InitProducerIdResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  producerId: int64({ default: -1 }),
  producerEpoch: int16(),
  ongoingTxnProducerId: int64({ since: 6, default: -1 }),
  ongoingTxnProducerEpoch: int16({ since: 6, default: -1 }),
});
