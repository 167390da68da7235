// fp16 on the shared models: all spoken words, the first 100 greedy tokens of the story, both decode steps.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type TensorValue, valueFromBigints, valueFromNumbers } from "../ir/graph/values.ts";
import { sharedData } from "./shared-data.ts";
import { argmaxRows, compileForTest, dataSet, execute, maxAbsError, setsOf } from "./whole-line.ts";

const models = sharedData("models");

describe.skipIf(models === undefined)("fp16", () => {
  const root = models ?? "";

  test.each(["kwt1.encoder", "kwt1.encoder-ln17"])("%s names all ten words", (name) => {
    const { program } = compileForTest(join(root, name, "model.onnx"), { precision: "fp16", dims: { batch: 1 } });
    const sets = setsOf(join(root, name));
    expect(sets.length).toBe(10);
    for (const folder of sets) {
      const { inputs, outputs } = dataSet(program, folder);
      const [output, expected] = [...outputs][0] as [string, TensorValue];
      expect(argmaxRows(execute(program, inputs).get(output) as TensorValue), folder).toEqual(argmaxRows(expected));
    }
  });

  test("stories260K tells the first 100 greedy tokens", () => {
    const { greedyIds } = JSON.parse(readFileSync(join(root, "stories260K", "golden.json"), "utf8")) as {
      greedyIds: readonly number[];
    };
    const prefill = compileForTest(join(root, "stories260K.prefill-static", "model.onnx"), {
      precision: "fp16",
    }).program;
    const length = 64;
    const ids = valueFromBigints("int64", [1, length], greedyIds.slice(0, length).map(BigInt));
    const first = execute(prefill, new Map([["input_ids", ids]]));
    expect(argmaxRows(first.get("logits") as TensorValue)).toEqual(greedyIds.slice(1, length + 1));
    const decode = compileForTest(join(root, "stories260K.decode-static", "model.onnx"), { precision: "fp16" }).program;
    const caches = new Map<string, TensorValue>();
    for (const binding of decode.bindings) {
      if (binding.kind !== "input" || !binding.name.startsWith("past_key_values.")) continue;
      const present = first.get(binding.name.replace("past_key_values", "present")) as TensorValue;
      caches.set(binding.name, padCache(present, binding.shape));
    }
    const told: number[] = [];
    for (let position = length; position < 100; position++) {
      const inputs = new Map<string, TensorValue>([
        ["input_ids", valueFromBigints("int64", [1, 1], [BigInt(greedyIds[position] as number)])],
        ["position", valueFromBigints("int64", [1], [BigInt(position)])],
        ...caches,
      ]);
      const outputs = execute(decode, inputs);
      told.push(argmaxRows(outputs.get("logits") as TensorValue)[0] as number);
      for (const name of caches.keys())
        caches.set(name, outputs.get(name.replace("past_key_values", "present")) as TensorValue);
    }
    expect(told).toEqual(greedyIds.slice(length + 1, 101));
  });

  test("decode steps stay near the recorded ones", () => {
    const { program } = compileForTest(join(root, "stories260K.decode-static", "model.onnx"), { precision: "fp16" });
    for (const folder of setsOf(join(root, "stories260K.decode-static"))) {
      const { inputs, outputs } = dataSet(program, folder);
      const actual = execute(program, inputs);
      for (const [name, expected] of outputs) expect(maxAbsError(actual.get(name), expected), name).toBeLessThan(0.05);
    }
  });
});

/** [1, heads, length, d] at the front of a [1, heads, positions, d] cache of zeros. */
function padCache(present: TensorValue, shape: readonly number[]): TensorValue {
  const [, heads = 1, positions = 1, d = 1] = shape;
  const length = present.shape[2] as number;
  const numbers = new Array<number>(heads * positions * d).fill(0);
  const source = present.data as Float32Array;
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < length * d; i++) numbers[h * positions * d + i] = source[h * length * d + i] as number;
  return valueFromNumbers("float32", shape, numbers);
}
