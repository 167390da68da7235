// The embedded core graph evaluated in the field of the data-flow proof: plain code over the core ops, one tensor at a time. What a program
// computes is compared with this.
import type { Attrs, AttrValue } from "../../ir/graph/graph.ts";
import type { AluOp } from "../../ir/machine/isa.ts";
import type { Program, ProgramGraph } from "../../ir/machine/program.ts";
import { chooseElement, combinedChoices, maxRows } from "./choice.ts";
import { broadcast, countOf, type Operand, pick, positions, type Shape, stridesOf } from "./graph-positions.ts";
import { matmul } from "./graph-products.ts";
import { intAt, kindAt, type Lanes, laneKinds, lanesOf, mixedLanes, saturated, widenedKinds } from "./lanes.ts";
import { applyOperation } from "./meaning.ts";

type Node = ProgramGraph["nodes"][number];

const ints = (value: AttrValue | undefined): readonly number[] =>
  Array.isArray(value) ? value.map(Number) : value === undefined ? [] : [Number(value)];
const int = (value: AttrValue | undefined): number => Number(value ?? 0);

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
