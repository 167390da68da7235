// Damage to protobuf messages that keeps them well formed: fields are changed, repeated, moved or left out, and lengths are put right again.
// Knows the wire format, not ONNX.
import { oddNumbers, type Random } from "./random.ts";

/** A field of a message; length-delimited contents that look like a message are one. */
interface WireField {
  readonly number: number;
  readonly wire: number;
  readonly value: bigint | Uint8Array | readonly WireField[];
}

type Reading = { readonly bytes: Uint8Array; at: number };

function readVarint(reading: Reading): bigint | undefined {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reading.bytes[reading.at];
    if (byte === undefined) return undefined;
    reading.at += 1;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return value;
  }
  return undefined;
}

/** The fields of a message, or undefined where the bytes are none. */
export function parseWire(bytes: Uint8Array, depth = 0): WireField[] | undefined {
  const reading: Reading = { bytes, at: 0 };
  const fields: WireField[] = [];
  while (reading.at < bytes.length) {
    const tag = readVarint(reading);
    if (tag === undefined || tag >> 3n === 0n || tag >> 3n > 40n) return undefined;
    const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    if (wire === 0) {
      const value = readVarint(reading);
      if (value === undefined) return undefined;
      fields.push({ number, wire, value });
      continue;
    }
    const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(readVarint(reading) ?? -1n) : -1;
    if (length < 0 || reading.at + length > bytes.length) return undefined;
    const contents = bytes.subarray(reading.at, reading.at + length);
    reading.at += length;
    const inner =
      wire === 2 && length > 1 && length < 1 << 16 && depth < 12 ? parseWire(contents, depth + 1) : undefined;
    fields.push({ number, wire, value: inner ?? contents });
  }
  return fields;
}

function writeVarint(into: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest >= 128n) {
    into.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  into.push(Number(rest));
}

export function printWire(fields: readonly WireField[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { number, wire, value } of fields) {
    const head: number[] = [];
    writeVarint(head, BigInt(number * 8 + wire));
    if (typeof value === "bigint") {
      writeVarint(head, value);
      parts.push(Uint8Array.from(head));
      continue;
    }
    const contents = value instanceof Uint8Array ? value : printWire(value);
    if (wire === 2) writeVarint(head, BigInt(contents.length));
    parts.push(Uint8Array.from(head), contents);
  }
  return Uint8Array.from(Buffer.concat(parts));
}

/** A message among a message's descendants, itself included: the list that holds its fields. */
function someMessage(random: Random, fields: WireField[]): WireField[] {
  let here = fields;
  while (random.chance(0.75)) {
    const inner = here.filter(({ value }) => Array.isArray(value));
    if (inner.length === 0) break;
    here = random.pick(inner).value as WireField[];
  }
  return here;
}

const texts = [
  "",
  "x",
  "y",
  "ai.onnx",
  "com.microsoft",
  "__proto__",
  "toString",
  "../x",
  "/etc/hostname",
  "\u0000",
  "a".repeat(300),
];

function changedField(random: Random, field: WireField): WireField {
  const { value } = field;
  if (typeof value === "bigint") {
    const odd = BigInt(random.pick(oddNumbers));
    return { ...field, value: random.chance(0.5) ? odd : value + BigInt(random.below(5) - 2) };
  }
  if (field.wire !== 2)
    return { ...field, value: Uint8Array.from({ length: field.wire === 1 ? 8 : 4 }, () => random.below(256)) };
  if (random.chance(0.5)) return { ...field, value: new TextEncoder().encode(random.pick(texts)) };
  const bytes = (value instanceof Uint8Array ? value : printWire(value)).slice(0, 1 << 16);
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
  return { ...field, value: bytes };
}

/** One change to some message inside. `donor` gives fields of another file. */
function changeMessage(random: Random, root: WireField[], donor: WireField[]): void {
  const message = someMessage(random, root);
  const at = random.below(message.length);
  const field = message[at];
  switch (random.below(6)) {
    case 0:
      message.splice(at, 1);
      return;
    case 1:
      if (field !== undefined) message.splice(random.below(message.length + 1), 0, field);
      return;
    case 2:
      if (field !== undefined) message[at] = { ...field, number: 1 + random.below(26) };
      return;
    case 3: {
      const other = someMessage(random, donor);
      if (other.length > 0) message.splice(at, random.below(2), random.pick(other));
      return;
    }
    default:
      if (field !== undefined) message[at] = changedField(random, field);
  }
}

/** Fields, copied as deep as they can be changed. */
const copied = (fields: readonly WireField[]): WireField[] =>
  fields.map((field) => (Array.isArray(field.value) ? { ...field, value: copied(field.value) } : field));

/** A message with one to five changes inside. */
export function damagedMessage(random: Random, message: readonly WireField[], donor: readonly WireField[]): Uint8Array {
  const root = copied(message);
  for (let left = 1 + random.below(random.chance(0.5) ? 1 : 5); left > 0; left -= 1)
    changeMessage(random, root, copied(donor));
  return printWire(root);
}

export type { WireField };
