// A message as data: field kinds, the versions they live in, and the types that follow from them.

/** Where a field lives. Versions are inclusive; what is left out is the message's own range. */
export interface FieldOptions<T> {
  /** First version that has the field. */
  readonly since?: number;
  /** Last version that has the field. */
  readonly until?: number;
  /** First version in which the field may be null. */
  readonly nullable?: number;
  /** Value in versions without the field, and of a tagged field that is not sent; else the kind's zero. */
  readonly default?: T | null;
  /** Number of a tagged field (KIP-482): sent only when it differs from its default. */
  readonly tag?: number;
}

export type Kind =
  | "bool"
  | "int8"
  | "int16"
  | "uint16"
  | "int32"
  | "int64"
  | "float64"
  | "string"
  | "uuid"
  | "bytes"
  | "records"
  | "array"
  | "struct";

/** `Out` is what decoding gives, `In` what encoding takes, `Loose` says that encoding may leave the field out. */
export interface Field<Out = unknown, In = unknown, Loose extends boolean = boolean> {
  readonly kind: Kind;
  readonly options: FieldOptions<unknown>;
  /** Of an array: what it holds. */
  readonly element?: Field;
  /** Of a struct. */
  readonly fields?: Fields;
  /** Types only; never set. */
  readonly types?: readonly [Out, In, Loose];
}

export type Fields = Readonly<Record<string, Field>>;

type OutOf<F> = F extends Field<infer Out, infer _In, infer _Loose> ? Out : never;
type InOf<F> = F extends Field<infer _Out, infer In, infer _Loose> ? In : never;
type LooseKeys<S extends Fields> = {
  [K in keyof S]: S[K] extends Field<infer _Out, infer _In, infer Loose> ? (Loose extends true ? K : never) : never;
}[keyof S];

type Flat<T> = { readonly [K in keyof T]: T[K] };

/** What decoding gives: every field, with defaults for those the version does not have. */
export type Infer<S extends Fields> = { readonly [K in keyof S]: OutOf<S[K]> };

/** What encoding takes: fields with a default, a tag or a first or last version may be left out. */
export type InferInput<S extends Fields> = Flat<
  { [K in Exclude<keyof S, LooseKeys<S>>]: InOf<S[K]> } & { [K in LooseKeys<S>]?: InOf<S[K]> }
>;

type Nullable<O, T> = O extends { readonly nullable: number } ? T | null : T;
type IsLoose<O> = O extends { readonly since: number } | { readonly until: number } | { readonly tag: number }
  ? true
  : O extends { readonly default: unknown }
    ? true
    : false;
type Typed<O, Out, In = Out> = Field<Nullable<O, Out>, Nullable<O, In>, IsLoose<O>>;

type Primitive<T> = <const O extends FieldOptions<T> = Record<never, never>>(options?: O) => Typed<O, T>;

function primitive<T>(kind: Kind): Primitive<T> {
  return <const O extends FieldOptions<T>>(options?: O) => ({ kind, options: options ?? {} }) as Typed<O, T>;
}

export const bool: Primitive<boolean> = primitive("bool");
export const int8: Primitive<number> = primitive("int8");
export const int16: Primitive<number> = primitive("int16");
export const uint16: Primitive<number> = primitive("uint16");
export const int32: Primitive<number> = primitive("int32");
/** |value| < 2^53; a larger one on the wire is refused. */
export const int64: Primitive<number> = primitive("int64");
export const float64: Primitive<number> = primitive("float64");
export const string: Primitive<string> = primitive("string");
/** Canonical text of 36 characters. */
export const uuid: Primitive<string> = primitive("uuid");
/** Decodes to a copy that does not hold on to the frame. */
export const bytes: Primitive<Uint8Array> = primitive("bytes");

/** Record batches: decodes to a view of the frame; encodes from one array or several, large ones by reference. */
export function records(): Field<Uint8Array | null, Uint8Array | readonly Uint8Array[] | null, false> {
  return { kind: "records", options: { nullable: 0 } };
}

/** An array of structs. */
export function array<S extends Fields, const O extends FieldOptions<never[]> = Record<never, never>>(
  fields: S,
  options?: O,
): Typed<O, readonly Infer<S>[], readonly InferInput<S>[]> {
  const element: Field = { kind: "struct", options: {}, fields };
  return { kind: "array", options: options ?? {}, element } as Typed<O, readonly Infer<S>[], readonly InferInput<S>[]>;
}

/** An array of primitives. */
export function list<Out, In, const O extends FieldOptions<never[]> = Record<never, never>>(
  element: Field<Out, In, boolean>,
  options?: O,
): Typed<O, readonly Out[], readonly In[]> {
  return { kind: "array", options: options ?? {}, element } as Typed<O, readonly Out[], readonly In[]>;
}

/** One struct inside another. */
export function struct<S extends Fields, const O extends FieldOptions<never> = Record<never, never>>(
  fields: S,
  options?: O,
): Typed<O, Infer<S>, InferInput<S>> {
  return { kind: "struct", options: options ?? {}, fields } as Typed<O, Infer<S>, InferInput<S>>;
}

/** One message of the protocol in all its versions. */
export interface Message<S extends Fields = Fields> {
  readonly name: string;
  /** First and last version that the schema describes. */
  readonly min: number;
  readonly max: number;
  /** First version in the compact form with tagged fields; Infinity when there is none. */
  readonly flexible: number;
  readonly fields: S;
}

/** Declares a message. `flexible` is Infinity for a message that never got the compact form. */
export function message<S extends Fields>(
  name: string,
  versions: { readonly min: number; readonly max: number; readonly flexible: number },
  fields: S,
): Message<S> {
  return { name, ...versions, fields };
}

/** What decoding a message gives. */
export type Decoded<M> = M extends Message<infer S> ? Infer<S> : never;

/** What encoding a message takes. */
export type Encodable<M> = M extends Message<infer S> ? InferInput<S> : never;

export const zeroUuid = "00000000-0000-0000-0000-000000000000";
const noBytes = new Uint8Array(0);
const noElements: readonly never[] = Object.freeze([]);

/** True when `version` of the message has the field. */
export function isPresent(field: Field, version: number): boolean {
  const { since, until } = field.options;
  return version >= (since ?? 0) && version <= (until ?? Infinity);
}

/** True when the field may be null in `version`. */
export function isNullable(field: Field, version: number): boolean {
  const { nullable } = field.options;
  return nullable !== undefined && version >= nullable;
}

/** The value of a field that is not there: its default, else the zero of its kind. Shared, so not to be changed. */
export function defaultOf(field: Field): unknown {
  if (field.options.default !== undefined) return field.options.default;
  switch (field.kind) {
    case "bool":
      return false;
    case "string":
      return "";
    case "uuid":
      return zeroUuid;
    case "bytes":
      return noBytes;
    case "records":
      return null;
    case "array":
      return noElements;
    case "struct":
      return Object.freeze(
        Object.fromEntries(Object.entries(field.fields!).map(([name, inner]) => [name, defaultOf(inner)])),
      );
    default:
      return 0;
  }
}
