// Operators that are written out as others and that the runtimes tests compare with do not have: calls with answers by plain loops.
import type { TensorValue } from "../ir/graph/values.ts";
import { floats, i64, ints, listed } from "./op-models.ts";
import type { DefinedCall } from "./op-newest.ts";

const numbersIn = (x: TensorValue): readonly number[] => Array.from(x.data, Number);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function swiGlu(alpha: number): DefinedCall {
  const [a, b] = [floats([3, 5], 1), floats([3, 5], 2)];
  const values = numbersIn(b);
  const y = numbersIn(a).map((x, i) => x * sigmoid(alpha * x) * (values[i] ?? 0));
  const expected = [listed("float32", [3, 5], y)];
  return { name: `SwiGLU ${alpha}`, op: "SwiGLU", opset: 28, inputs: [a, b], attrs: { alpha }, expected };
}

/** Products along the second of three dimensions. */
function products(exclusive: bigint, reverse: bigint, dtype: "float32" | "int32"): DefinedCall {
  const shape = [2, 7, 3];
  const x = dtype === "int32" ? ints(dtype, shape, -3, 3) : floats(shape, 3, 0.5, 2);
  const numbers = numbersIn(x);
  const y = numbers.map((own, at) => {
    const line = Math.floor(at / 3) % 7;
    let product = exclusive === 1n ? 1 : own;
    for (let other = 0; other < 7; other++) {
      const counts = reverse === 1n ? other > line : other < line;
      if (counts) product *= numbers[at + (other - line) * 3] ?? 0;
    }
    return product;
  });
  return {
    name: `CumProd ${dtype}, exclusive ${exclusive}, reverse ${reverse}`,
    op: "CumProd",
    opset: 26,
    inputs: [x, i64(1)],
    attrs: { exclusive, reverse },
    expected: [listed(dtype, shape, y)],
    constants: [1],
  };
}

function causalConvolution(length: number, kernel: number, more: "nothing" | "bias and past"): DefinedCall {
  const [batch, channels, before] = [2, 3, kernel - 1];
  const [x, weight] = [floats([batch, channels, length], 1), floats([channels, 1, kernel], 2)];
  const whole = more !== "nothing";
  const [bias, past] = [floats([channels], 3), floats([batch, channels, before], 4)];
  const [X, W, B, P] = [x, weight, bias, past].map(numbersIn);
  const line = (plane: number): number[] => {
    const earlier = P?.slice(plane * before, (plane + 1) * before) ?? [];
    const own = X?.slice(plane * length, (plane + 1) * length) ?? [];
    return [...(whole ? earlier : new Array<number>(before).fill(0)), ...own];
  };
  const [y, state]: [number[], number[]] = [[], []];
  for (let plane = 0; plane < batch * channels; plane++) {
    const channel = plane % channels;
    for (let t = 0; t < length; t++) {
      let sum = whole ? (B?.[channel] ?? 0) : 0;
      for (let i = 0; i < kernel; i++) sum += (line(plane)[t + i] ?? 0) * (W?.[channel * kernel + i] ?? 0);
      y.push(whole ? sum * sigmoid(sum) : sum);
    }
    state.push(...line(plane).slice(length));
  }
  return {
    name: `CausalConvWithState ${length} by ${kernel}, ${more}`,
    op: "CausalConvWithState",
    opset: 27,
    inputs: [x, weight, ...(whole ? [bias, past] : [])],
    attrs: { activation: whole ? "silu" : "none" },
    outputs: ["y", "state"],
    expected: [listed("float32", [batch, channels, length], y), listed("float32", [batch, channels, before], state)],
  };
}

interface Recurrence {
  readonly rule: "linear" | "gated" | "delta" | "gated_delta";
  readonly groups: number;
  readonly past: boolean;
}

const [BATCH, LENGTH, HEADS, SIZE, VALUE] = [2, 3, 2, 4, 3];

/** The recurrence on plain numbers: a state a batch and head of keys by values. */
function recurred(inputs: readonly (TensorValue | null)[], { groups }: Recurrence): readonly TensorValue[] {
  const [Q, K, V, S, G, R] = inputs.map((x) => (x === null ? undefined : numbersIn(x)));
  const y = new Array<number>(BATCH * LENGTH * HEADS * groups * VALUE).fill(0);
  const state = S === undefined ? new Array<number>(BATCH * HEADS * SIZE * VALUE).fill(0) : [...S];
  for (let plane = 0; plane < BATCH * HEADS; plane++) {
    const [b, h] = [Math.floor(plane / HEADS), plane % HEADS];
    const at = (i: number, m: number): number => (plane * SIZE + i) * VALUE + m;
    for (let t = 0; t < LENGTH; t++) {
      const token = b * LENGTH + t;
      const key = (i: number): number => K?.[(token * HEADS + h) * SIZE + i] ?? 0;
      for (let m = 0; m < VALUE; m++) {
        const kept = G === undefined ? 1 : Math.exp(G[token * HEADS + h] ?? 0);
        let found = 0;
        for (let i = 0; i < SIZE; i++) {
          state[at(i, m)] = (state[at(i, m)] ?? 0) * kept;
          found += (state[at(i, m)] ?? 0) * key(i);
        }
        const value = V?.[(token * HEADS + h) * VALUE + m] ?? 0;
        const written = R === undefined ? value : (R[token * HEADS + h] ?? 0) * (value - found);
        for (let i = 0; i < SIZE; i++) state[at(i, m)] = (state[at(i, m)] ?? 0) + key(i) * written;
        for (let g = 0; g < groups; g++) {
          const head = h * groups + g;
          let sum = 0;
          for (let i = 0; i < SIZE; i++)
            sum += (Q?.[(token * HEADS * groups + head) * SIZE + i] ?? 0) * (state[at(i, m)] ?? 0);
          y[(token * HEADS * groups + head) * VALUE + m] = sum / Math.sqrt(SIZE);
        }
      }
    }
  }
  return [
    listed("float32", [BATCH, LENGTH, HEADS * groups * VALUE], y),
    listed("float32", [BATCH, HEADS, SIZE, VALUE], state),
  ];
}

function linearAttention(recurrence: Recurrence): DefinedCall {
  const { rule, groups, past } = recurrence;
  const inputs = [
    floats([BATCH, LENGTH, HEADS * groups * SIZE], 1),
    floats([BATCH, LENGTH, HEADS * SIZE], 2, -0.5, 0.5),
    floats([BATCH, LENGTH, HEADS * VALUE], 3),
    past ? floats([BATCH, HEADS, SIZE, VALUE], 4) : null,
    rule.startsWith("gated") ? floats([BATCH, LENGTH, HEADS], 5, -1, 0) : null,
    rule.endsWith("delta") ? floats([BATCH, LENGTH, HEADS], 6, 0, 1) : null,
  ];
  return {
    name: `LinearAttention ${rule}, groups of ${groups}${past ? ", past" : ""}`,
    op: "LinearAttention",
    opset: 27,
    inputs,
    attrs: { q_num_heads: BigInt(HEADS * groups), kv_num_heads: BigInt(HEADS), update_rule: rule },
    outputs: ["y", "state"],
    expected: recurred(inputs, recurrence),
  };
}

/** Scales given at run time are taken as they are given. */
const resized: DefinedCall = {
  name: "Resize with scales as an input",
  op: "Resize",
  opset: 19,
  inputs: [floats([1, 3], 1), null, listed("float32", [2], [1, 2])],
  attrs: { mode: "nearest" },
  expected: [
    listed(
      "float32",
      [1, 6],
      numbersIn(floats([1, 3], 1)).flatMap((x) => [x, x]),
    ),
  ],
};

export const definedFunctions: readonly DefinedCall[] = [
  resized,
  swiGlu(1),
  swiGlu(1.702),
  products(0n, 0n, "float32"),
  products(1n, 0n, "float32"),
  products(0n, 1n, "int32"),
  products(1n, 1n, "int32"),
  causalConvolution(5, 3, "nothing"),
  causalConvolution(2, 4, "bias and past"),
  causalConvolution(3, 1, "nothing"),
  linearAttention({ rule: "linear", groups: 1, past: false }),
  linearAttention({ rule: "gated", groups: 2, past: true }),
  linearAttention({ rule: "delta", groups: 1, past: true }),
  linearAttention({ rule: "gated_delta", groups: 2, past: false }),
];
