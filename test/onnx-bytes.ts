// Protobuf messages written by hand for tests of the reader, field by field: what no library would write.

/** A message or a part of one. */
export type Bytes = Uint8Array;

export function varint(value: number | bigint): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}

export const joined = (...parts: readonly Bytes[]): Bytes => Uint8Array.from(Buffer.concat(parts));

const tag = (field: number, wire: number): Bytes => varint(field * 8 + wire);

export const int = (field: number, value: number | bigint): Bytes => joined(tag(field, 0), varint(value));

export const bytes = (field: number, contents: Bytes): Bytes =>
  joined(tag(field, 2), varint(contents.length), contents);

export const text = (field: number, contents: string): Bytes => bytes(field, new TextEncoder().encode(contents));

export const message = (field: number, ...parts: readonly Bytes[]): Bytes => bytes(field, joined(...parts));

/** A field that announces more than it holds. */
export const announced = (field: number, length: number | bigint, contents: Bytes = new Uint8Array(0)): Bytes =>
  joined(tag(field, 2), varint(length), contents);

/** ValueInfoProto: a tensor of known sizes. */
export const valueInfo = (name: string, elemType: number, dims: readonly number[]): Bytes =>
  joined(
    text(1, name),
    message(2, message(1, int(1, elemType), message(2, ...dims.map((size) => message(1, int(1, size)))))),
  );

/** NodeProto. */
export const node = (
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...more: readonly Bytes[]
): Bytes =>
  joined(...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)), text(4, opType), ...more);

/** ModelProto of the newest opset around the parts of a graph. */
export const model = (graph: readonly Bytes[], ...more: readonly Bytes[]): Bytes =>
  joined(int(1, 13), message(7, text(2, "g"), ...graph), message(8, int(2, 23)), ...more);
