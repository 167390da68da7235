// Cases of attention, rotary positions and onnxruntime's fused operators: modes, masks, caches, head counts.

import { one } from "./op-case.ts";
import { type Attribute, constant, floats, i64, ints, listed, type OpCase, type Operand, scalar } from "./op-models.ts";

type Attrs = Readonly<Record<string, Attribute>>;

const ms = { domain: "com.microsoft", toScale: true } as const;
const scaled = { opset: 23, toScale: true } as const;

interface Heads {
  readonly q: number;
  readonly kv: number;
  readonly size: number;
  readonly vSize: number;
}

const shapes: readonly Heads[] = [
  { q: 3, kv: 3, size: 8, vSize: 8 },
  { q: 3, kv: 3, size: 8, vSize: 10 },
  { q: 6, kv: 2, size: 5, vSize: 5 },
];

const modes: readonly Attrs[] = [
  {},
  { is_causal: 1n },
  { scale: 0.01 },
  { softcap: 2 },
  { is_causal: 1n, softcap: 0.5 },
];

function attention(
  heads: Heads,
  attrs: Attrs,
  rank: 3 | 4,
  extra: readonly Operand[] = [],
  outputs = ["y"],
  opset = 23,
): OpCase {
  const { q, kv, size, vSize } = heads;
  const at = (count: number, rows: number, width: number, seed: number): Operand =>
    rank === 4 ? floats([2, count, rows, width], seed) : floats([2, rows, count * width], seed);
  const counts = rank === 4 ? {} : { q_num_heads: BigInt(q), kv_num_heads: BigInt(kv) };
  const label = `${rank}d ${q}/${kv}x${size}/${vSize} ${JSON.stringify(attrs, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v))} ${extra.length} ${outputs.length}`;
  return one(
    label,
    "Attention",
    [at(q, 4, size, 1), at(kv, 6, size, 2), at(kv, 6, vSize, 3), ...extra],
    { ...attrs, ...counts },
    { ...scaled, opset, outputs },
  );
}

const plain = shapes.flatMap((heads) =>
  ([3, 4] as const).flatMap((rank) => modes.map((attrs) => attention(heads, attrs, rank))),
);

const [usual = { q: 3, kv: 3, size: 8, vSize: 8 }, , grouped = { q: 6, kv: 2, size: 5, vSize: 5 }] = shapes;

const masks: readonly OpCase[] = ([3, 4] as const).flatMap((rank) =>
  [
    floats([4, 6], 5),
    floats([2, 1, 4, 6], 5),
    floats([1, 3, 4, 6], 5),
    floats([2, 3, 4, 6], 5),
    ints("bool", [4, 6], 0, 1, 8),
    listed(
      "bool",
      [4, 6],
      Array.from({ length: 24 }, (_, i) => (i % 6 <= i / 6 + 2 ? 1 : 0)),
    ),
  ].flatMap((mask) => [attention(usual, {}, rank, [mask]), attention(usual, { is_causal: 1n }, rank, [mask])]),
);

const past = (heads: Heads): readonly Operand[] => [
  floats([2, heads.kv, 3, heads.size], 6),
  floats([2, heads.kv, 3, heads.vSize], 7),
];

const caches: readonly OpCase[] = ([3, 4] as const).flatMap((rank) =>
  [usual, grouped].flatMap((heads) => [
    attention(heads, {}, rank, [null, ...past(heads)], ["y", "pk", "pv"]),
    attention(heads, { is_causal: 1n }, rank, [null, ...past(heads)], ["y", "pk", "pv"]),
    attention(heads, {}, rank, [floats([4, 9], 5), ...past(heads)], ["y", "pk", "pv"]),
    ...[0n, 1n, 2n, 3n].map((mode) =>
      attention(
        heads,
        { qk_matmul_output_mode: mode, softcap: 3 },
        rank,
        [floats([4, 9], 5), ...past(heads)],
        ["y", "pk", "pv", "qk"],
      ),
    ),
  ]),
);

const rotary: readonly OpCase[] = [0n, 1n].flatMap((interleaved) => [
  one(
    `4d ${interleaved}`,
    "RotaryEmbedding",
    [floats([2, 4, 3, 8], 1), floats([50, 4], 2), floats([50, 4], 3), listed("int64", [2, 3], [0, 1, 2, 7, 8, 9])],
    { interleaved },
    scaled,
  ),
  one(
    `3d ${interleaved}`,
    "RotaryEmbedding",
    [floats([2, 3, 32], 1), floats([50, 4], 2), floats([50, 4], 3), listed("int64", [2, 3], [0, 1, 2, 7, 8, 9])],
    { interleaved, num_heads: 4n },
    scaled,
  ),
  one(
    `no ids ${interleaved}`,
    "RotaryEmbedding",
    [floats([2, 4, 3, 8], 1), floats([2, 3, 4], 2), floats([2, 3, 4], 3)],
    { interleaved },
    scaled,
  ),
  one(
    `partial ${interleaved}`,
    "RotaryEmbedding",
    [floats([2, 4, 3, 8], 1), floats([50, 2], 2), floats([50, 2], 3), listed("int64", [2, 3], [0, 1, 2, 7, 8, 9])],
    { interleaved, rotary_embedding_dim: 4n },
    scaled,
  ),
  one(
    `microsoft ${interleaved}`,
    "RotaryEmbedding",
    [
      floats([2, 3, 32], 1),
      listed("int64", [2, 3], [0, 1, 2, 7, 8, 9]),
      constant(floats([50, 4], 2)),
      constant(floats([50, 4], 3)),
    ],
    { interleaved, num_heads: 4n },
    ms,
  ),
  one(
    `microsoft, offset ${interleaved}`,
    "RotaryEmbedding",
    [floats([2, 3, 32], 1), i64(5), constant(floats([50, 4], 2)), constant(floats([50, 4], 3))],
    { interleaved, num_heads: 4n },
    ms,
  ),
]);

const weights = (k: number, n: number, seed: number): Operand => constant(floats([k, n], seed, -0.5, 0.5));
const vector = (n: number, seed: number): Operand => constant(floats([n], seed));

const fused: readonly OpCase[] = [
  one("plain", "Attention", [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3)], { num_heads: 3n }, ms),
  one(
    "causal",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3)],
    { num_heads: 3n, unidirectional: 1n },
    ms,
  ),
  one(
    "scale",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3)],
    { num_heads: 3n, scale: 0.2 },
    ms,
  ),
  one(
    "lengths",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3), listed("int32", [2], [3, 4])],
    { num_heads: 3n },
    ms,
  ),
  one(
    "mask",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3), listed("int32", [2, 4], [1, 1, 1, 0, 1, 1, 1, 1])],
    { num_heads: 3n },
    ms,
  ),
  one(
    "bias",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3), null, null, floats([2, 3, 4, 4], 4)],
    { num_heads: 3n },
    ms,
  ),
  one(
    "past",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 36, 2), vector(36, 3), null, floats([2, 2, 3, 5, 4], 4)],
    { num_heads: 3n, unidirectional: 1n },
    { ...ms, outputs: ["y", "present"] },
  ),
  one(
    "other sizes",
    "Attention",
    [floats([2, 4, 12], 1), weights(12, 12 + 12 + 15, 2), vector(39, 3)],
    { num_heads: 3n, qkv_hidden_sizes: [12n, 12n, 15n] },
    ms,
  ),
  one(
    "three",
    "MultiHeadAttention",
    [floats([2, 4, 12], 1), floats([2, 6, 12], 2), floats([2, 6, 12], 3)],
    { num_heads: 3n },
    ms,
  ),
  one(
    "bias",
    "MultiHeadAttention",
    [floats([2, 4, 12], 1), floats([2, 6, 12], 2), floats([2, 6, 12], 3), vector(36, 4)],
    { num_heads: 3n },
    ms,
  ),
  one(
    "key mask",
    "MultiHeadAttention",
    [
      floats([2, 4, 12], 1),
      floats([2, 6, 12], 2),
      floats([2, 6, 12], 3),
      null,
      listed("int32", [2, 6], [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0]),
    ],
    { num_heads: 3n },
    ms,
  ),
  one(
    "scores' bias",
    "MultiHeadAttention",
    [floats([2, 4, 12], 1), floats([2, 6, 12], 2), floats([2, 6, 12], 3), null, null, floats([1, 3, 4, 6], 4)],
    { num_heads: 3n },
    ms,
  ),
  one(
    "causal",
    "MultiHeadAttention",
    [floats([2, 4, 12], 1), floats([2, 4, 12], 2), floats([2, 4, 12], 3)],
    { num_heads: 3n, unidirectional: 1n },
    ms,
  ),
  one(
    "past",
    "MultiHeadAttention",
    [
      floats([2, 4, 12], 1),
      floats([2, 4, 12], 2),
      floats([2, 4, 12], 3),
      null,
      null,
      null,
      floats([2, 3, 5, 4], 5),
      floats([2, 3, 5, 4], 6),
    ],
    { num_heads: 3n },
    { ...ms, outputs: ["y", "pk", "pv"] },
  ),
  ...[0n, 1n].flatMap((rotation) =>
    [-1n, 3n].map((window) =>
      one(
        `${rotation} ${window}`,
        "GroupQueryAttention",
        [
          floats([1, 1, 48], 1),
          floats([1, 1, 16], 2),
          floats([1, 1, 16], 3),
          floats([1, 2, 8, 8], 4),
          floats([1, 2, 8, 8], 5),
          constant(listed("int32", [1], [7])),
          constant(listed("int32", [], [8])),
          ...(rotation === 0n ? [] : [constant(floats([16, 4], 6)), constant(floats([16, 4], 7))]),
        ],
        { num_heads: 6n, kv_num_heads: 2n, do_rotary: rotation, local_window_size: window },
        { ...ms, outputs: ["y", "pk", "pv"] },
      ),
    ),
  ),
  one(
    "prompt",
    "GroupQueryAttention",
    [
      floats([2, 4, 48], 1),
      floats([2, 4, 16], 2),
      floats([2, 4, 16], 3),
      floats([2, 2, 0, 8], 4),
      floats([2, 2, 0, 8], 5),
      constant(listed("int32", [2], [3, 3])),
      constant(listed("int32", [], [4])),
    ],
    { num_heads: 6n, kv_num_heads: 2n },
    { ...ms, outputs: ["y", "pk", "pv"] },
  ),
  ...["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"].flatMap((op) => {
    const beta = op === "SkipLayerNormalization" ? [vector(12, 4)] : [];
    return [
      one("plain", op, [floats([2, 4, 12], 1), floats([2, 4, 12], 2), vector(12, 3), ...beta], {}, ms),
      one(
        "bias, sum",
        op,
        [floats([2, 4, 12], 1), floats([2, 4, 12], 2), vector(12, 3), ...beta, vector(12, 5)],
        { epsilon: 0.001 },
        { ...ms, outputs: ["y", "", "", "sum"] },
      ),
      one("spread", op, [floats([2, 4, 12], 1), floats([1, 4, 12], 2), vector(12, 3), ...beta], {}, ms),
    ];
  }),
  one(
    "plain",
    "SimplifiedLayerNormalization",
    [floats([2, 4, 12], 1), vector(12, 2)],
    { axis: -1n, epsilon: 1e-6 },
    { toScale: true },
  ),
  one(
    "ids",
    "EmbedLayerNormalization",
    [
      ints("int32", [2, 5], 0, 19),
      ints("int32", [2, 5], 0, 1),
      weights(20, 12, 1),
      weights(8, 12, 2),
      weights(2, 12, 3),
      vector(12, 4),
      vector(12, 5),
    ],
    {},
    { ...ms, outputs: ["y", ""] },
  ),
  one(
    "mask",
    "EmbedLayerNormalization",
    [
      ints("int32", [2, 5], 0, 19),
      null,
      weights(20, 12, 1),
      weights(8, 12, 2),
      null,
      vector(12, 4),
      vector(12, 5),
      listed("int32", [2, 5], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
    ],
    { epsilon: 1e-5 },
    { ...ms, outputs: ["y", "length"] },
  ),
  ...["Gelu", "QuickGelu", "FastGelu"].map((op) => one("plain", op, [floats([2, 30], 1, -4, 4)], {}, ms)),
  one("bias", "FastGelu", [floats([2, 30], 1, -4, 4), vector(30, 2)], {}, ms),
  one("alpha", "QuickGelu", [floats([2, 30], 1, -4, 4)], { alpha: 1 }, ms),
  one("bias", "BiasGelu", [floats([2, 30], 1, -4, 4), vector(30, 2)], {}, ms),
  ...[{}, { alpha: 0.5 }, { transA: 1n }, { transB: 1n, alpha: 0.125 }].map((attrs: Attrs) =>
    one(
      Object.keys(attrs).join(),
      "FusedMatMul",
      [
        floats(attrs.transA === undefined ? [2, 3, 4] : [2, 4, 3], 1),
        floats(attrs.transB === undefined ? [2, 4, 5] : [2, 5, 4], 2),
      ],
      attrs,
      ms,
    ),
  ),
  ...[
    { activation: "Relu" },
    { activation: "LeakyRelu", activation_alpha: 0.2, alpha: 0.5 },
    { activation: "HardSigmoid", activation_alpha: 0.3, activation_beta: 0.4, beta: 2 },
    { activation: "Tanh", transB: 1n },
    { activation: "Elu", activation_alpha: 0.7, transA: 1n },
  ].map((attrs: Attrs) =>
    one(
      String(attrs.activation),
      "FusedGemm",
      [
        floats(attrs.transA === undefined ? [3, 4] : [4, 3], 1),
        constant(floats(attrs.transB === undefined ? [4, 5] : [5, 4], 2)),
        vector(5, 3),
      ],
      attrs,
      ms,
    ),
  ),
  ...[
    { activation: "Relu" },
    { activation: "Clip", activation_params: [-0.5, 0.75] },
    { activation: "LeakyRelu", activation_params: [0.2] },
  ].map((attrs: Attrs) =>
    one(
      String(attrs.activation),
      "FusedConv",
      [floats([1, 3, 6, 6], 1), constant(floats([4, 3, 3, 3], 2)), vector(4, 3)],
      { pads: [1n, 1n, 1n, 1n], ...attrs },
      ms,
    ),
  ),
  one(
    "added",
    "FusedConv",
    [floats([1, 3, 4, 4], 1), constant(floats([4, 3, 1, 1], 2)), vector(4, 3), floats([1, 4, 4, 4], 4)],
    { activation: "Relu" },
    ms,
  ),
  one(
    "plain",
    "DynamicQuantizeMatMul",
    [
      floats([3, 8], 1),
      constant(ints("int8", [8, 5], -127, 127)),
      constant(scalar("float32", 0.02)),
      constant(scalar("int8", 0)),
      vector(5, 3),
    ],
    {},
    ms,
  ),
  one(
    "uint8",
    "QLinearAdd",
    [
      ints("uint8", [3, 8], 0, 255),
      constant(scalar("float32", 0.02)),
      constant(scalar("uint8", 120)),
      ints("uint8", [3, 8], 0, 255, 2),
      constant(scalar("float32", 0.03)),
      constant(scalar("uint8", 100)),
      constant(scalar("float32", 0.05)),
      constant(scalar("uint8", 110)),
    ],
    {},
    ms,
  ),
  one(
    "int8",
    "QLinearMul",
    [
      ints("int8", [3, 8], -128, 127),
      constant(scalar("float32", 0.02)),
      constant(scalar("int8", 12)),
      ints("int8", [8], -128, 127, 2),
      constant(scalar("float32", 0.03)),
      constant(scalar("int8", 1)),
      constant(scalar("float32", 0.05)),
      constant(scalar("int8", 11)),
    ],
    {},
    ms,
  ),
];

const scatters: readonly OpCase[] = ["linear", "circular"].map((mode) =>
  one(
    mode,
    "TensorScatter",
    [floats([2, 3, 8, 5], 1), floats([2, 3, 2, 5], 2), listed("int64", [2], [1, mode === "linear" ? 4 : 7])],
    { mode },
    { opset: 24 },
  ),
);

export const fusedCases: readonly OpCase[] = [...plain, ...masks, ...caches, ...rotary, ...fused, ...scatters];
