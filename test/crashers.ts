// Graphs that once were compiled wrongly or judged wrongly, as small as they could be made. Nothing is found wrong with them today.
import { type TensorValue, valueFromNumbers } from "../ir/graph/values.ts";
import type { Target } from "../ir/target/target.ts";
import { presetTarget } from "../src/targets/presets.ts";

export interface Crasher {
  readonly name: string;
  readonly text: string;
  readonly target: Target;
  readonly inputs: ReadonlyMap<string, TensorValue>;
}

interface Row {
  readonly name: string;
  readonly graph: string;
  readonly target?: (preset: Target) => Target;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
}

const rows: readonly Row[] = [
  {
    name: "conversions to bytes and back saturate in one pass",
    graph: `input %0 "x" : int32[2] as "x" int32
  %1 "a" : uint8[2] = toInt8(%0) {to = "uint8"} from ["a" "toInt8" #0]
  %2 "b" : int32[2] = fromInt8(%1) from ["b" "fromInt8" #1]
  output %2 as "y" int32`,
    inputs: { x: [-8, 300] },
  },
  {
    name: "a sum of a value with itself behind a view",
    graph: `input %0 "x" : float32[1] as "x" float32
  const %1 "c" : float32[1] = dense<[-1]>
  %2 "a" : float32[1] = add(%0, %1) from ["a" "add" #0]
  %3 "b" : float32[1] = transpose(%2) {perm = [0]} from ["b" "transpose" #1]
  %4 "d" : float32[1] = add(%2, %3) from ["d" "add" #2]
  output %4 as "y" float32`,
    inputs: { x: [3] },
  },
  {
    name: "a concatenation that cuts its operands at lanes",
    graph: `input %0 "x" : float32[17] as "x" float32
  %1 "a" : float32[34] = concat(%0, %0) {axis = 0} from ["a" "concat" #0]
  %2 "b" : float32[68] = concat(%1, %1) {axis = 0} from ["b" "concat" #1]
  output %2 as "y" float32`,
    inputs: { x: Array.from({ length: 17 }, (_, i) => i - 8) },
  },
  {
    name: "shifts by nothing beside shifts by something",
    graph: `input %0 "x" : float32[5x1] as "x" float32
  const %1 "c" : int32[5x1] = dense<[2, 0, 3, -2, 0]>
  %2 "a" : int32[5x1] = toInt(%0) {mode = "rne"} from ["a" "toInt" #0]
  %3 "b" : int32[5x1] = shl(%2, %1) from ["b" "shl" #1]
  output %3 as "y" int32`,
    inputs: { x: [1, -2, 3, -4, 5] },
  },
  {
    name: "a sum over a slice that does not begin in lane 0",
    graph: `input %0 "x" : int32[2] as "x" int32
  %1 "a" : int32[1] = slice(%0) {starts = [1], steps = [1]} from ["a" "slice" #0]
  %2 "b" : int32[1] = reduceSum(%1) {axes = [0]} from ["b" "reduceSum" #1]
  output %2 as "y" int32`,
    inputs: { x: [-8, 8] },
  },
  {
    name: "a sum over a repeated dimension",
    graph: `input %0 "x" : float32[1] as "x" float32
  %1 "a" : float32[2] = expand(%0) from ["a" "expand" #0]
  %2 "b" : float32[1] = reduceSum(%1) {axes = [0]} from ["b" "reduceSum" #1]
  %3 "d" : float32[1] = add(%0, %2) from ["d" "add" #2]
  output %3 as "y" float32`,
    inputs: { x: [3] },
  },
  {
    name: "a result that is another one's bits",
    graph: `input %0 "x" : float32[3] as "x" float32
  %1 "a" : int32[3] = toInt(%0) {mode = "rne"} from ["a" "toInt" #0]
  %2 "b" : float32[3] = toFloat(%1) from ["b" "toFloat" #1]
  %3 "d" : int32[3] = bitcast(%2) from ["d" "bitcast" #2]
  output %3 as "y" int32`,
    inputs: { x: [1, -2, 3] },
  },
  {
    name: "results of operations of several speeds",
    graph: `input %0 "x" : float32[40] as "x" float32
  const %1 "c" : float32[40] = dense<"${"0000803f".repeat(40)}">
  %2 "a" : float32[40] = exp2(%0) from ["a" "exp2" #0]
  %3 "b" : float32[40] = mul(%2, %1) from ["b" "mul" #1]
  %4 "d" : float32[40] = add(%3, %0) from ["d" "add" #2]
  %5 "e" : float32[40] = tanh(%4) from ["e" "tanh" #3]
  output %3 as "y" float32
  output %5 as "z" float32`,
    target: (preset) => ({ ...preset, vxm: { ...preset.vxm, latency: { simple: 6, multiply: 1, large: 3 } } }),
    inputs: { x: Array.from({ length: 40 }, (_, i) => (i % 7) - 3) },
  },
  {
    name: "a reduction over a dimension of size 1 of an expanded tensor",
    graph: `input %0 "x" : float32[1] as "x" float32
  %1 "a" : float32[2] = expand(%0) from ["a" "expand" #0]
  %2 "b" : float32[2x1] = reshape(%1) from ["b" "reshape" #1]
  %3 "c" : float32[2x1] = reduceSum(%2) {axes = [1]} from ["c" "reduceSum" #2]
  %4 "d" : float32[2x1] = add(%2, %3) from ["d" "add" #3]
  output %4 as "y" float32`,
    inputs: { x: [3] },
  },
  {
    name: "a choice among rows of which some are constants",
    graph: `input %0 "x" : float32[1] as "x" float32
  input %1 "i" : int32[1] as "i" int32
  const %3 "c" : int32[1] = dense<[0]>
  const %4 "d" : int32[1] = dense<[1]>
  %2 "a" : float32[2] = pad(%0) {before = [0], after = [1], value = -2} from ["a" "pad" #0]
  %5 "b" : int32[1] = max(%1, %3) from ["b" "max" #1]
  %6 "e" : int32[1] = min(%5, %4) from ["e" "min" #2]
  %7 "f" : float32[1] = gather(%2, %6) {axis = 0} from ["f" "gather" #3]
  output %7 as "y" float32`,
    inputs: { x: [3], i: [1] },
  },
  {
    name: "a choice from a table of one row among others",
    graph: `input %0 "x" : float32[1x7] as "x" float32
  input %1 "i" : int32[1] as "i" int32
  const %2 "c" : int32[1] = dense<[0]>
  const %3 "d" : int32[1] = dense<[6]>
  %4 "a" : int32[1] = max(%1, %2) from ["a" "max" #0]
  %5 "b" : int32[1] = min(%4, %2) from ["b" "min" #1]
  %6 "e" : int32[1] = min(%4, %3) from ["e" "min" #2]
  %7 "f" : float32[1x7] = gather(%0, %5) {axis = 0} from ["f" "gather" #3]
  %8 "g" : float32[1x1] = gather(%7, %6) {axis = 1} from ["g" "gather" #4]
  output %8 as "y" float32`,
    inputs: { x: [0, -3, 3, -3, 4, 3, 3], i: [-8] },
  },
  {
    name: "a table that is asked part by part beside one of a part's size",
    graph: `input %0 "x" : float32[4x1x1x1] as "x" float32
  input %1 "i" : int32[1] as "i" int32
  const %2 "c" : int32[1] = dense<[0]>
  const %3 "d" : int32[1] = dense<[3]>
  %4 "a" : int32[1] = max(%1, %2) from ["a" "max" #0]
  %5 "b" : int32[1] = min(%4, %3) from ["b" "min" #1]
  %6 "e" : float32[1x1x1x1] = gather(%0, %5) {axis = 0} from ["e" "gather" #2]
  %7 "f" : int32[1] = min(%4, %2) from ["f" "min" #3]
  %8 "g" : float32[1x1x1x1] = gather(%6, %7) {axis = 0} from ["g" "gather" #4]
  output %8 as "y" float32`,
    inputs: { x: [0, -3, 3, -3], i: [2] },
  },
  {
    name: "a choice among rows of which some are another type's bits",
    graph: `input %0 "x" : float32[2] as "x" float32
  input %1 "i" : int32[1] as "i" int32
  const %2 "c" : int32[1] = dense<[0]>
  const %3 "d" : int32[1] = dense<[3]>
  %4 "a" : int32[1] = max(%1, %2) from ["a" "max" #0]
  %5 "b" : int32[1] = min(%4, %3) from ["b" "min" #1]
  %6 "e" : int32[2] = bitcast(%0) from ["e" "bitcast" #2]
  %7 "f" : int32[2] = toInt(%0) {mode = "rne"} from ["f" "toInt" #3]
  %8 "g" : int32[4] = concat(%6, %7) {axis = 0} from ["g" "concat" #4]
  %9 "h" : int32[1] = gather(%8, %5) {axis = 0} from ["h" "gather" #5]
  output %9 as "y" int32`,
    inputs: { x: [3, -2], i: [1] },
  },
  {
    name: "a product of bytes with one term each",
    graph: `input %0 "x" : int32[4x1] as "x" int32
  const %1 "w" : int32[1x3] = dense<[1, 0, -5]>
  %2 "a" : int8[4x1] = toInt8(%0) {to = "int8"} from ["a" "toInt8" #0]
  %3 "b" : int8[1x3] = toInt8(%1) {to = "int8"} from ["b" "toInt8" #1]
  %4 "d" : int32[4x3] = matmul(%2, %3) {precision = "int8"} from ["d" "matmul" #2]
  output %4 as "y" int32`,
    inputs: { x: [1, -2, 3, 100] },
  },
  {
    name: "a result in more places than there are large ALUs",
    graph: `input %0 "x" : float32[8x1] as "x" float32
  const %1 "c" : float32[8x1] = dense<[-1, -3, -3, 3, 3, 0, -1, 1]>
  const %2 "k" : float32[1x1] = dense<[-4]>
  const %3 "l" : float32[1x1] = dense<[4]>
  %4 "a" : float32[8x1] = min(%0, %1) from ["a" "min" #0]
  %5 "b" : float32[1x8] = transpose(%4) {perm = [1, 0]} from ["b" "transpose" #1]
  %6 "d" : float32[8x8] = matmul(%4, %5) {precision = "fp16"} from ["d" "matmul" #2]
  %7 "e" : float32[8x1] = add(%4, %4) from ["e" "add" #3]
  %8 "f" : float32[8x1] = max(%7, %2) from ["f" "max" #4]
  %9 "g" : float32[8x1] = min(%8, %3) from ["g" "min" #5]
  output %6 as "y" float32
  output %9 as "z" float32`,
    target: (preset) => ({ ...preset, vxm: { ...preset.vxm, alus: 6, largeAlus: [1, 3, 5] } }),
    inputs: { x: [0, -3, 3, -3, 4, 3, 3, 0] },
  },
  {
    name: "pieces that stay in their lanes beside one that is permuted slowly",
    graph: `input %0 "x" : float32[17x5] as "x" float32
  %1 "a" : float32[85] = reshape(%0) from ["a" "reshape" #0]
  %2 "b" : float32[17x5] = add(%0, %0) from ["b" "add" #1]
  output %1 as "y" float32
  output %2 as "z" float32`,
    target: (preset) => ({ ...preset, sxm: { ...preset.sxm, latency: { permute: 10_000 } } }),
    inputs: { x: Array.from({ length: 85 }, (_, i) => i - 40) },
  },
  {
    name: "transpositions in a machine with one accumulator entry a plane",
    graph: `input %0 "x" : float32[5x7] as "x" float32
  %1 "a" : float32[7x5] = transpose(%0) {perm = [1, 0]} from ["a" "transpose" #0]
  output %1 as "y" float32`,
    target: (preset) => ({ ...preset, mxm: { ...preset.mxm, accumulators: 1 } }),
    inputs: { x: Array.from({ length: 35 }, (_, i) => i) },
  },
  {
    name: "weights that are loaded on an odd number of streams",
    graph: `input %0 "x" : float32[2x40] as "x" float32
  const %1 "w" : float32[40x4] = dense<"${"0000803f".repeat(160)}">
  %2 "a" : float32[2x4] = matmul(%0, %1) {precision = "fp16"} from ["a" "matmul" #0]
  output %2 as "y" float32`,
    target: (preset) => ({ ...preset, mxm: { ...preset.mxm, loadStreamsPerPlane: 5 } }),
    inputs: { x: Array.from({ length: 80 }, (_, i) => (i % 9) - 4) },
  },
  {
    // The low byte of a widened byte is the byte.
    name: "bytes that were transposed are multiplied",
    graph: `input %0 "x" : float32[8x1] as "x" float32
  %1 "a" : int32[8x1] = toInt(%0) {mode = "rne"} from ["a" "toInt" #0]
  %2 "b" : int32[1x8] = transpose(%1) {perm = [1, 0]} from ["b" "transpose" #1]
  %3 "d" : int8[8x1] = toInt8(%1) {to = "int8"} from ["d" "toInt8" #2]
  %4 "e" : int8[1x8] = toInt8(%2) {to = "int8"} from ["e" "toInt8" #3]
  %5 "f" : int32[8x8] = matmul(%3, %4) {precision = "int8"} from ["f" "matmul" #4]
  output %5 as "y" int32`,
    inputs: { x: [1, 2, 3, -4, 5, 6, 7, 8] },
  },
  {
    name: "a view over an operand that was turned",
    graph: `input %0 "x" : float32[7x48] as "x" float32
  %1 "r" : float32[336] = reshape(%0) from ["r" "reshape" #0]
  %2 "y" : float32[336] = add(%1, %1) from ["y" "add" #1]
  output %2 as "y" float32`,
    inputs: { x: Array.from({ length: 336 }, (_, i) => i) },
  },
];

function inputValue(graph: string, name: string, numbers: readonly number[]): TensorValue {
  const declared = new RegExp(`input %\\d+ "${name}" : (float32|int32)\\[([\\dx]*)\\]`).exec(graph);
  const dtype = declared?.[1] === "int32" ? "int32" : "float32";
  return valueFromNumbers(dtype, (declared?.[2] ?? "").split("x").map(Number), numbers);
}

function crasherOf({ name, graph, target, inputs }: Row): Crasher {
  const preset = presetTarget("ftlpu32");
  if (preset === undefined) throw new Error("ftlpu32 is no preset");
  const values = Object.entries(inputs).map(([input, numbers]) => [input, inputValue(graph, input, numbers)] as const);
  return {
    name,
    text: `graph "crasher" form=core {\n  ${graph}\n}\n`,
    target: target === undefined ? preset : target(preset),
    inputs: new Map(values),
  };
}

export const crashers: readonly Crasher[] = rows.map(crasherOf);
