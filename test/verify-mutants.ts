// All mutations of a good program, and the judgement of a mutant: caught (and under which names), equivalent, or missed.
//
// Which names are right: a fault is told under the invariant whose rule the changed thing breaks first. What is wrong where it is issued, taken
// or stored is `queue`, `stream`, `bank`, `range`, `weights`, `accumulator`, `link` or `capacity` whatever it does to values; only if the schedule
// itself is sound is it `operand` (another value than the graph's), `lifetime` (a value that is gone) or `completeness` (a value that is
// missing). Each kind lists its right names; consequences told under further names do no harm. A mutant that nothing is told about must be
// equivalent: same bits on two random inputs and no fault.
import { type InvariantName, invariantNames } from "../backends/check/report.ts";
import { verifyProgram } from "../backends/check/verify.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import { dtypes } from "../ir/dtype.ts";
import type { Binding, Program } from "../ir/machine/program.ts";
import { budgets } from "./verify-mutants-budgets.ts";
import { bindings, graphs, images } from "./verify-mutants-claims.ts";
import { memory } from "./verify-mutants-memory.ts";
import { streams, timing } from "./verify-mutants-timing.ts";
import { links, matrix, vector } from "./verify-mutants-units.ts";
import { type Mutation, newRandom, type Random } from "./verify-mutation.ts";

export const mutations: readonly Mutation[] = [
  ...timing,
  ...streams,
  ...memory,
  ...vector,
  ...matrix,
  ...links,
  ...budgets,
  ...images,
  ...graphs,
  ...bindings,
];

function bytesFor({ dtype, shape }: Binding, random: Random): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  if (dtypes[dtype].kind === "float") {
    return new Uint8Array(Float32Array.from({ length: count }, () => random(4000) / 1000 - 2).buffer);
  }
  // Masks and indices, half of them out of range.
  const wide = dtype === "int64" || dtype === "int32";
  const numbers = Array.from({ length: count }, () => (wide && random(2) === 0 ? random(60) - 25 : random(2)));
  if (dtype === "int64") return new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  if (dtype === "int32") return new Uint8Array(Int32Array.from(numbers).buffer);
  return Uint8Array.from(numbers);
}

export function randomInputs(program: Program, seed: number): ReadonlyMap<string, HostTensor> {
  const random = newRandom(seed);
  const inputs = program.bindings.filter(({ kind }) => kind === "input");
  return new Map(
    inputs.map((binding) => [
      binding.name,
      { dtype: binding.dtype, shape: binding.shape, bytes: bytesFor(binding, random) },
    ]),
  );
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Bytes of all outputs on two random inputs, or the fault. */
export function behaviourOf(program: Program): string {
  const runs = [11, 12].map((seed) => {
    const result = interpret(program, randomInputs(program, seed));
    if (!result.ok) return `fault ${result.fault.kind}: ${result.fault.message}`;
    return [...result.outputs].map(([name, tensor]) => `${name} ${hex(tensor.bytes)}`).join("\n");
  });
  return runs.join("\n");
}

export interface Judgement {
  readonly mutant: string;
  readonly kind: Mutation;
  readonly told: readonly InvariantName[];
  /** Only where nothing is told. */
  readonly behaviour: "same" | "other";
}

/** One mutant of each kind given, seeded. `good` is the behaviour of the program itself. */
export function judgeMutants(
  program: Program,
  good: () => string,
  kinds: readonly Mutation[],
  seed: number,
): readonly Judgement[] {
  return kinds.flatMap((kind): Judgement[] => {
    const number = invariantNames.length + mutations.indexOf(kind);
    const mutant = kind.apply(program, newRandom(seed * 1009 + number));
    if (mutant === undefined) return [];
    const report = verifyProgram(mutant, { listed: 1 });
    const told = report.invariants.filter((one) => one.violationCount > 0).map((one) => one.name);
    const behaviour = told.length === 0 && kind.always !== true && behaviourOf(mutant) === good() ? "same" : "other";
    return [{ mutant: `${program.modelName}: ${kind.name} (${seed})`, kind, told, behaviour }];
  });
}
