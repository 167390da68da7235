// The fast interpreter: its kernel against the scalar definition of a tile's product, on numbers whose order of addition shows; and whole models,
// alone and overlapped, with the bytes and cycles of the reference. Hand-written programs run in both wherever tests run one.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { HostTensor } from "../backends/interp/host.ts";
import { type InterpretResult, interpret } from "../backends/interp/interpret.ts";
import { interpretOverlapped } from "../backends/interp/overlap.ts";
import { makeSimdTiles } from "../backends/interp/simd-products.ts";
import { valueFromBigints, valueFromNumbers } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { canonicaliseNan } from "../ir/numeric/bits.ts";
import { tileProduct } from "../ir/numeric/tile-product.ts";
import { lpuc, root } from "./cli-runner.ts";
import { comparable } from "./interp-fixtures.ts";
import { compileForTest, hostTensor } from "./whole-line.ts";

let state = 7;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return (state >>> 0) / 4294967296;
};
/** Magnitudes so far apart that most sums depend on their order, with subnormal numbers among them. */
const spread = (): number => Math.fround((random() - 0.5) * 2 ** Math.floor(random() * 60 - 30));
const odd = [0, -0, 1e-42, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
const special = (): number => (random() < 0.05 ? (odd[Math.floor(random() * odd.length)] ?? 0) : spread());

const bits = (values: readonly number[]): Int32Array => {
  const words = new Int32Array(Float32Array.from(values).buffer);
  canonicaliseNan(words, 0, words.length);
  return words;
};

describe("the vector kernel", () => {
  const sizes = [
    [1, 1],
    [3, 5],
    [32, 32],
    [33, 31],
    [80, 320],
    [160, 320],
    [320, 100],
  ] as const;

  test.each(sizes)("multiplies %i by %i as the definition says, to the bit", (k, n) => {
    const tiles = makeSimdTiles(k, n, 3);
    for (const draw of [spread, special, spread]) {
      const tile = tiles?.take();
      if (tile === undefined) throw new Error("this engine has no vectors");
      const rows = Array.from({ length: n }, () => Array.from({ length: k }, draw));
      const vector = Array.from({ length: k }, draw);
      for (const [column, row] of rows.entries())
        for (const [i, weight] of row.entries()) tile.weights[i * tile.stride + column] = weight;
      tile.activations.set(vector);
      tile.multiply(k, n);
      const wanted = rows.map((row) => tileProduct("fp32", vector, row));
      expect(bits([...tile.products.subarray(0, n)])).toEqual(bits(wanted));
    }
  });

  test("such numbers tell one order of addition from another", () => {
    const row = Array.from({ length: 160 }, spread);
    const ones = row.map(() => 1);
    expect(tileProduct("fp32", ones, row)).not.toBe(tileProduct("fp32", ones, row.toReversed()));
  });

  test("tiles do not share weights, however many are taken", () => {
    const tiles = makeSimdTiles(4, 32, 500);
    const taken = Array.from({ length: 130 }, (_, i) => {
      const tile = tiles?.take();
      tile?.weights.fill(i);
      return tile;
    });
    for (const [i, tile] of taken.entries()) expect(tile?.weights.every((weight) => weight === i)).toBe(true);
  });
});

/** Numbers between -1 and 1, token 1 for every integer. */
function plainInputs({ bindings }: Program): Map<string, HostTensor> {
  const inputs = bindings.filter(({ kind }) => kind === "input");
  return new Map(
    inputs.map(({ name, dtype, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const value =
        dtype === "int64"
          ? valueFromBigints("int64", shape, new Array<bigint>(count).fill(1n))
          : valueFromNumbers(
              dtype,
              shape,
              Array.from({ length: count }, () => 2 * random() - 1),
            );
      return [name, hostTensor(value)];
    }),
  );
}

function expectSame(fast: InterpretResult, reference: InterpretResult): void {
  expect(reference.ok).toBe(true);
  expect(comparable(fast)).toEqual(comparable(reference));
}

const cases = ["adder", "bert-mini", "vit-mini"].flatMap((model) =>
  (["fp16", "fp32", "int8"] as const).map((precision) => ({ model, precision })),
);

describe("whole models", () => {
  test.each(cases)("$model in $precision: the reference's bytes, cycles and counts", ({ model, precision }) => {
    const { program } = compileForTest(join(root, "models", `${model}.onnx`), { chips: 2, precision });
    const inputs = plainInputs(program);
    expectSame(interpret(program, inputs, { isFast: true }), interpret(program, inputs));
  });

  test("several inferences under way at once", () => {
    const { program } = compileForTest(join(root, "models", "adder.onnx"), { chips: 2, precision: "fp16" });
    const inputs = [plainInputs(program), plainInputs(program)];
    const reference = interpretOverlapped(program, inputs);
    expect(reference.ok).toBe(true);
    expect(interpretOverlapped(program, inputs, { isFast: true })).toEqual(reference);
  });

  test("lpuc run names the interpreter that ran", async () => {
    const model = join(root, "models", "adder.onnx");
    const run = async (...more: string[]) => {
      const { stdout } = await lpuc("run", model, "-i", "input_ids=1x12xi64=1", "--json", ...more);
      const { interpreter, executedCycles } = JSON.parse(stdout);
      return { interpreter, executedCycles };
    };
    const fast = await run();
    expect(fast.interpreter).toBe("fast");
    expect(await run("--interpreter", "reference")).toEqual({ ...fast, interpreter: "reference" });
  });
});
