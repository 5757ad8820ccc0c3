// GroupDecided (1007): a transaction was committed, and with it these offsets; told to the group's coordinator.
import { array, int16, message, string } from "../schema.ts";
import { heldOffset } from "./1006_txn_hold.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const groupDecidedRequest = message("GroupDecidedRequest", versions, {
  group: string(),
  transactionalId: string(),
  offsets: array(heldOffset),
});

export const groupDecidedResponse = message("GroupDecidedResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
});
