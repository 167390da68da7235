// Operators in forms newer than the runtimes that tests compare with, and edges on which runtimes differ from the definitions: calls of one node
// with the answers that the definitions of ONNX give.
import type { TensorValue } from "../ir/graph/values.ts";
import { floats, i64, ints, listed, type Operand } from "./op-models.ts";

export interface DefinedCall {
  readonly name: string;
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (TensorValue | null)[];
  readonly attrs: Readonly<Record<string, number | bigint | string>>;
  readonly expected: readonly TensorValue[];
  readonly outputs?: readonly string[];
  /** Inputs that stand in the model. */
  readonly constants?: readonly number[];
}

/** Inputs as operands of a model's node. */
export const operandsOf = ({ inputs, constants = [] }: DefinedCall): readonly Operand[] =>
  inputs.map((value, i) => (value !== null && constants.includes(i) ? { constant: value } : value));

const int8 = (...numbers: number[]): TensorValue => listed("int8", [numbers.length], numbers);
const float = (...numbers: number[]): TensorValue => listed("float32", [numbers.length], numbers);

const shift = (name: string, direction: string, x: TensorValue, y: TensorValue, z: TensorValue): DefinedCall => ({
  name: `BitShift ${name}`,
  op: "BitShift",
  opset: 28,
  inputs: [x, y],
  attrs: { direction },
  expected: [z],
});

const bitCast = (name: string, to: bigint, x: TensorValue, y: TensorValue): DefinedCall => ({
  name: `BitCast ${name}`,
  op: "BitCast",
  opset: 26,
  inputs: [x],
  attrs: { to },
  expected: [y],
});

const bitCasts: readonly DefinedCall[] = [
  bitCast("float32 to int32", 6n, float(1, -2, 0), listed("int32", [3], [0x3f800000, -0x40000000, 0])),
  bitCast("int32 to float32", 1n, listed("int32", [2], [0x3f800000, -0x40000000]), float(1, -2)),
  bitCast("int8 to uint8", 2n, int8(-1, -128, 5), listed("uint8", [3], [255, 128, 5])),
  bitCast("uint16 to int16", 5n, listed("uint16", [2], [65535, 7]), listed("int16", [2], [-1, 7])),
];

const shifts: readonly DefinedCall[] = [
  shift("left of signed", "LEFT", int8(-8, 4, 64, 1), int8(1, 2, 1, 7), int8(-16, 16, -128, -128)),
  shift("left out of range", "LEFT", int8(-8, 4, -1, 3), int8(8, -1, 127, -128), int8(0, 0, 0, 0)),
  shift("right keeps the sign", "RIGHT", int8(-8, 64, -1), int8(1, 2, 7), int8(-4, 16, -1)),
  shift("right out of range", "RIGHT", int8(-8, 4, -1, 3), int8(8, 9, -1, -8), int8(-1, 0, -1, 0)),
  shift("int64", "RIGHT", i64(-16, 4, -1, 7), i64(2, 64, 70, -1), i64(-4, 0, -1, 0)),
  shift(
    "uint8",
    "RIGHT",
    listed("uint8", [3], [200, 3, 255]),
    listed("uint8", [3], [1, 8, 7]),
    listed("uint8", [3], [100, 0, 1]),
  ),
];

/** Remainders as float32 arithmetic finds them. */
const remainders = (x: TensorValue, y: TensorValue, floored: boolean): TensorValue => {
  const [a, b] = [Array.from(x.data, Number), Array.from(y.data, Number)];
  const rests = a.map((number, i) => {
    const divisor = b[i] ?? 1;
    const rest = number % divisor;
    return floored && rest !== 0 && rest < 0 !== divisor < 0 ? Math.fround(rest + divisor) : rest;
  });
  return listed("float32", x.shape, rests);
};

const modulo = (name: string, fmod: bigint, x: TensorValue, y: TensorValue, z?: TensorValue): DefinedCall => ({
  name: `Mod ${name}`,
  op: "Mod",
  opset: 28,
  inputs: [x, y],
  attrs: { fmod },
  expected: [z ?? remainders(x, y, fmod === 0n)],
});

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const [dividends, divisors] = [floats([5, 7], 3, -900, 900), floats([5, 7], 4, 0.3, 7)];
const moduli: readonly DefinedCall[] = [
  modulo("floored", 0n, float(-4.3, 7.2, 5, 4.3, -7.2, 8), float(2.1, -3.4, 8, -2.1, 3.4, 5)),
  modulo("floored, many", 0n, dividends, divisors),
  modulo("truncated, many", 1n, dividends, divisors),
  modulo("quotients of many digits", 1n, float(1e6, 12345678, -3e7, 1e9), float(0.37, 0.1, 0.7, 0.3)),
  modulo(
    "floored, edges",
    0n,
    float(0, 0, -3, 3, -1, 1, inf, 1, nan, 1),
    float(-2, 2, inf, inf, -inf, -inf, 2, 0, 2, nan),
    float(-0, 0, inf, 3, -1, -inf, nan, nan, nan, nan),
  ),
  modulo("truncated, edges", 1n, float(5, -5, inf, 1, nan), float(inf, -inf, inf, 0, 1), float(5, -5, nan, nan, nan)),
];

const emptyMaximum = (op: "ReduceMax" | "ReduceMin", dtype: "bool" | "int8" | "uint8", end: number): DefinedCall => ({
  name: `${op} of no ${dtype}`,
  op,
  opset: 20,
  inputs: [listed(dtype, [2, 0, 3], []), i64(1)],
  attrs: {},
  expected: [listed(dtype, [2, 1, 3], new Array<number>(6).fill(end))],
  constants: [1],
});

/** Quotients next to halves: the rounded quotient decides, not the true one and not an approximate one. */
function quantisedNearHalves(): DefinedCall {
  const scale = Math.fround(5 / 255);
  const numbers = Array.from({ length: 64 }, (_, i) =>
    Math.fround((i - 32.5) * scale * (1 + ((i % 5) - 2) * 2 ** -23)),
  );
  const nearestEven = (x: number): number => {
    const floor = Math.floor(x);
    const up = x - floor > 0.5 || (x - floor === 0.5 && floor % 2 !== 0);
    return up ? floor + 1 : floor;
  };
  return {
    name: "QuantizeLinear next to halves",
    op: "QuantizeLinear",
    opset: 13,
    inputs: [float(...numbers), listed("float32", [], [scale]), listed("int8", [], [0])],
    attrs: {},
    expected: [int8(...numbers.map((x) => nearestEven(Math.fround(x / scale))))],
  };
}

interface Window {
  readonly left: number;
  readonly right: number;
  readonly causal?: boolean;
  readonly past?: number;
  readonly lengths?: readonly number[];
}

const [BATCH, HEADS, QUERIES, SIZE] = [2, 2, 3, 4];

/** Attention in plain loops: query i stands at key i + offset and sees keys from left before it to right after it. */
function attended(q: TensorValue, k: TensorValue, v: TensorValue, window: Window): TensorValue {
  const [Q, K, V] = [q, k, v].map(({ data }) => Array.from(data, Number));
  const keys = k.shape[2] ?? 0;
  const right = window.causal === true ? 0 : window.right;
  const y: number[] = [];
  for (let row = 0; row < BATCH * HEADS * QUERIES; row++) {
    const [plane, i] = [Math.floor(row / QUERIES), row % QUERIES];
    const length = window.lengths?.[Math.floor(plane / HEADS)];
    const place = i + (length === undefined ? (window.past ?? 0) : length - QUERIES);
    const at = (x: readonly number[] | undefined, line: number, l: number): number => x?.[line * SIZE + l] ?? 0;
    const scores = Array.from({ length: keys }, (_, j) => {
      const seen = (window.left < 0 || j >= place - window.left) && (right < 0 || j <= place + right);
      if (!seen || j >= (length ?? keys)) return -inf;
      let sum = 0;
      for (let l = 0; l < SIZE; l++) sum += at(Q, row, l) * at(K, plane * keys + j, l);
      return sum / Math.sqrt(SIZE);
    });
    const top = Math.max(...scores);
    const weights = scores.map((score) => (top === -inf ? 0 : Math.exp(score - top)));
    const total = weights.reduce((a, b) => a + b, 0) || 1;
    for (let l = 0; l < SIZE; l++) {
      y.push(weights.reduce((sum, weight, j) => sum + (weight / total) * at(V, plane * keys + j, l), 0));
    }
  }
  return listed("float32", [BATCH, HEADS, QUERIES, SIZE], y);
}

function appended(past: TensorValue, added: TensorValue): TensorValue {
  const [P, A] = [Array.from(past.data, Number), Array.from(added.data, Number)];
  const [before, after] = [(past.shape[2] ?? 0) * SIZE, (added.shape[2] ?? 0) * SIZE];
  const joined: number[] = [];
  for (let plane = 0; plane < BATCH * HEADS; plane++) {
    joined.push(...P.slice(plane * before, (plane + 1) * before), ...A.slice(plane * after, (plane + 1) * after));
  }
  return listed("float32", [BATCH, HEADS, (before + after) / SIZE, SIZE], joined);
}

function windowed(name: string, keys: number, window: Window): DefinedCall {
  const { past = 0, lengths } = window;
  const q = floats([BATCH, HEADS, QUERIES, SIZE], 1);
  const [k, v] = [2, 3].map((seed) => floats([BATCH, HEADS, keys, SIZE], seed));
  if (k === undefined || v === undefined) throw new Error("two tensors are made");
  const [pastK, pastV] = [4, 5].map((seed) => (past === 0 ? null : floats([BATCH, HEADS, past, SIZE], seed)));
  const [allK, allV] = [pastK ? appended(pastK, k) : k, pastV ? appended(pastV, v) : v];
  const tail = [null, pastK ?? null, pastV ?? null, lengths === undefined ? null : i64(...lengths)];
  return {
    name: `Attention ${name}`,
    op: "Attention",
    opset: 25,
    inputs: [q, k, v, ...(past > 0 || lengths !== undefined ? tail : [])],
    attrs: {
      left_window_size: BigInt(window.left),
      right_window_size: BigInt(window.right),
      is_causal: window.causal === true ? 1n : 0n,
    },
    expected: [attended(q, allK, allV, window)],
  };
}

const windows: readonly DefinedCall[] = [
  windowed("sees what lies left", 5, { left: 1, right: -1 }),
  windowed("sees itself and one on each side", 5, { left: 1, right: 1 }),
  windowed("right of a causal one is nothing", 5, { left: 1, right: 2, causal: true }),
  windowed("queries beyond all keys give 0", 1, { left: 0, right: 0 }),
  windowed("window behind a past", 3, { left: 2, right: 0, past: 4 }),
  windowed("window at each length", 6, { left: 2, right: 1, lengths: [4, 2] }),
];

export const definedCalls: readonly DefinedCall[] = [
  ...shifts,
  ...bitCasts,
  ...moduli,
  emptyMaximum("ReduceMax", "bool", 0),
  emptyMaximum("ReduceMin", "bool", 1),
  emptyMaximum("ReduceMax", "int8", -128),
  emptyMaximum("ReduceMin", "uint8", 255),
  quantisedNearHalves(),
  ...windows,
  {
    name: "SpaceToDepth column, row, depth",
    op: "SpaceToDepth",
    opset: 28,
    inputs: [ints("float32", [1, 2, 2, 4], 0, 99)],
    attrs: { blocksize: 2n, mode: "CRD" },
    expected: [blocksOf(ints("float32", [1, 2, 2, 4], 0, 99))],
  },
  einsum("XY,YZ", [2, 3], [3, 2], [10, 13, 28, 40]),
  einsum("...ZY,...Y->...Z", [1, 2, 3], [1, 3], [5, 14]),
  {
    name: "Shrink of integers",
    op: "Shrink",
    opset: 9,
    inputs: [int8(-3, -1, 0, 1, 2, 3)],
    attrs: { lambd: 1.5, bias: 1.5 },
    expected: [int8(-1, 0, 0, 0, 0, 1)],
  },
];

/** 0, 1, 2... of both shapes. */
function einsum(equation: string, a: readonly number[], b: readonly number[], y: readonly number[]): DefinedCall {
  const counted = (shape: readonly number[]): TensorValue =>
    listed(
      "float32",
      shape,
      Array.from({ length: shape.reduce((n, size) => n * size, 1) }, (_, i) => i),
    );
  const shape = equation.includes(".") ? [1, 2] : [2, 2];
  return {
    name: `Einsum ${equation}`,
    op: "Einsum",
    opset: 12,
    inputs: [counted(a), counted(b)],
    attrs: { equation },
    expected: [listed("float32", shape, y)],
  };
}

/** Channel c, block row, block column, in this order, of [1, 2, 2, 4] in blocks of 2. */
function blocksOf(x: TensorValue): TensorValue {
  const numbers = Array.from(x.data, Number);
  const result: number[] = [];
  for (const c of [0, 1]) {
    for (const row of [0, 1]) {
      for (const column of [0, 1]) {
        for (const block of [0, 1]) result.push(numbers[c * 8 + row * 4 + block * 2 + column] ?? 0);
      }
    }
  }
  return listed("float32", [1, 8, 1, 2], result);
}
