// In what a hub answers differently from Apache Kafka, on purpose: one line each, with the reason.
import type { Plain } from "./normal.ts";

export interface Deliberate {
  /** "scenario / step", or a prefix of it that ends in *. */
  readonly at: string;
  /** Where in the answer; a * stands for any index or name. */
  readonly path: string;
  readonly hub: Plain | "any";
  readonly apache: Plain | "any";
  readonly why: string;
}

/** The test fails for a difference that does not stand here, and for a line that is no difference any more. */
export const deliberate: readonly Deliberate[] = [];
