// Mixtures of experts over the chips of a group, the whole way: experts that no chip has room for are shared, one exchange adds up what they gave, and
// the answer is the model's.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import { type TensorValue, valueFromBytes } from "../ir/graph/values.ts";
import type { Target } from "../ir/target/target.ts";
import { compileModel } from "../src/compile-model.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { scratchFolder } from "./cli-runner.ts";
import { type MoeOptions, moeModel } from "./moe-models.ts";
import { execute, maxAbsError, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

function small(wordsPerBank: number): Target {
  const target = presetTarget("lpu-nvlink");
  if (target === undefined) throw new Error("the default target exists");
  return { ...target, mem: { ...target.mem, wordsPerBank } };
}

const sizes = { experts: 8, top: 2, tokens: 16, d: 320, ffn: 640 } as const;

const cases: readonly (Pick<MoeOptions, "style"> & { readonly exchange: string })[] = [
  // Each chip has some of the experts, stacked as they are, or a share of each of them.
  { style: "stacked", exchange: "transpose" },
  { style: "separate", exchange: "scatter-sum" },
];

describe.each(cases)("$style experts", ({ style, exchange }) => {
  const path = scratch.path(`${style}.onnx`);
  const { bytes, inputs } = moeModel({ style, ...sizes });
  writeFileSync(path, bytes as Uint8Array);
  const compile = (target: Target, chips: number) =>
    compileModel(path, {
      target,
      chips,
      tensorParallel: chips,
      topology: { ...target.topology, kind: "all-to-all" },
      dims: new Map(),
      shapes: new Map(),
      precision: "fp16",
      effort: 0,
    });

  test("that one chip has no room for are held by four, which compute what the model says", () => {
    const words = [400, 352].find((count) => !compile(small(count), 1).ok);
    const target = small(words ?? 0);
    const one = compile(target, 1);
    expect(one.ok ? [] : one.diagnostics.map(({ code }) => code)).toEqual(["LPU4001"]);
    const four = compile(target, 4);
    if (!four.ok) throw new Error(four.diagnostics.map(({ message }) => message).join("\n"));
    const { program, sharded, imported } = four.value;
    expect(violationsOf(program)).toEqual([]);
    expect(sharded.exchanges.map(({ kind }) => kind)).toEqual([exchange]);
    const given = new Map(
      [...inputs].map(([name, tensor]) => [name, valueFromBytes(tensor.dtype, tensor.shape, tensor.bytes)]),
    );
    const expected = evaluateGraph(imported.graph, given).get("y") as TensorValue;
    expect(maxAbsError(execute(program, given).get("y"), expected)).toBeLessThan(0.02);
  });
});
