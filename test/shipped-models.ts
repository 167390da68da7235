// A shipped model on one system: compiled, verified, executed, compared with its recorded outputs.
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileForTest, dataSet, execute, maxAbsError, setsOf, violationsOf } from "./whole-line.ts";

const models = join(import.meta.dirname, "..", "models");
const tolerance = { fp32: 1e-4, fp16: 0.05 };

export interface ShippedCase {
  readonly name: "adder" | "bert-mini" | "vit-mini";
  readonly precision: "fp32" | "fp16";
  readonly chips: number;
}

/** Every model in both precisions on 1, 2 and 4 chips. */
export const shippedCases: readonly ShippedCase[] = (["adder", "bert-mini", "vit-mini"] as const).flatMap((name) =>
  (["fp32", "fp16"] as const).flatMap((precision) => [1, 2, 4].map((chips) => ({ name, precision, chips }))),
);

/** The cases of the short suite; the others are in the long one. */
export const isQuick = ({ precision, chips }: ShippedCase): boolean => precision === "fp16" && chips === 2;

export function testShipped(cases: readonly ShippedCase[]): void {
  test.each(cases)("$name in $precision on $chips chips agrees with the recorded outputs, verified", (system) => {
    const { name, precision, chips } = system;
    const { program } = compileForTest(join(models, `${name}.onnx`), { chips, precision });
    expect(violationsOf(program)).toEqual([]);
    for (const folder of setsOf(join(models, `${name}.data`))) {
      const { inputs, outputs } = dataSet(program, folder);
      const actual = execute(program, inputs);
      for (const [output, expected] of outputs)
        expect(maxAbsError(actual.get(output), expected)).toBeLessThan(tolerance[precision]);
    }
  });
}
