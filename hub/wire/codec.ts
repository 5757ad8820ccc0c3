// Turns a message's schema into flat functions, once per (message, version, direction).
import type { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import { defaultOf, isNullable, isPresent } from "./schema.ts";
import type { Decoded, Encodable, Field, Fields, Message } from "./schema.ts";

type Read = (reader: Reader) => unknown;
type Write = (writer: Writer, value: never) => void;
type Values = Record<string, unknown>;

interface Form {
  readonly version: number;
  readonly flexible: boolean;
}

const decoders = new WeakMap<Message, Read[]>();
const encoders = new WeakMap<Message, Write[]>();
const fillers = new WeakMap<Message, (value: never) => unknown>();

/**
 * Decodes the body of a message. Unknown tagged fields are skipped; bytes behind the body are left alone, as in Kafka.
 * @throws HubError INVALID_REQUEST when the body is malformed, UNSUPPORTED_VERSION for a version without a schema.
 */
export function decode<M extends Message>(message: M, version: number, reader: Reader): Decoded<M> {
  const known = decoders.get(message)?.[version];
  return (known ?? compileDecoder(message, version))(reader) as Decoded<M>;
}

/** Encodes the body of a message. Throws RangeError or TypeError for a value that the version cannot carry. */
export function encode<M extends Message>(message: M, version: number, value: Encodable<M>, writer: Writer): void {
  const known = encoders.get(message)?.[version];
  (known ?? compileEncoder(message, version))(writer, value as never);
}

/** What decoding would give for this input in the message's newest version, without bytes in between. */
export function fill<M extends Message>(message: M, value: Encodable<M>): Decoded<M> {
  let filler = fillers.get(message);
  if (filler === undefined) {
    filler = fillStruct(message.fields) as (value: never) => unknown;
    fillers.set(message, filler);
  }
  return filler(value as never) as Decoded<M>;
}

function formOf(message: Message, version: number): Form {
  if (!Number.isInteger(version) || version < message.min || version > message.max) {
    throw new HubError("UNSUPPORTED_VERSION", `${message.name} has no version ${version}`);
  }
  return { version, flexible: version >= message.flexible };
}

function compileDecoder(message: Message, version: number): Read {
  const read = readStruct(message.fields, formOf(message, version));
  const all = decoders.get(message) ?? [];
  decoders.set(message, all);
  all[version] = read;
  return read;
}

function compileEncoder(message: Message, version: number): Write {
  const write = writeStruct(message.fields, formOf(message, version));
  const all = encoders.get(message) ?? [];
  encoders.set(message, all);
  all[version] = write;
  return write;
}

// ---- decoding

function readStruct(fields: Fields, form: Form): Read {
  const entries = Object.entries(fields);
  // Objects begin as copies of one template: all fields in one order, so that every object has the same shape.
  const template = Object.fromEntries(entries.map(([name, field]) => [name, defaultOf(field)]));
  const plain = entries.filter(([, field]) => isPresent(field, form.version) && field.options.tag === undefined);
  const names = plain.map(([name]) => name);
  const reads = plain.map(([, field]) => readField(field, form));
  const count = names.length;
  const tagged = new Map(
    entries
      .filter(([, field]) => isPresent(field, form.version) && field.options.tag !== undefined)
      .map(([name, field]) => [field.options.tag!, { name, read: readField(field, form) }]),
  );
  const { flexible } = form;
  return (reader) => {
    const value: Values = { ...template };
    for (let index = 0; index < count; index += 1) value[names[index]!] = reads[index]!(reader);
    if (flexible) readTags(reader, tagged, value);
    return value;
  };
}

function readTags(reader: Reader, tagged: Map<number, { name: string; read: Read }>, value: Values): void {
  const count = reader.uvarint();
  if (count === 0) return;
  reader.elements(count, 2);
  let last = -1;
  for (let index = 0; index < count; index += 1) {
    const tag = reader.uvarint();
    if (tag <= last) throw new HubError("INVALID_REQUEST", "tagged fields are out of order");
    last = tag;
    const size = reader.uvarint();
    const end = reader.take(size) + size;
    const known = tagged.get(tag);
    if (known === undefined) continue;
    reader.at = end - size;
    value[known.name] = known.read(reader);
    if (reader.at !== end) throw new HubError("INVALID_REQUEST", `tagged field ${tag} is not ${size} bytes long`);
  }
}

function readField(field: Field, form: Form): Read {
  const nullable = isNullable(field, form.version);
  switch (field.kind) {
    case "bool":
      return (reader) => reader.bool();
    case "int8":
      return (reader) => reader.int8();
    case "int16":
      return (reader) => reader.int16();
    case "uint16":
      return (reader) => reader.uint16();
    case "int32":
      return (reader) => reader.int32();
    case "int64":
      return (reader) => reader.int64();
    case "float64":
      return (reader) => reader.float64();
    case "uuid":
      return (reader) => reader.uuid();
    case "string":
      return readSized(form.flexible ? compactLength : shortLength, nullable, readText);
    case "bytes":
      return readSized(form.flexible ? compactLength : longLength, nullable, (reader, size) => reader.copy(size));
    case "records":
      return readSized(form.flexible ? compactLength : longLength, nullable, (reader, size) => reader.view(size));
    case "array":
      return readArray(field.element!, form, nullable);
    case "struct":
      return nullable ? readNullableStruct(field.fields!, form) : readStruct(field.fields!, form);
  }
}

const compactLength = (reader: Reader): number => reader.uvarint() - 1;
const shortLength = (reader: Reader): number => reader.int16();
const longLength = (reader: Reader): number => reader.int32();

function readSized(
  length: (reader: Reader) => number,
  nullable: boolean,
  content: (reader: Reader, size: number) => unknown,
): Read {
  return (reader) => {
    const size = length(reader);
    return size >= 0 ? content(reader, size) : refuseNull(size, nullable);
  };
}

/** Longer texts than the older form can bear are refused in either form, as Kafka does. */
const textBytesMax = 0x7fff;

function readText(reader: Reader, size: number): string {
  if (size > textBytesMax) throw new HubError("INVALID_REQUEST", `a text of ${size} bytes`);
  return reader.string(size);
}

function refuseNull(size: number, nullable: boolean): null {
  if (nullable && size === -1) return null;
  throw new HubError("INVALID_REQUEST", size === -1 ? "a value that must not be null is null" : "a length is negative");
}

function readArray(element: Field, form: Form, nullable: boolean): Read {
  const length = form.flexible ? compactLength : longLength;
  const read = readField(element, form);
  const bytesMin = Math.max(1, sizeMin(element, form));
  return (reader) => {
    const size = length(reader);
    if (size < 0) return refuseNull(size, nullable);
    const count = reader.elements(size, bytesMin);
    const values: unknown[] = [];
    for (let index = 0; index < count; index += 1) values.push(read(reader));
    return values;
  };
}

function readNullableStruct(fields: Fields, form: Form): Read {
  const read = readStruct(fields, form);
  return (reader) => (reader.int8() < 0 ? null : read(reader));
}

/** The fewest bytes a value can take: what bounds the length of an array before it is allocated. */
function sizeMin(field: Field, form: Form): number {
  switch (field.kind) {
    case "bool":
    case "int8":
      return 1;
    case "int16":
    case "uint16":
      return 2;
    case "int32":
      return 4;
    case "int64":
    case "float64":
      return 8;
    case "uuid":
      return 16;
    case "string":
      return form.flexible ? 1 : 2;
    case "bytes":
    case "records":
    case "array":
      return form.flexible ? 1 : 4;
    case "struct": {
      if (isNullable(field, form.version)) return 1;
      let size = form.flexible ? 1 : 0;
      for (const inner of Object.values(field.fields!)) {
        if (isPresent(inner, form.version) && inner.options.tag === undefined) size += sizeMin(inner, form);
      }
      return size;
    }
  }
}

// ---- encoding

function writeStruct(fields: Fields, form: Form): Write {
  const present = Object.entries(fields).filter(([, field]) => isPresent(field, form.version));
  const plain = present.filter(([, field]) => field.options.tag === undefined);
  const names = plain.map(([name]) => name);
  const writes = plain.map(([, field]) => writeField(field, form));
  const defaults = plain.map(([, field]) => defaultOf(field));
  const count = names.length;
  const tagged = present
    .filter(([, field]) => field.options.tag !== undefined)
    .map(([name, field]) => ({ name, field, tag: field.options.tag!, write: writeField(field, form) }))
    .sort((one, other) => one.tag - other.tag);
  const { flexible } = form;
  return (writer, value: Values) => {
    for (let index = 0; index < count; index += 1) {
      const part = value[names[index]!];
      writes[index]!(writer, (part === undefined ? defaults[index] : part) as never);
    }
    if (!flexible) return;
    if (tagged.length === 0) writer.uvarint(0);
    else writeTags(writer, tagged, value);
  };
}

interface Tagged {
  readonly name: string;
  readonly field: Field;
  readonly tag: number;
  readonly write: Write;
}

function writeTags(writer: Writer, tagged: readonly Tagged[], value: Values): void {
  let count = 0;
  for (const { name, field } of tagged) if (!isDefault(field, value[name])) count += 1;
  writer.uvarint(count);
  if (count === 0) return;
  for (const { name, field, tag, write } of tagged) {
    if (isDefault(field, value[name])) continue;
    const content = new Writer();
    write(content, value[name] as never);
    writer.uvarint(tag);
    writer.uvarint(content.size());
    for (const part of content.parts()) writer.bytes(part);
  }
}

function isDefault(field: Field, value: unknown): boolean {
  if (value === undefined) return true;
  if (value === null) return defaultOf(field) === null;
  if (field.kind === "array") return (value as unknown[]).length === 0;
  if (field.kind === "struct") {
    return Object.entries(field.fields!).every(([name, inner]) => isDefault(inner, (value as Values)[name]));
  }
  return value === defaultOf(field);
}

function writeField(field: Field, form: Form): Write {
  const nullable = isNullable(field, form.version);
  const compact = form.flexible;
  switch (field.kind) {
    case "bool":
      return (writer, value) => writer.bool(value);
    case "int8":
      return (writer, value) => writer.int8(value);
    case "int16":
      return (writer, value) => writer.int16(value);
    case "uint16":
      return (writer, value) => writer.uint16(value);
    case "int32":
      return (writer, value) => writer.int32(value);
    case "int64":
      return (writer, value) => writer.int64(value);
    case "float64":
      return (writer, value) => writer.float64(value);
    case "uuid":
      return (writer, value) => writer.uuid(value);
    case "string":
      return (writer, value: string | null) =>
        value === null ? writeNull(writer, nullable, compact, true) : writer.string(value, compact);
    case "bytes":
    case "records":
      return (writer, value: Uint8Array | readonly Uint8Array[] | null) =>
        value === null ? writeNull(writer, nullable, compact, false) : writeBytes(writer, value, compact);
    case "array":
      return writeArray(field.element!, form, nullable);
    case "struct":
      return nullable ? writeNullableStruct(field.fields!, form) : writeStruct(field.fields!, form);
  }
}

function writeNull(writer: Writer, nullable: boolean, compact: boolean, short: boolean): void {
  if (!nullable) throw new TypeError("null in a field that cannot be null in this version");
  if (compact) writer.uvarint(0);
  else if (short) writer.int16(-1);
  else writer.int32(-1);
}

function writeBytes(writer: Writer, value: Uint8Array | readonly Uint8Array[], compact: boolean): void {
  const size = value instanceof Uint8Array ? value.length : value.reduce((sum, part) => sum + part.length, 0);
  if (compact) writer.uvarint(size + 1);
  else writer.int32(size);
  if (value instanceof Uint8Array) writer.bytes(value);
  else for (const part of value) writer.bytes(part);
}

function writeArray(element: Field, form: Form, nullable: boolean): Write {
  const write = writeField(element, form);
  const compact = form.flexible;
  return (writer, value: readonly never[] | null) => {
    if (value === null) {
      writeNull(writer, nullable, compact, false);
      return;
    }
    if (compact) writer.uvarint(value.length + 1);
    else writer.int32(value.length);
    for (const part of value) write(writer, part);
  };
}

function writeNullableStruct(fields: Fields, form: Form): Write {
  const write = writeStruct(fields, form);
  return (writer, value: never) => {
    writer.int8(value === null ? -1 : 1);
    if (value !== null) write(writer, value);
  };
}

// ---- filling

function fillStruct(fields: Fields): (value: Values) => unknown {
  const entries = Object.entries(fields);
  const template = Object.fromEntries(entries.map(([name, field]) => [name, defaultOf(field)]));
  const names = entries.map(([name]) => name);
  const fills = entries.map(([, field]) => fillField(field));
  return (value) => {
    const full: Values = { ...template };
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index]!;
      const part = value[name];
      if (part !== undefined && part !== null) full[name] = fills[index]!(part as never);
      else if (part === null) full[name] = null;
    }
    return full;
  };
}

function fillField(field: Field): (value: never) => unknown {
  if (field.kind === "struct") return fillStruct(field.fields!);
  if (field.kind === "records") return joined;
  if (field.kind !== "array" || field.element!.kind !== "struct") return (value) => value;
  const fillElement = fillStruct(field.element!.fields!);
  return (values: readonly Values[]) => values.map(fillElement);
}

function joined(value: Uint8Array | readonly Uint8Array[]): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value.length === 1) return value[0]!;
  const whole = new Uint8Array(value.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of value) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
