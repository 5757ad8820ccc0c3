// What breaks the standard as an error: its reason code, and the statement of 3.1.1 or 5 that it breaks. Pure.
import { MqttProblem, Reason, type ReasonCode, type Version } from "./packet.ts";

/** The number of a normative statement ("3.1.2-3"): one for both versions, or one each for 3.1.1 and 5. */
export type Statement = string | readonly [v4: string, v5: string];

/** Where a packet's form has no statement of its own: close the connection. */
export const anyViolation: Statement = ["4.8.0-1", "4.13.1-1"];

export function fault(version: Version, code: ReasonCode, statement: Statement, detail: string): MqttProblem {
  const number = typeof statement === "string" ? statement : statement[version === 4 ? 0 : 1];
  return new MqttProblem(code, `${detail} [MQTT-${number}]`);
}

/** It cannot be parsed (0x81). */
export function malformed(version: Version, statement: Statement, detail: string): MqttProblem {
  return fault(version, Reason.malformedPacket, statement, detail);
}

/** It can be parsed, and says what the protocol does not allow (0x82). */
export function protocolError(version: Version, statement: Statement, detail: string): MqttProblem {
  return fault(version, Reason.protocolError, statement, detail);
}
