// State in a program file: which output is the next value of which input. By names, types and shapes; kept by both file forms; refused where it cannot be.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { structureProblems } from "../backends/encode/structure.ts";
import { renewedInputs } from "../ir/graph/renewed-inputs.ts";
import type { Program } from "../ir/machine/program.ts";
import { openProgram } from "../src/commands/program-file.ts";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { message, model, node, valueInfo } from "./onnx-bytes.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const ends = (name: string, shape: readonly number[] = [2, 8], dtype: "float32" | "float16" = "float32") => ({
  name,
  dtype,
  shape,
});
const pairOf = (input: string, output: string): number | undefined => renewedInputs([ends(input)], [ends(output)])[0];

describe("by names", () => {
  test.each([
    ["past_key_values.0.key", "present.0.key"],
    ["past_key_0", "present_key_0"],
    ["past_key_values.11.value", "present_key_values.11.value"],
    ["k_cache_in", "k_cache_out"],
    ["state", "new_state"],
  ])("%s is renewed by %s", (input, output) => expect(pairOf(input, output)).toBe(0));

  test.each([
    ["past_key_values.0.key", "present.1.key"],
    ["past_key_values.0.key", "present.0.value"],
    ["past_key_values.1.key", "present.11.key"],
    ["x", "y"],
    ["hidden", "new_hidden"],
  ])("%s is not renewed by %s", (input, output) => expect(pairOf(input, output)).toBeUndefined());

  test("one type, one shape, one pair", () => {
    expect(renewedInputs([ends("past.0")], [ends("present.0", [3, 8])])).toEqual([undefined]);
    expect(renewedInputs([ends("past.0")], [ends("present.0", [2, 8], "float16")])).toEqual([undefined]);
    expect(renewedInputs([ends("past.0")], [ends("present.0"), ends("new.0")])).toEqual([0, undefined]);
    expect(renewedInputs([ends("past.0"), ends("past.1")], [ends("present.1"), ends("present.0")])).toEqual([1, 0]);
  });
});

test("compile writes it, both file forms keep it, inspect tells it", async () => {
  const file = scratch.path("count.onnx");
  const value = (field: number, name: string) => message(field, valueInfo(name, 1, [2, 8]));
  writeFileSync(
    file,
    model([
      value(11, "step"),
      value(11, "past_sum"),
      message(1, node("Add", ["past_sum", "step"], ["present_sum"])),
      value(12, "present_sum"),
    ]),
  );
  const program = scratch.path("count.lpu");
  expect(await lpuc("compile", file, "-o", program, "--target", "ftlpu32")).toMatchObject({ status: 0 });
  const opened = openProgram(program);
  const bindings = opened.ok ? opened.value.bindings : [];
  expect(bindings.map(({ name, renews }) => [name, renews])).toEqual([
    ["step", undefined],
    ["past_sum", undefined],
    ["present_sum", 1],
  ]);
  expect((await lpuc("inspect", program)).stdout).toContain("present_sum float32[2x8], the next past_sum");
  await lpuc("disasm", program, "-o", scratch.path("count.lpasm"));
  await lpuc("asm", scratch.path("count.lpasm"), "-o", scratch.path("again.lpu"));
  expect((await lpuc("diff", program, scratch.path("again.lpu"))).stdout).toBe("the programs are identical\n");
  if (!opened.ok) return;
  const claims = (renews: number, at = 2): readonly string[] => {
    const changed: Program = {
      ...opened.value,
      bindings: bindings.map((binding, i) => (i === at ? { ...binding, renews } : binding)),
    };
    return structureProblems(changed);
  };
  expect(claims(0)).toEqual([]);
  for (const wrong of [claims(2), claims(7), claims(0, 1)]) expect(wrong.join()).toMatch(/renews binding/);
});
