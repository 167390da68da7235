// Mutants of good programs: every one is caught under a name that fits, or the interpreter finds that it computes the same.
import { expect, test } from "vitest";
import { type InvariantName, invariantNames } from "../backends/check/report.ts";
import { verifyProgram } from "../backends/check/verify.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { Program } from "../ir/machine/program.ts";
import { mutations, newRandom } from "./verify-mutants.ts";
import { goodPrograms } from "./verify-programs.ts";

const rounds = 3;

interface Outcome {
  readonly mutant: string;
  readonly told: readonly InvariantName[];
  readonly expected: readonly InvariantName[];
}

/** Some input values, the same every time. */
function inputsOf(program: Program): ReadonlyMap<string, HostTensor> {
  const inputs = new Map<string, HostTensor>();
  for (const { kind, name, dtype, shape } of program.bindings) {
    if (kind !== "input") continue;
    const random = newRandom(name.length + shape.length);
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Array.from({ length: count }, () => (dtype === "int32" ? random(16) : random(2000) / 1000 - 1));
    const bytes = new Uint8Array((dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data)).buffer);
    inputs.set(name, { dtype, shape, bytes });
  }
  return inputs;
}

/** Bytes of all outputs, or the fault. */
function behaviour(program: Program): string {
  const result = interpret(program, inputsOf(program));
  if (!result.ok) return result.fault.message;
  return [...result.outputs].map(([name, tensor]) => `${name} ${Array.from(tensor.bytes).join(" ")}`).join("\n");
}

function runMutants(
  program: Program,
  seed: number,
): { readonly caught: Outcome[]; readonly equivalent: string[]; readonly missed: string[] } {
  const caught: Outcome[] = [];
  const equivalent: string[] = [];
  const missed: string[] = [];
  const good = behaviour(program);
  mutations.forEach((mutation, m) => {
    for (let round = 0; round < rounds; round++) {
      const mutant = mutation.apply(program, newRandom(seed + m * 101 + round));
      if (mutant === undefined) continue;
      const report = verifyProgram(mutant);
      const told = report.invariants.filter((one) => one.violationCount > 0).map((one) => one.name);
      const name = `${program.modelName}: ${mutation.name} (${round})`;
      if (told.length > 0) caught.push({ mutant: name, told, expected: mutation.expected });
      else if (behaviour(mutant) === good) equivalent.push(name);
      else missed.push(name);
    }
  });
  return { caught, equivalent, missed };
}

test("every mutant is caught under a fitting name, every invariant by some", () => {
  const all = goodPrograms.map((make, p) => runMutants(make(), 1 + p * 10007));
  const caught = all.flatMap((one) => one.caught);
  const equivalent = all.flatMap((one) => one.equivalent);
  expect(all.flatMap((one) => one.missed)).toEqual([]);
  expect(caught.length).toBeGreaterThanOrEqual(500);
  expect(equivalent.length).toBeLessThan(caught.length / 50);
  expect(caught.filter((one) => !one.told.some((name) => one.expected.includes(name)))).toEqual([]);
  const hit = new Set(caught.flatMap((one) => one.told));
  expect(invariantNames.filter((name) => !hit.has(name))).toEqual([]);
}, 60_000);
