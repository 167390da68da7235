// A shipped model whose layers are shared by several chips: compiled, verified, executed, compared with its recorded outputs.
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileForTest, dataSet, execute, maxAbsError, setsOf, violationsOf } from "./whole-line.ts";

const models = join(import.meta.dirname, "..", "models");
const tolerance = { fp32: 1e-4, fp16: 0.05 };

const systems = [
  { chips: 2, tensorParallel: 2, topology: "chain" },
  { chips: 4, tensorParallel: 4, topology: "all-to-all" },
  { chips: 4, tensorParallel: 4, topology: "ring" },
  { chips: 4, tensorParallel: 4, topology: "chain" },
  { chips: 4, tensorParallel: 2, topology: "ring" },
  { chips: 8, tensorParallel: 4, topology: "dragonfly" },
] as const;

export type SharingCase = (typeof systems)[number] & {
  readonly name: "adder" | "bert-mini" | "vit-mini";
  readonly precision: "fp32" | "fp16";
};

export const sharingCases: readonly SharingCase[] = (["adder", "bert-mini", "vit-mini"] as const).flatMap((name) =>
  (["fp32", "fp16"] as const).flatMap((precision) => systems.map((system) => ({ name, precision, ...system }))),
);

const quick: Readonly<Record<SharingCase["name"], string>> = {
  adder: "fp32 2 of 2 chain",
  "bert-mini": "fp16 4 of 4 all-to-all",
  "vit-mini": "fp32 2 of 4 ring",
};

/** One system for each model; the others are in the long suite. */
export const isQuickSharing = ({ name, precision, chips, tensorParallel, topology }: SharingCase): boolean =>
  quick[name] === `${precision} ${tensorParallel} of ${chips} ${topology}`;

export function testSharing(cases: readonly SharingCase[]): void {
  test.each(cases)("$name in $precision, $tensorParallel of $chips chips on a $topology share a layer", (system) => {
    const { name, precision } = system;
    const { program } = compileForTest(join(models, `${name}.onnx`), system);
    expect(violationsOf(program)).toEqual([]);
    expect(program.stages.length).toBe(system.chips);
    for (const folder of setsOf(join(models, `${name}.data`))) {
      const { inputs, outputs } = dataSet(program, folder);
      const actual = execute(program, inputs);
      for (const [output, expected] of outputs)
        expect(maxAbsError(actual.get(output), expected)).toBeLessThan(tolerance[precision]);
    }
  });
}
