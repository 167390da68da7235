// Reductions over lanes: lane blocks are joined first, and to fewer lanes where that saves cycles, before the product with ones (sums) or the
// transposition (extremes); the results stay the same.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { numbersOf, valueFromNumbers } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, i64, ints, modelOf } from "./op-models.ts";
import { replace, spotsOf } from "./verify-mutation.ts";
import { compileForTest, execute, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

interface Lowered {
  /** Kernels before the product with ones, in order. */
  readonly kernels: readonly string[];
  /** Tiles that each row meets. */
  readonly steps: number;
  readonly sums: readonly number[];
  readonly expected: readonly number[];
  readonly violations: readonly string[];
}

/** Sums of whole numbers, which no order of adding rounds. */
function lowered(rows: number, width: number): Lowered {
  const path = scratch.path(`${rows}x${width}.onnx`);
  const node = { op: "ReduceSum", inputs: [floats([rows, width], 1), constant(i64(1))] };
  writeFileSync(path, modelOf({ name: "sum", opset: 21, nodes: [node] }).bytes);
  const { program, blocks } = compileForTest(path, { target: "groqchip1" });
  const kernels = blocks.classes.flatMap((each) => each.lowered.kernels);
  const steps = kernels.flatMap((kernel) => (kernel.kind === "matmul" ? kernel.groups.map((g) => g.steps.length) : []));
  const values = Array.from({ length: rows * width }, (_, i) => ((i * 7919) % 257) - 128);
  const name = program.bindings.find(({ kind }) => kind === "input")?.name ?? "";
  const outputs = execute(program, new Map([[name, valueFromNumbers("float32", [rows, width], values)]]));
  return {
    kernels: kernels
      .map((kernel) => kernel.name)
      .slice(
        0,
        kernels.findIndex((kernel) => kernel.kind === "matmul"),
      ),
    steps: Math.max(...steps),
    sums: [...outputs.values()].flatMap((value) => Array.from(numbersOf(value))),
    expected: Array.from({ length: rows }, (_, r) =>
      values.slice(r * width, (r + 1) * width).reduce((sum, value) => sum + value, 0),
    ),
    violations: violationsOf(program),
  };
}

describe("a sum over lanes", () => {
  it.each([
    { rows: 128, width: 768, kernels: ["shift", "shift", "join blocks"], steps: 2 },
    { rows: 128, width: 700, kernels: ["shift", "shift", "join blocks"], steps: 2 },
    { rows: 128, width: 290, kernels: ["shift", "join blocks"], steps: 2 },
    { rows: 256, width: 290, kernels: ["shift", "join blocks", "shift", "join blocks"], steps: 1 },
    { rows: 4, width: 768, kernels: ["join blocks"], steps: 4 },
    { rows: 4, width: 290, kernels: [], steps: 4 },
    { rows: 300, width: 70, kernels: [], steps: 1 },
  ])("of $rows rows of $width takes $steps steps", ({ rows, width, kernels, steps }) => {
    const sum = lowered(rows, width);
    expect(sum.violations).toEqual([]);
    expect(sum.sums).toEqual(sum.expected);
    expect(sum).toMatchObject({ kernels, steps });
  });
});

interface Extreme {
  readonly op: "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceSum";
  readonly dtype: "float32" | "int32";
  readonly rows: number;
  readonly width: number;
  /** Everything that is reduced is below or above 0, so that lanes which hold nothing would be seen. */
  readonly sign: 1 | -1;
}

function reduced({ op, dtype, rows, width, sign }: Extreme): {
  kernels: string[];
  found: number[];
  expected: number[];
} {
  const path = scratch.path(`${op}${dtype}${rows}x${width}.onnx`);
  const values = Array.from({ length: rows * width }, (_, i) => sign * (1 + ((i * 7919) % 257)));
  const input = valueFromNumbers(dtype, [rows, width], values);
  writeFileSync(path, modelOf({ name: "x", opset: 21, nodes: [{ op, inputs: [input, constant(i64(1))] }] }).bytes);
  const { program, blocks } = compileForTest(path, { target: "groqchip1" });
  expect(violationsOf(program)).toEqual([]);
  const name = program.bindings.find(({ kind }) => kind === "input")?.name ?? "";
  const outputs = execute(program, new Map([[name, input]]));
  const fold = {
    ReduceMax: Math.max,
    ReduceMin: Math.min,
    ReduceProd: Math.imul,
    ReduceSum: (a: number, b: number) => (a + b) | 0,
  }[op];
  return {
    kernels: blocks.classes.flatMap((each) => each.lowered.kernels.map((kernel) => kernel.name)),
    found: [...outputs.values()].flatMap((value) => Array.from(numbersOf(value))),
    expected: Array.from({ length: rows }, (_, r) =>
      values.slice(r * width, (r + 1) * width).reduce((all, value) => fold(all, value)),
    ),
  };
}

describe("a reduction whose order does not matter", () => {
  const [join, shift, turn] = ["join blocks", "shift", "transpose"];
  it.each([
    { op: "ReduceMax", dtype: "float32", rows: 128, width: 768, sign: -1, before: [join, shift, join, turn] },
    { op: "ReduceMin", dtype: "float32", rows: 128, width: 700, sign: 1, before: [join, shift, join, turn] },
    { op: "ReduceMax", dtype: "int32", rows: 3, width: 3000, sign: -1, before: [join, join, join, shift] },
    { op: "ReduceMin", dtype: "int32", rows: 1, width: 2001, sign: 1, before: [join, join, shift, shift] },
    { op: "ReduceProd", dtype: "int32", rows: 2, width: 330, sign: -1, before: [join] },
    { op: "ReduceSum", dtype: "int32", rows: 5, width: 1000, sign: 1, before: [join] },
    { op: "ReduceMax", dtype: "float32", rows: 300, width: 37, sign: -1, before: [turn, "reduceMax"] },
  ] as const)("$op of $rows rows of $width $dtype joins blocks first", ({ before, ...extreme }) => {
    const { kernels, found, expected } = reduced(extreme);
    expect(found).toEqual(expected);
    expect(kernels.slice(0, before.length)).toEqual(before);
  });
});

/** The program with another value in lanes that hold nothing. */
function withFill(program: Program, bits: number): Program {
  const spot = spotsOf(program, ["alu"]).find(({ ins }) => ins.op === "alu" && ins.operation === "select");
  expect(spot).toBeDefined();
  if (spot?.ins.op !== "alu") return program;
  return replace(program, spot, { ...spot.ins, c: { kind: "immediate", bits } });
}

describe("the verifier", () => {
  it.each(["ReduceMax", "ReduceMin"] as const)("sees a zero too many in a %s of whole numbers", (op) => {
    const path = scratch.path(`${op}.onnx`);
    const x = ints("int32", [2, 700], -9, 9);
    writeFileSync(path, modelOf({ name: "x", opset: 21, nodes: [{ op, inputs: [x, constant(i64(1))] }] }).bytes);
    const { program } = compileForTest(path, { target: "groqchip1" });
    expect(violationsOf(program)).toEqual([]);
    expect(violationsOf(withFill(program, 0)).join()).toContain("not what the graph computes");
  });
});
