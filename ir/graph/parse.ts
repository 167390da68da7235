// Reads the text that `printGraph` writes. Collects one diagnostic a bad line; structure beyond the text is `verifyGraph`'s business.
import { type Diagnostic, fail, ok, type Result } from "../diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes } from "../dtype.ts";
import { type Attrs, type AttrValue, isDType } from "./attr.ts";
import { isCoreOp } from "./core-infer.ts";
import {
  type ConstData,
  elementCount,
  type Graph,
  type GraphInput,
  type GraphNode,
  type GraphOutput,
  type GraphTensor,
  type NodeOrigin,
  nodeId,
  type TensorId,
  tensorId,
} from "./graph.ts";
import { isOnnxOp } from "./onnx-ops.ts";
import type { OpName } from "./op-names.ts";
import { constDataOf, type TensorType, valueFromBigints, valueFromNumbers } from "./values.ts";

/** Words, `%7`, `#3`, quoted strings, numbers and single signs; what is left unmatched is an error. */
const tokenPattern = /\s*(?:("[^"\\]*(?:\\.[^"\\]*)*")|([%#]?-?[\w.]+(?:[+-]\d+)?)|([[\](){}<>=:,]))/y;

interface Line {
  readonly tokens: readonly string[];
  at: number;
}

/** Why a line cannot be read. Thrown and caught inside this file only. */
class Unreadable extends Error {}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const from = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw new Unreadable(`cannot read "${text.slice(from, from + 20)}"`);
    tokens.push(match[1] ?? match[2] ?? match[3] ?? "");
  }
  return tokens;
}

const peek = (line: Line): string => line.tokens[line.at] ?? "end of line";

function next(line: Line): string {
  const token = peek(line);
  line.at += 1;
  return token;
}

function expect(line: Line, token: string): void {
  const found = next(line);
  if (found !== token) throw new Unreadable(`expected ${token}, found ${found}`);
}

function accept(line: Line, token: string): boolean {
  if (peek(line) !== token) return false;
  line.at += 1;
  return true;
}

function readText(line: Line): string {
  const token = next(line);
  const text: unknown = token.startsWith('"') ? parseJson(token) : undefined;
  if (typeof text !== "string") throw new Unreadable(`expected a quoted string, found ${token}`);
  return text;
}

function parseJson(token: string): unknown {
  try {
    return JSON.parse(token);
  } catch {
    return undefined;
  }
}

const numberWords: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Infinity],
  ["-inf", -Infinity],
]);

function toNumber(token: string): number {
  const known = numberWords.get(token);
  if (known !== undefined) return known;
  const number = Number(token);
  if (token === "" || Number.isNaN(number)) throw new Unreadable(`expected a number, found ${token}`);
  return number;
}

function readId(line: Line, sign: "%" | "#" = "%"): number {
  const token = next(line);
  const id = Number(token.slice(1));
  if (!token.startsWith(sign) || token.length === 1 || !Number.isSafeInteger(id) || (sign === "%" && id < 0)) {
    throw new Unreadable(`expected ${sign} and a number, found ${token}`);
  }
  return id;
}

function readDType(line: Line): DType {
  const token = next(line);
  if (!isDType(token)) throw new Unreadable(`expected an element type, found ${token}`);
  return token;
}

function readType(line: Line): TensorType {
  const dtype = readDType(line);
  expect(line, "[");
  const sizes = accept(line, "]") ? undefined : next(line);
  if (sizes === undefined) return { dtype, shape: [] };
  expect(line, "]");
  const shape = sizes.split("x").map(toNumber);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new Unreadable(`expected a shape, found ${sizes}`);
  return { dtype, shape };
}

/** `%id "name" : type` */
function readTensor(line: Line): GraphTensor {
  const id = tensorId(readId(line));
  const name = readText(line);
  expect(line, ":");
  return { id, name, ...readType(line) };
}

function readList<T>(line: Line, close: string, read: () => T): T[] {
  const list: T[] = [];
  if (accept(line, close)) return list;
  do list.push(read());
  while (accept(line, ","));
  expect(line, close);
  return list;
}

function readAttr(line: Line): AttrValue {
  if (accept(line, "[")) {
    const items = readList(line, "]", () => (peek(line).startsWith('"') ? readText(line) : toNumber(next(line))));
    const numbers = items.filter((item) => typeof item === "number");
    const texts = items.filter((item) => typeof item === "string");
    if (numbers.length > 0 && texts.length > 0) throw new Unreadable("a list holds numbers or strings, not both");
    return texts.length > 0 ? texts : numbers;
  }
  if (peek(line).startsWith('"')) return readText(line);
  const token = next(line);
  return token === "true" || (token !== "false" && toNumber(token));
}

/** Value of a digit that is one of 0-9a-f. */
function hexValue(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

function bytesOfHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) throw new Unreadable("constant data is not hexadecimal");
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = 16 * hexValue(text, 2 * i) + hexValue(text, 2 * i + 1);
  return bytes;
}

/** `dense<[numbers]>` or `dense<"hex">` */
function readData(line: Line, type: TensorType): ConstData {
  const word = next(line);
  if (word === "elided") throw new Unreadable("the constant's data was elided when the text was printed");
  if (word !== "dense") throw new Unreadable(`expected dense, found ${word}`);
  expect(line, "<");
  const count = elementCount(type.shape);
  if (!accept(line, "[")) {
    const bytes = bytesOfHex(readText(line));
    expect(line, ">");
    if (bytes.length !== byteLengthOf(type.dtype, count))
      throw new Unreadable(`${bytes.length} bytes for ${type.dtype} x ${count}`);
    return { byteLength: bytes.length, read: () => bytes };
  }
  const items = readList(line, "]", () => next(line));
  expect(line, ">");
  if (items.length !== count) throw new Unreadable(`${items.length} elements, the shape has ${count}`);
  if (dtypes[type.dtype].kind === "float")
    return constDataOf(valueFromNumbers(type.dtype, type.shape, items.map(toNumber)));
  if (!items.every((item) => /^-?\d+$/.test(item)))
    throw new Unreadable(`integers expected, found ${items.join(", ")}`);
  return constDataOf(valueFromBigints(type.dtype, type.shape, items.map(BigInt)));
}

interface Draft {
  name: string;
  form: Graph["form"];
  readonly tensors: Map<number, GraphTensor>;
  readonly nodes: GraphNode[];
  readonly inputs: GraphInput[];
  readonly outputs: GraphOutput[];
}

function define(draft: Draft, tensor: GraphTensor): TensorId {
  if (draft.tensors.has(tensor.id)) throw new Unreadable(`%${tensor.id} is defined twice`);
  draft.tensors.set(tensor.id, tensor);
  return tensor.id;
}

function readOrigin(line: Line): NodeOrigin {
  const name = readText(line);
  const opType = readText(line);
  return { name, opType, index: readId(line, "#") };
}

function readNode(line: Line, draft: Draft): void {
  const outputs: (GraphTensor | null)[] = [];
  do outputs.push(accept(line, "_") ? null : readTensor(line));
  while (accept(line, ","));
  expect(line, "=");
  const op = next(line);
  if (!isOpName(op)) throw new Unreadable(`no operator is named ${op}`);
  expect(line, "(");
  const inputs = readList(line, ")", () => (accept(line, "_") ? null : tensorId(readId(line))));
  const attrs: Record<string, AttrValue> = {};
  if (accept(line, "{")) {
    readList(line, "}", () => {
      const name = next(line);
      expect(line, "=");
      attrs[name] = readAttr(line);
    });
  }
  let origins: readonly NodeOrigin[] = [];
  if (accept(line, "from")) {
    expect(line, "[");
    origins = readList(line, "]", () => readOrigin(line));
  }
  const ids = outputs.map((tensor) => (tensor === null ? null : define(draft, tensor)));
  draft.nodes.push({ id: nodeId(draft.nodes.length), op, inputs, outputs: ids, attrs: attrs satisfies Attrs, origins });
}

const isOpName = (name: string): name is OpName => isCoreOp(name) || isOnnxOp(name);

/** `as "name" dtype` */
function readBinding(line: Line): { readonly name: string; readonly dtype: DType } {
  expect(line, "as");
  return { name: readText(line), dtype: readDType(line) };
}

function readLine(line: Line, draft: Draft): void {
  switch (peek(line)) {
    case "graph": {
      line.at += 1;
      draft.name = readText(line);
      expect(line, "form");
      expect(line, "=");
      const form = next(line);
      if (form !== "onnx" && form !== "core") throw new Unreadable(`expected onnx or core, found ${form}`);
      draft.form = form;
      expect(line, "{");
      return;
    }
    case "}":
      line.at += 1;
      return;
    case "input": {
      line.at += 1;
      const tensor = readTensor(line);
      draft.inputs.push({ tensor: define(draft, tensor), ...readBinding(line) });
      return;
    }
    case "const": {
      line.at += 1;
      const tensor = readTensor(line);
      expect(line, "=");
      define(draft, { ...tensor, data: readData(line, tensor) });
      return;
    }
    case "unused":
      line.at += 1;
      define(draft, readTensor(line));
      return;
    case "output": {
      line.at += 1;
      const tensor = tensorId(readId(line));
      draft.outputs.push({ tensor, ...readBinding(line) });
      return;
    }
    default:
      readNode(line, draft);
  }
}

function problemOf(text: string, draft: Draft): string | undefined {
  try {
    const line: Line = { tokens: tokensOf(text), at: 0 };
    if (line.tokens.length === 0) return undefined;
    readLine(line, draft);
    if (line.at < line.tokens.length) throw new Unreadable(`unexpected ${peek(line)}`);
    return undefined;
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    throw error;
  }
}

/** The graph that a text describes. `path` names the text in diagnostics. Lines that start with // are comments. */
export function parseGraph(text: string, path = "graph text"): Result<Graph> {
  const draft: Draft = { name: "", form: "onnx", tensors: new Map(), nodes: [], inputs: [], outputs: [] };
  const diagnostics: Diagnostic[] = [];
  const report = (line: number, message: string): void => {
    diagnostics.push({ code: "LPU1030", message, location: { kind: "file", path, line } });
  };
  const lines = text.split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.trimStart().startsWith("//")) continue;
    const message = problemOf(line, draft);
    if (message !== undefined) report(i + 1, message);
  }
  if (!/^\s*(\/\/.*\n\s*)*graph\b/.test(text)) report(1, "the text does not begin with graph");
  const tensors = Array.from({ length: draft.tensors.size }, (_, id) => draft.tensors.get(id));
  const gap = tensors.indexOf(undefined);
  if (gap >= 0) report(lines.length, `tensor ids are not 0 to ${tensors.length - 1}: %${gap} is missing`);
  if (diagnostics.length > 0) return fail(...diagnostics);
  const { name, form, nodes, inputs, outputs } = draft;
  return ok({ name, form, tensors: tensors.filter((tensor) => tensor !== undefined), nodes, inputs, outputs });
}
