// The embedded core graph evaluated in the field of the data-flow proof: plain code over the core ops, one tensor at a time. What a program
// computes is compared with this.
import type { Attrs, AttrValue } from "../../ir/graph/graph.ts";
import type { AluOp } from "../../ir/machine/isa.ts";
import type { Program, ProgramGraph } from "../../ir/machine/program.ts";
import { chooseElement, combinedChoices, maxRows } from "./choice.ts";
import { addField, isSpecial, multiplyField } from "./field.ts";
import {
  floatsOf,
  intAt,
  kindAt,
  type Lanes,
  laneKinds,
  lanesOf,
  mixedLanes,
  saturated,
  widenedKinds,
} from "./lanes.ts";
import { applyOperation, roundToHalf } from "./meaning.ts";
import { dotRows } from "./tile.ts";

type Shape = readonly number[];
type Node = ProgramGraph["nodes"][number];

const countOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
const ints = (value: AttrValue | undefined): readonly number[] =>
  Array.isArray(value) ? value.map(Number) : value === undefined ? [] : [Number(value)];
const int = (value: AttrValue | undefined): number => Number(value ?? 0);

export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = (strides[d + 1] as number) * (shape[d + 1] as number);
  return strides;
}

/** Row-major walk over `shape`: flat source position of every element, given the source's start and its step along each dimension. */
function positions(shape: Shape, steps: readonly number[], start = 0): Int32Array {
  const out = new Int32Array(countOf(shape));
  const rank = shape.length;
  const index = new Array<number>(rank).fill(0);
  let at = start;
  for (let i = 0; i < out.length; i++) {
    out[i] = at;
    for (let d = rank - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      at += steps[d] as number;
      if ((index[d] as number) < (shape[d] as number)) break;
      at -= (index[d] as number) * (steps[d] as number);
      index[d] = 0;
    }
  }
  return out;
}

export function pick(source: Lanes, order: Int32Array): Lanes {
  const x = new Int32Array(order.length);
  for (let i = 0; i < x.length; i++) x[i] = source.x[order[i] as number] as number;
  if (source.kinds === undefined) return lanesOf(x, source.kind);
  const kinds = new Uint8Array(order.length);
  for (let i = 0; i < kinds.length; i++) kinds[i] = source.kinds[order[i] as number] as number;
  return mixedLanes(x, kinds);
}

/** Steps that repeat dimensions of size 1. */
function broadcastSteps(from: Shape): number[] {
  return stridesOf(from).map((stride, d) => (from[d] === 1 ? 0 : stride));
}

function broadcast(value: Lanes, from: Shape, to: Shape): Lanes {
  if (from.every((size, d) => size === to[d])) return value;
  return pick(value, positions(to, broadcastSteps(from)));
}

/** ALU operation with the meaning of an elementwise core op; `[float, int]` where it depends on the operands' type. */
const elementwise = {
  add: ["add", "iadd"],
  sub: ["sub", "isub"],
  mul: ["mul", "imul"],
  min: ["min", "imin"],
  max: ["max", "imax"],
  eq: ["cmpEq", "icmpEq"],
  lt: ["cmpLt", "icmpLt"],
  le: ["cmpLe", "icmpLe"],
  and: ["and", "and"],
  or: ["or", "or"],
  xor: ["xor", "xor"],
  shl: ["shl", "shl"],
  shr: ["shr", "shr"],
  shru: ["shru", "shru"],
  exp2: ["exp2", "exp2"],
  rsqrt: ["rsqrt", "rsqrt"],
  tanh: ["tanh", "tanh"],
  toFloat: ["toFloat", "toFloat"],
  roundF16: ["roundF16", "roundF16"],
  select: ["select", "select"],
} as const satisfies Record<string, readonly [AluOp, AluOp]>;

const reductions = {
  reduceSum: ["add", "iadd"],
  reduceMax: ["max", "imax"],
  reduceMin: ["min", "imin"],
  reduceProd: ["mul", "imul"],
} as const satisfies Record<string, readonly [AluOp, AluOp]>;

interface Operand {
  readonly value: Lanes;
  readonly shape: Shape;
}

function reduceAxes(operation: AluOp, x: Operand, axes: readonly number[], out: Shape): Lanes {
  const inner = axes.map((axis) => x.shape[axis] as number);
  const strides = stridesOf(x.shape);
  const offsets = positions(
    inner,
    axes.map((axis) => strides[axis] as number),
  );
  const steps = strides.map((stride, d) => (axes.includes(d) ? 0 : stride));
  const starts = positions(out, steps);
  let total: Lanes | undefined;
  for (const offset of offsets) {
    const slice = pick(
      x.value,
      starts.map((start) => start + offset),
    );
    total = total === undefined ? slice : applyOperation(operation, total, slice, total);
  }
  return total ?? lanesOf(new Int32Array(countOf(out)), laneKinds.bits);
}

function concat(parts: readonly Operand[], axis: number, out: Shape): Lanes {
  const x = new Int32Array(countOf(out));
  const kinds = new Uint8Array(x.length);
  const strides = stridesOf(out);
  let at = 0;
  for (const part of parts) {
    const order = positions(part.shape, strides, at * (strides[axis] as number));
    for (let i = 0; i < order.length; i++) {
      x[order[i] as number] = part.value.x[i] as number;
      kinds[order[i] as number] = kindAt(part.value, i);
    }
    at += part.shape[axis] as number;
  }
  return mixedLanes(x, kinds);
}

function pad(x: Operand, attrs: Attrs, out: Shape, isFloat: boolean): Lanes {
  const before = ints(attrs.before);
  const value = Number(attrs.value ?? 0);
  const bits = isFloat ? (new Int32Array(Float32Array.of(value).buffer)[0] as number) : value | 0;
  const result = new Int32Array(countOf(out)).fill(bits);
  const kinds = new Uint8Array(result.length);
  const strides = stridesOf(out);
  const start = before.reduce((sum, size, d) => sum + size * (strides[d] as number), 0);
  const order = positions(x.shape, strides, start);
  for (let i = 0; i < order.length; i++) {
    result[order[i] as number] = x.value.x[i] as number;
    kinds[order[i] as number] = kindAt(x.value, i);
  }
  return mixedLanes(result, kinds);
}

/** A run-time index in 0..limit-1: concrete ones are clamped, symbolic ones wrap (the same choice as the machine's side of the proof). */
export function indexAt(kind: number, x: number, limit: number): number {
  if (kind === laneKinds.bits) return Math.min(limit - 1, Math.max(0, x));
  const value = intAt(kind, x) % limit;
  return value < 0 ? value + limit : value;
}

function gather(data: Operand, indices: Operand, axis: number, combined: boolean): Lanes {
  const strides = stridesOf(data.shape);
  const size = data.shape[axis] as number;
  const outer = countOf(data.shape.slice(0, axis));
  const inner = strides[axis] as number;
  const chosen = Int32Array.from(indices.value.x, (x, i) => indexAt(kindAt(indices.value, i), x, size));
  if (combined && size <= maxRows) return gatherCombined(data.value, chosen, outer, size, inner);
  const order = new Int32Array(outer * chosen.length * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of chosen) {
      const from = (o * size + index) * inner;
      for (let i = 0; i < inner; i++) order[at++] = from + i;
    }
  }
  return pick(data.value, order);
}

function gatherCombined(data: Lanes, chosen: Int32Array, outer: number, size: number, inner: number): Lanes {
  const x = new Int32Array(outer * chosen.length * inner);
  const kinds = new Uint8Array(x.length);
  const element = { kind: 0, x: 0 };
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of chosen) {
      for (let i = 0; i < inner; i++) {
        chooseElement(data, o * size * inner + i, inner, size, index, element);
        x[at] = element.x;
        kinds[at++] = element.kind;
      }
    }
  }
  return mixedLanes(x, kinds);
}

/** Rows of both operands as field values; constants of an fp16 product are rounded first. */
function matrixValues(value: Lanes, precision: string): Int32Array {
  if (precision !== "int8") return floatsOf(precision === "fp16" ? roundToHalf(value) : value);
  return Int32Array.from(value.x, (x, i) => intAt(kindAt(value, i), x));
}

function matmul(a: Operand, b: Operand, out: Shape, precision: string): Lanes {
  const rank = out.length;
  const [m, n] = [out[rank - 2] as number, out[rank - 1] as number];
  const k = a.shape[rank - 1] as number;
  const va = matrixValues(a.value, precision);
  const vb = matrixValues(b.value, precision);
  const batch = out.slice(0, rank - 2);
  const startsA = positions(batch, broadcastSteps(a.shape).slice(0, rank - 2));
  const startsB = positions(batch, broadcastSteps(b.shape).slice(0, rank - 2));
  const result = new Int32Array(countOf(out));
  const special = va.some(isSpecial) || vb.some(isSpecial);
  const rows = new Float32Array(special ? 0 : n * k);
  const vector = new Float64Array(k);
  let loaded = -1;
  for (let i = 0; i < startsA.length; i++) {
    const [fromA, fromB] = [startsA[i] as number, startsB[i] as number];
    const into = result.subarray(i * m * n, (i + 1) * m * n);
    if (special) {
      specialProduct(va.subarray(fromA, fromA + m * k), vb.subarray(fromB, fromB + k * n), n, k, into);
      continue;
    }
    if (loaded !== fromB) {
      for (let r = 0; r < k; r++) for (let c = 0; c < n; c++) rows[c * k + r] = vb[fromB + r * n + c] as number;
      loaded = fromB;
    }
    for (let row = 0; row < m; row++) {
      for (let r = 0; r < k; r++) vector[r] = va[fromA + row * k + r] as number;
      dotRows(rows, k, n, vector, k, into.subarray(row * n, (row + 1) * n));
    }
  }
  const exact = precision === "int8" && a.value.kind === laneKinds.bits && b.value.kind === laneKinds.bits;
  if (!exact) return lanesOf(result, precision === "int8" ? laneKinds.int : laneKinds.float);
  return exactProduct(a, b, out, startsA, startsB);
}

/** As the lazy product, where infinities or NaN take part. */
function specialProduct(a: Int32Array, b: Int32Array, n: number, k: number, into: Int32Array): void {
  for (let i = 0; i < into.length; i++) {
    const row = Math.floor(i / n);
    let sum = 0;
    for (let r = 0; r < k; r++) {
      sum = addField(sum, multiplyField(a[row * k + r] as number, b[r * n + (i % n)] as number));
    }
    into[i] = sum;
  }
}

/** Constant int8 operands: the sums are concrete. */
function exactProduct(a: Operand, b: Operand, out: Shape, startsA: Int32Array, startsB: Int32Array): Lanes {
  const rank = out.length;
  const [m, n] = [out[rank - 2] as number, out[rank - 1] as number];
  const k = a.shape[rank - 1] as number;
  const x = new Int32Array(countOf(out));
  for (let i = 0; i < x.length; i++) {
    const matrix = Math.floor(i / (m * n));
    const row = Math.floor(i / n) % m;
    let sum = 0;
    for (let r = 0; r < k; r++) {
      const left = a.value.x[(startsA[matrix] as number) + row * k + r] as number;
      sum += left * (b.value.x[(startsB[matrix] as number) + r * n + (i % n)] as number);
    }
    x[i] = sum;
  }
  return lanesOf(x, laneKinds.bits);
}

function toByte(x: Lanes, signed: boolean): Lanes {
  const values = new Int32Array(x.x.length);
  const kinds = new Uint8Array(values.length);
  const [low, high] = signed ? [-128, 127] : [0, 255];
  const narrow = signed ? widenedKinds.signed : widenedKinds.unsigned;
  for (let i = 0; i < values.length; i++) {
    const kind = kindAt(x, i);
    const from = x.x[i] as number;
    if (kind === laneKinds.bits) values[i] = Math.min(high, Math.max(low, from));
    else {
      values[i] = kind === narrow ? from : saturated(intAt(kind, from), signed);
      kinds[i] = narrow;
    }
  }
  return mixedLanes(values, kinds);
}

function view(node: Node, x: Operand, out: Shape): Lanes {
  const strides = stridesOf(x.shape);
  switch (node.op) {
    case "transpose":
      return pick(
        x.value,
        positions(
          out,
          ints(node.attrs.perm).map((d) => strides[d] as number),
        ),
      );
    case "expand":
      return broadcast(x.value, x.shape, out);
    case "slice": {
      const steps = ints(node.attrs.steps);
      const starts = ints(node.attrs.starts);
      const start = starts.reduce((sum, from, d) => sum + from * (strides[d] as number), 0);
      return pick(
        x.value,
        positions(
          out,
          strides.map((stride, d) => stride * (steps[d] as number)),
          start,
        ),
      );
    }
    default:
      return x.value;
  }
}

interface Setting {
  readonly outFloat: boolean;
  readonly inFloat: boolean;
  /** A gather combines all rows of a table that is not constant. */
  readonly combined: boolean;
}

function evaluateNode(node: Node, inputs: readonly Operand[], out: Shape, setting: Setting): Lanes {
  const { outFloat, inFloat } = setting;
  const first = inputs[0] ?? { value: lanesOf(new Int32Array(0), laneKinds.bits), shape: [] };
  const second = inputs[1] ?? first;
  const { op } = node;
  if (op in elementwise) {
    const row = elementwise[op as keyof typeof elementwise];
    // select moves bits; every other op with several operands has them all of one type.
    const [a, b = a, c = a] = inputs.map((input) => broadcast(input.value, input.shape, out));
    return a === undefined || b === undefined || c === undefined
      ? first.value
      : applyOperation(inFloat ? row[0] : row[1], a, b, c);
  }
  if (op in reductions) {
    const row = reductions[op as keyof typeof reductions];
    return reduceAxes(inFloat ? row[0] : row[1], first, ints(node.attrs.axes), out);
  }
  switch (op) {
    case "toInt":
      return applyOperation(
        node.attrs.mode === "trunc" ? "toIntTrunc" : "toInt",
        first.value,
        first.value,
        first.value,
      );
    case "toInt8":
      return toByte(first.value, node.attrs.to !== "uint8");
    case "fromInt8":
      return first.value;
    case "bitcast":
      // What is read as another type is taken for it where it is used, as on the machine.
      return first.value;
    case "matmul":
      return matmul(first, second, out, String(node.attrs.precision));
    case "concat":
      return concat(inputs, int(node.attrs.axis), out);
    case "pad":
      return pad(first, node.attrs, out, outFloat);
    case "gather":
      return gather(first, second, int(node.attrs.axis), setting.combined);
    default:
      return view(node, first, out);
  }
}

/** Values of the tensors in `wanted`; constants and inputs come from `leaf`. Intermediate values are dropped after their last use. */
export function evaluateGraph(
  program: Program,
  leaf: (tensor: number) => Lanes | undefined,
  wanted: readonly number[],
): ReadonlyMap<number, Lanes> {
  const { tensors, nodes } = program.graph;
  const combined = combinedChoices(program).nodes;
  const values = new Map<number, Lanes>();
  const lastUse = new Map<number, number>();
  nodes.forEach((node, index) => {
    for (const input of node.inputs) lastUse.set(input, index);
  });
  for (const tensor of wanted) lastUse.set(tensor, nodes.length);
  const tensorValue = (tensor: number): Lanes => {
    const known = values.get(tensor) ?? leaf(tensor);
    const value = known ?? lanesOf(new Int32Array(countOf(tensors[tensor]?.shape ?? [])), laneKinds.unknown);
    values.set(tensor, value);
    return value;
  };
  nodes.forEach((node, index) => {
    const inputs = node.inputs.map((input) => ({ value: tensorValue(input), shape: tensors[input]?.shape ?? [] }));
    const output = tensors[node.output];
    if (output === undefined) return;
    const first = tensors[node.inputs[0] ?? -1];
    const setting = {
      inFloat: first?.dtype === "float32",
      outFloat: output.dtype === "float32",
      combined: combined.has(index) && first?.constant === undefined,
    };
    values.set(node.output, evaluateNode(node, inputs, output.shape, setting));
    for (const input of node.inputs) if (lastUse.get(input) === index) values.delete(input);
    if (!lastUse.has(node.output)) values.delete(node.output);
  });
  return new Map(wanted.map((tensor) => [tensor, tensorValue(tensor)]));
}
