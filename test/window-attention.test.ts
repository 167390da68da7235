// Attention in windows, as vision transformers have it: rows are put into windows by views, attended to, and put back, so that a product's rows
// come in another order than those it is added to, and heads of small windows share parts of memory.
import { afterAll, describe, expect, it } from "vitest";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, i64, judge, type NodeSpec, type OpCase } from "./op-models.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

interface Windows {
  /** Windows along each side of the picture, and positions along each side of a window. */
  readonly across: number;
  readonly side: number;
  readonly heads: number;
  readonly width: number;
  /** The picture comes with its channels first, so that positions stand along the lanes. */
  readonly channelsFirst: boolean;
}

const reshape = (from: string, to: string, ...shape: number[]): NodeSpec => ({
  op: "Reshape",
  inputs: [from, constant(i64(...shape))],
  outputs: [to],
});
const transpose = (from: string, to: string, ...perm: number[]): NodeSpec => ({
  op: "Transpose",
  inputs: [from],
  outputs: [to],
  attrs: { perm: perm.map(BigInt) },
});

/** A block up to the norm behind its attention. */
function windowBlock({ across, side, heads, width, channelsFirst }: Windows): NodeSpec[] {
  const positions = (across * side) ** 2;
  const [windows, rows] = [across ** 2, side ** 2];
  const [scale, bias] = [constant(floats([width], 1, 0.5, 1.5)), constant(floats([width], 2))];
  const norm = (from: string, to: string): NodeSpec => ({
    op: "LayerNormalization",
    inputs: [from, scale, bias],
    outputs: [to],
  });
  const product = (from: string, to: string, seed: number): NodeSpec => ({
    op: "MatMul",
    inputs: [from, constant(floats([width, width], seed, -0.3, 0.3))],
    outputs: [to],
  });
  const split = (name: string): NodeSpec[] => [
    product("windows", `${name}p`, name.charCodeAt(0)),
    reshape(`${name}p`, `${name}r`, windows, rows, heads, width / heads),
    transpose(`${name}r`, name, ...(name === "k" ? [0, 2, 3, 1] : [0, 2, 1, 3])),
  ];
  const picture: NodeSpec[] = channelsFirst
    ? [{ op: "Transpose", inputs: [floats([1, width, positions], 3)], outputs: ["x"], attrs: { perm: [0n, 2n, 1n] } }]
    : [{ op: "Identity", inputs: [floats([1, positions, width], 3)], outputs: ["x"] }];
  return [
    ...picture,
    norm("x", "normed"),
    reshape("normed", "grid", across, side, across, side, width),
    transpose("grid", "turned", 0, 2, 1, 3, 4),
    reshape("turned", "windows", windows, rows, width),
    ...["q", "k", "v"].flatMap(split),
    { op: "MatMul", inputs: ["q", "k"], outputs: ["scores"] },
    { op: "Softmax", inputs: ["scores"], outputs: ["shares"], attrs: { axis: -1n } },
    { op: "MatMul", inputs: ["shares", "v"], outputs: ["mixed"] },
    transpose("mixed", "side", 0, 2, 1, 3),
    reshape("side", "joined", windows, rows, width),
    product("joined", "projected", 9),
    reshape("projected", "apart", across, across, side, side, width),
    transpose("apart", "back", 0, 2, 1, 3, 4),
    reshape("back", "list", 1, positions, width),
    { op: "Add", inputs: ["x", "list"], outputs: ["sum"] },
    norm("sum", "y"),
  ];
}

/** Scores of heads in one small window. */
const scores = (heads: number, rows: number, depth: number): NodeSpec[] =>
  windowBlock({ across: 1, side: Math.sqrt(rows), heads, width: heads * depth, channelsFirst: true }).slice(0, 15);

const blocks = [
  { across: 2, side: 4, heads: 2, width: 24, channelsFirst: true },
  { across: 2, side: 4, heads: 2, width: 24, channelsFirst: false },
  { across: 3, side: 2, heads: 4, width: 48, channelsFirst: true },
  { across: 1, side: 4, heads: 4, width: 48, channelsFirst: true },
] as const;

const cases: [string, NodeSpec[]][] = [
  ...blocks.map((block): [string, NodeSpec[]] => [JSON.stringify(block), windowBlock(block)]),
  ["scores of a lone window", scores(4, 16, 12)],
];

describe("attention in windows", () => {
  it.each(cases)("%s agrees with onnxruntime", async (name, nodes) => {
    const spec: OpCase = { name: "windows", opset: 20, nodes, toScale: true };
    const { result } = await judge(scratch.path(name.replaceAll(/\W/g, "")), spec);
    expect(result).toMatchObject({ status: "passed", reason: "" });
  });
});
