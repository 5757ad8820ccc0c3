// What a request names more than once: Kafka answers it once, with a refusal. Pure.

/** Values that stand more than once; one pass, however many a client sends. */
export function doubled(values: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const value of values) (seen.has(value) ? twice : seen).add(value);
  return twice;
}
