// Sums over lanes: lane blocks are added up before the product with ones, and to fewer lanes where there are rows enough; the sums stay the same.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { numbersOf, valueFromNumbers } from "../ir/graph/values.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, i64, modelOf } from "./op-models.ts";
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
