// Modes of com.microsoft's attention operators against onnxruntime: masks of every rank with a past and causality, caches with rows behind the entries,
// padded prompts, windows, rotary forms. What is not done is refused by its name.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import { runOnnxruntime } from "../src/commands/onnxruntime.ts";
import { scratchFolder } from "./cli-runner.ts";
import {
  type Attribute,
  constant,
  floats,
  ints,
  judge,
  judgeAgainst,
  listed,
  modelOf,
  type Operand,
} from "./op-models.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

interface Mode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Operand[];
  readonly attrs?: Readonly<Record<string, Attribute>>;
  readonly outputs?: readonly string[];
  readonly declared?: Readonly<Record<string, readonly number[]>>;
}

const flags = (shape: readonly number[], seed: number): Operand => ints("int32", shape, 0, 1, seed);
const counts = (...numbers: number[]): Operand => listed("int32", [numbers.length], numbers);
const vector = (size: number, seed: number): Operand => constant(floats([size], seed));

const x = floats([2, 4, 12], 1);
const projection = [constant(floats([12, 36], 2)), vector(36, 3)];
const masks: readonly (readonly [string, Operand])[] = [
  ["no mask", null],
  ["counts", counts(4, 2)],
  ["ends and starts", counts(4, 3, 0, 1)],
  ["flags a key", listed("int32", [2, 4], [1, 1, 1, 0, 1, 1, 0, 0])],
  ["flags a key, padded in front", listed("int32", [2, 4], [0, 0, 1, 1, 0, 1, 1, 1])],
  ["flags a query and key", flags([2, 4, 4], 5)],
  ["nothing to see", listed("int32", [2, 4], [1, 1, 1, 1, 0, 0, 0, 0])],
];
const fused: readonly Mode[] = [0n, 1n].flatMap((unidirectional) => [
  ...masks.map(([name, mask]) => ({
    name: `${name}, unidirectional ${unidirectional}`,
    op: "Attention",
    inputs: [x, ...projection, mask],
    attrs: { num_heads: 3n, unidirectional },
  })),
  ...[
    ["counts", counts(7, 5)] as const,
    ["flags", flags([2, 7], 8)] as const,
    ["rows", flags([2, 4, 7], 9)] as const,
  ].map(([name, mask]) => ({
    name: `past, ${name}, unidirectional ${unidirectional}`,
    op: "Attention",
    inputs: [x, ...projection, mask, floats([2, 2, 3, 3, 4], 5)],
    attrs: { num_heads: 3n, unidirectional },
    outputs: ["y", "present"],
  })),
]);

const own = [floats([2, 4, 12], 2), floats([2, 4, 12], 3)];
const other = [floats([2, 5, 12], 2), floats([2, 5, 18], 3)];
const past = [floats([2, 3, 6, 4], 5), floats([2, 3, 6, 4], 6)];
const multi: readonly Mode[] = (
  [
    ["values of another size, bias", [x, ...other, vector(42, 4)], {}],
    ["counts", [x, ...other, null, counts(5, 3)], {}],
    ["flags a key, filter", [x, ...other, null, flags([2, 5], 7)], { mask_filter_value: -3, scale: 0.2 }],
    ["flags a query and key", [x, ...other, null, flags([2, 4, 5], 7)], {}],
    ["scores' bias", [x, ...other, null, null, floats([1, 1, 4, 5], 6)], {}],
    ["cached", [x, floats([2, 3, 5, 4], 2), floats([2, 3, 5, 4], 3), vector(36, 4)], {}],
    ["past, flags", [x, ...own, null, flags([2, 10], 7), null, ...past], {}],
    ["past, unidirectional", [x, ...own, vector(36, 4), null, null, ...past], { unidirectional: 1n }],
  ] satisfies readonly (readonly [string, readonly Operand[], Readonly<Record<string, Attribute>>])[]
).map(([name, inputs, attrs]) => ({
  name,
  op: "MultiHeadAttention",
  inputs,
  attrs: { num_heads: 3n, ...attrs },
  outputs: ["y", "key", "value"],
}));

interface Grouped {
  readonly queries?: number;
  readonly cache?: number;
  /** Entries of each sample, less one. */
  readonly last?: readonly number[];
  readonly packed?: boolean;
  /** The total length is an input; the caches' is declared. */
  readonly atRunTime?: boolean;
  readonly attrs?: Readonly<Record<string, Attribute>>;
  readonly extra?: readonly Operand[];
  readonly outputs?: readonly string[];
}

function grouped(name: string, g: Grouped): Mode {
  const { queries = 1, cache = 12, last = [7, 7], packed = false, attrs = {}, extra = [] } = g;
  const [heads, shared, size] = [4, 2, 16];
  const given = packed
    ? [floats([2, queries, (heads + 2 * shared) * size], 1), null, null]
    : [heads, shared, shared].map((count, i) => floats([2, queries, count * size], i + 1));
  const old = cache === 0 ? [null, null] : [floats([2, shared, cache, size], 4), floats([2, shared, cache, size], 5)];
  const length = listed("int32", [], [Math.max(...last) + 1]);
  const total = g.atRunTime === true ? length : constant(length);
  const declared = { key: [2, shared, cache, size], value: [2, shared, cache, size] };
  return {
    name,
    op: "GroupQueryAttention",
    inputs: [...given, ...old, counts(...last), total, ...extra],
    attrs: { num_heads: 4n, kv_num_heads: 2n, ...attrs },
    outputs: g.outputs ?? ["y", "key", "value"],
    ...(g.atRunTime === true ? { declared } : {}),
  };
}

const turns = [constant(floats([32, 8], 6, -1, 1)), constant(floats([32, 8], 7, -1, 1))];
const groupedModes: readonly Mode[] = [
  grouped("a step; rows behind the entries become 0", {}),
  grouped("a step, samples of several lengths", { last: [7, 4] }),
  grouped("a step, a full cache", { cache: 8 }),
  grouped("a step in caches of fixed size, lengths at run time", { last: [7, 4], atRunTime: true }),
  grouped("a prompt in caches of fixed size, lengths at run time", {
    queries: 5,
    cache: 9,
    last: [4, 2],
    atRunTime: true,
    attrs: { do_rotary: 1n },
    extra: turns,
  }),
  grouped("a prompt", { queries: 5, cache: 0, last: [4, 4] }),
  grouped("a padded prompt", { queries: 5, cache: 0, last: [4, 2] }),
  grouped("a padded prompt, turned", { queries: 5, cache: 0, last: [4, 2], attrs: { do_rotary: 1n }, extra: turns }),
  grouped("a prompt in a cache with room", { queries: 5, cache: 9, last: [4, 4] }),
  grouped("a window", { last: [9, 6], attrs: { local_window_size: 4n } }),
  grouped("a window over a prompt", { queries: 6, cache: 0, last: [5, 5], attrs: { local_window_size: 3n } }),
  grouped("softcap", { attrs: { softcap: 2, scale: 0.1 } }),
  grouped("smooth softmax", { attrs: { smooth_softmax: 1n } }),
  grouped("a sink", { extra: [null, null, null, null, vector(4, 9)] }),
  grouped("packed, turned", { packed: true, attrs: { do_rotary: 1n }, extra: turns }),
  grouped("turned in pairs", { attrs: { do_rotary: 1n, rotary_interleaved: 1n }, extra: turns }),
  grouped("positions", { attrs: { do_rotary: 1n }, extra: [...turns, listed("int64", [2, 1], [3, 9])] }),
  grouped("scores' bias", { cache: 7, extra: [null, null, null, floats([2, 4, 1, 8], 8)] }),
];

const token = (width: number, seed: number): Operand => floats([2, 1, width], seed);
const cache = (rows: number): Operand[] => [floats([2, 3, rows, 4], 5), floats([2, 3, rows, 4], 6)];
const fresh = [token(12, 1), token(12, 2), token(12, 3)];
const attrs = { num_heads: 3n };
const masked: readonly Mode[] = [
  {
    name: "an encoder's keys",
    op: "DecoderMaskedMultiHeadAttention",
    inputs: [token(12, 1), ...cache(5), flags([2, 5], 7)],
    attrs,
  },
  {
    name: "a cache of fixed size, its length known at run time",
    op: "DecoderMaskedMultiHeadAttention",
    inputs: [...fresh, null, null, ...cache(9), listed("int32", [1], [4])],
    attrs: { ...attrs, past_present_share_buffer: 1n },
    outputs: ["y", "key", "value"],
  },
];

/** What onnxruntime's kernel leaves to others: the same as another operator of its has it. */
const alike: readonly (readonly [string, Mode, Mode])[] = (
  [
    ["a cache that grows", [null, null, ...cache(6)], [null, null, null, ...cache(6)], {}],
    [
      "flags, a bias",
      [flags([2, 7], 7), null, ...cache(6), null, null, null, vector(36, 4)],
      [vector(36, 4), flags([2, 7], 7), null, ...cache(6)],
      { mask_filter_value: -3, scale: 0.3 },
    ],
    [
      "scores' bias",
      [null, floats([1, 3, 1, 7], 8), ...cache(6)],
      [null, null, floats([1, 3, 1, 7], 8), ...cache(6)],
      {},
    ],
  ] satisfies readonly (readonly [
    string,
    readonly Operand[],
    readonly Operand[],
    Readonly<Record<string, Attribute>>,
  ])[]
).map(([name, own, other, more]) => {
  const given = { name, attrs: { ...attrs, ...more }, outputs: ["y", "key", "value"] };
  return [
    `DecoderMaskedMultiHeadAttention: ${name}`,
    { ...given, op: "DecoderMaskedMultiHeadAttention", inputs: [...fresh, ...own] },
    { ...given, op: "MultiHeadAttention", inputs: [...fresh, ...other] },
  ] as const;
});

const growing = floats([2, 2, 3, 6, 4], 5);
const selfAlike: readonly (readonly [string, Mode, Mode])[] = [
  [
    "DecoderMaskedSelfAttention: flags",
    {
      name: "self",
      op: "DecoderMaskedSelfAttention",
      inputs: [token(12, 1), ...projection, flags([2, 7], 7), growing, null, listed("int32", [1], [6])],
      attrs,
      outputs: ["y", "present"],
    },
    {
      name: "self",
      op: "Attention",
      inputs: [token(12, 1), ...projection, flags([2, 7], 7), growing],
      attrs,
      outputs: ["y", "present"],
    },
  ],
];

/** Answers of onnxruntime as values. */
async function answersOf({ name, op, inputs, attrs: given = {}, outputs = ["y"] }: Mode): Promise<TensorValue[]> {
  const model = modelOf({ name, opset: 17, nodes: [{ op, domain: "com.microsoft", inputs, attrs: given, outputs }] });
  const path = scratch.path(`${op} ${name}.onnx`);
  writeFileSync(path, model.bytes);
  const answers = await runOnnxruntime(path, model.inputs);
  if (!answers.ok) throw new Error(answers.diagnostics[0]?.message);
  return [...answers.value.values()].map(({ dtype, shape, bytes }) => valueFromBytes(dtype, shape, bytes));
}

describe("as another operator of onnxruntime has it", () => {
  it.each([...alike, ...selfAlike])("%s", async (name, own, other) => {
    const node = {
      op: own.op,
      domain: "com.microsoft",
      inputs: own.inputs,
      attrs: own.attrs ?? {},
      outputs: own.outputs ?? [],
    };
    const spec = { name, opset: 17, nodes: [node] };
    expect(judgeAgainst(scratch.path(name), spec, await answersOf(other))).toMatchObject({
      reason: "",
      status: "passed",
    });
  });
});

async function verdictOf({ name, op, inputs, attrs = {}, outputs, declared = {} }: Mode) {
  const node = { op, domain: "com.microsoft", inputs, attrs, ...(outputs === undefined ? {} : { outputs }) };
  return judge(scratch.path(`${op} ${name}`), { name, opset: 17, nodes: [node], toScale: true, declared });
}

describe("as onnxruntime has it", () => {
  it.each([...fused, ...multi, ...groupedModes, ...masked].map((mode) => [`${mode.op}: ${mode.name}`, mode] as const))(
    "%s",
    async (_, mode) => {
      const { result, noReference } = await verdictOf(mode);
      expect(noReference).toBeUndefined();
      expect(result.reason).toBe("");
      expect(result.status).toBe("passed");
    },
  );
});

describe("refused by name", () => {
  const modes: readonly (readonly [string, Mode])[] = [
    [
      "past_present_share_buffer",
      {
        name: "shared",
        op: "Attention",
        inputs: [x, ...projection, null, floats([2, 2, 3, 9, 4], 5), null, counts(7)],
        attrs: { num_heads: 3n, past_present_share_buffer: 1n },
        outputs: ["y", "present"],
      },
    ],
    [
      "past_sequence_length",
      {
        name: "shared",
        op: "MultiHeadAttention",
        inputs: [x, ...own, null, null, null, ...past, counts(4)],
        attrs: { num_heads: 3n },
        outputs: ["y", "key", "value"],
      },
    ],
    [
      "unidirectional=1 with 5 keys for 4 queries",
      { name: "ahead", op: "MultiHeadAttention", inputs: [x, ...other], attrs: { num_heads: 3n, unidirectional: 1n } },
    ],
    [
      "cache_indirection",
      {
        name: "beams",
        op: "DecoderMaskedMultiHeadAttention",
        inputs: [
          ...fresh,
          null,
          null,
          ...cache(9),
          counts(4),
          counts(1),
          listed("int32", [2, 1, 9], new Array<number>(18).fill(0)),
        ],
        attrs: { num_heads: 3n, past_present_share_buffer: 1n },
        outputs: ["y", "key", "value"],
      },
    ],
    ["qk_output", grouped("scores", { attrs: { qk_output: 1n } })],
  ];
  it.each(modes)("%s", async (said, mode) => {
    const { result } = await verdictOf(mode);
    expect(result.status).toBe("unsupported");
    expect(result.reason).toContain(said);
  });

  it("a product whose cache nobody reads is no bug", async () => {
    const { result } = await verdictOf(grouped("one output", { queries: 5, cache: 0, last: [4, 4], outputs: ["y"] }));
    expect(result.reason).not.toContain("bug");
    expect(result.status).toBe("passed");
  });
});
