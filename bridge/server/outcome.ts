// Why the hub did not take a record, as a publisher of MQTT 5 is told. Pure.
import { HubError } from "../../hub/mod.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";

/** The reason code for PUBACK and PUBREC (MQTT5 section 3.4.2.1). */
export function codeOf(error: Error): ReasonCode {
  if (!(error instanceof HubError)) return Reason.unspecified;
  switch (error.kind) {
    case "TOPIC_AUTHORIZATION_FAILED":
    case "CLUSTER_AUTHORIZATION_FAILED":
      return Reason.notAuthorized;
    case "INVALID_TOPIC_EXCEPTION":
      return Reason.topicNameInvalid;
    case "THROTTLING_QUOTA_EXCEEDED":
    case "POLICY_VIOLATION":
      return Reason.quotaExceeded;
    default:
      return error.retriable ? Reason.unspecified : Reason.implementationSpecific;
  }
}
