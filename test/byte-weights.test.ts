// Weights of one byte in fp16 products: loaded as the low bytes of the least float16 numbers, with zeros above them, and never widened.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import type { TensorValue } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { scratchFolder } from "./cli-runner.ts";
import { constant, floats, ints, modelOf, type NodeSpec } from "./op-models.ts";
import { compileForTest, execute, maxAbsError, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

let files = 0;
interface Made {
  readonly program: Program;
  readonly inputs: Map<string, TensorValue>;
}

function compiled(nodes: readonly NodeSpec[], precision: "fp16" | "fp32" | "w8a16", target = "lpu-nvlink"): Made {
  const { bytes } = modelOf({ name: "weights", opset: 21, nodes });
  const path = scratch.path(`model${files++}.onnx`);
  writeFileSync(path, bytes);
  const given = nodes.flatMap(({ inputs }) =>
    inputs.filter((x): x is TensorValue => x !== null && typeof x === "object" && "dtype" in x),
  );
  const inputs = new Map(given.map((value, i) => [`x${i}`, value]));
  return { program: compileForTest(path, { precision, target }).program, inputs };
}

const outputOf = ({ program, inputs }: Made): TensorValue => {
  const [result] = execute(program, inputs).values();
  if (result === undefined) throw new Error("there is an output");
  return result;
};

/** Loads of fp16 tiles by their format, and whether anything is made a float on the way. */
function loadsOf({ chips }: Program): { readonly formats: readonly string[]; readonly widens: boolean } {
  const all = chips.flatMap(({ queues }) => queues.flatMap(({ instructions }) => instructions));
  const formats = all.flatMap((ins) => (ins.op === "lw" && ins.mode === "fp16" ? [ins.format] : []));
  return { formats: [...new Set(formats)], widens: all.some((ins) => ins.op === "alu" && ins.operation === "toFloat") };
}

const product = (m: number, k: number, n: number): NodeSpec[] => [
  { op: "MatMul", inputs: [floats([m, k], 1), constant(floats([k, n], 2, -0.1, 0.1))] },
];

describe("w8a16", () => {
  it.each([
    [1, 1024, 512, 2.2],
    [3, 321, 330, 3],
    [40, 500, 260, 3],
    [1, 64, 1200, 3],
  ])("%i x %i x %i: nothing is widened, in less than %f times the cycles of fp16", (m, k, n, times) => {
    const [bytes, halves] = [compiled(product(m, k, n), "w8a16"), compiled(product(m, k, n), "fp16")];
    expect(violationsOf(bytes.program)).toEqual([]);
    expect(loadsOf(bytes.program)).toEqual({ formats: ["planar"], widens: false });
    expect(bytes.program.latencyCycles).toBeLessThan(times * halves.program.latencyCycles);
    expect(maxAbsError(outputOf(bytes), outputOf(halves))).toBeLessThan(0.05);
  });

  it("fits machines of few lanes", () => {
    const made = compiled(product(2, 270, 245), "w8a16", "ftlpu32");
    expect(violationsOf(made.program)).toEqual([]);
    expect(loadsOf(made.program).widens).toBe(false);
  });
});

describe("a file's own bytes", () => {
  const given = (dtype: "int8" | "uint8", shape: readonly [number, number], axis: 0 | 1): NodeSpec => {
    const count = shape[axis];
    const [low, high] = dtype === "int8" ? [-5, 5] : [100, 140];
    const inputs = [
      constant(ints(dtype, shape, dtype === "int8" ? -128 : 0, dtype === "int8" ? 127 : 255, 5)),
      constant(floats([count], 7, 0.001, 0.002)),
      constant(ints(dtype, [count], low, high, 6)),
    ];
    return { op: "DequantizeLinear", inputs, attrs: { axis: BigInt(axis) }, outputs: ["w"] };
  };

  it.each([
    ["int8", [300, 260], 1, "MatMul", {}],
    ["uint8", [260, 300], 0, "Gemm", { transB: 1n }],
  ] as const)("%s %s with zero points a column", (dtype, shape, axis, op, attrs) => {
    const nodes: NodeSpec[] = [given(dtype, shape, axis), { op, inputs: [floats([2, 300], 1), "w"], attrs }];
    const [half, exact] = [compiled(nodes, "fp16"), compiled(nodes, "fp32")];
    expect(violationsOf(half.program)).toEqual([]);
    expect(loadsOf(half.program)).toEqual({ formats: ["planar"], widens: false });
    expect(maxAbsError(outputOf(half), outputOf(exact))).toBeLessThan(0.01);
  });
});

it("a high byte that is not 0 is noticed", () => {
  const { program } = compiled(product(1, 200, 330), "w8a16");
  const zeros = program.symbols.findIndex(({ name }) => name.includes("zeros"));
  expect(zeros).toBeGreaterThanOrEqual(0);
  const reads = program.chips.flatMap(({ queues }, chip) =>
    queues.flatMap(({ unit, instructions }) =>
      instructions.flatMap((ins) =>
        unit.kind === "memRead" && ins.op === "read" && ins.symbol === zeros ? [{ chip, unit, word: ins.address }] : [],
      ),
    ),
  );
  const [read] = reads;
  if (read === undefined) throw new Error("zeros are read");
  const { lanes } = program.target;
  const chips = program.chips.map((one, chip) => ({
    ...one,
    images: one.images.map((image) => {
      const isHere =
        chip === read.chip &&
        image.hemisphere === read.unit.hemisphere &&
        image.slice === read.unit.slice &&
        image.address <= read.word &&
        read.word < image.address + image.byteLength / lanes;
      if (!isHere) return image;
      const bytes = new Uint8Array(image.read());
      bytes[(read.word - image.address) * lanes + 7] = 4;
      return { ...image, read: () => bytes };
    }),
  }));
  expect(violationsOf({ ...program, chips }).join("\n")).toContain("operand");
});
