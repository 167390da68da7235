// State that stays in SRAM: caches of decode steps, written in many styles, over several tokens. A session that carries nothing gives what the
// evaluator gives when its caches are carried for it; each program is proved legal.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verifyProgram } from "../backends/check/verify.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { KeptState } from "../backends/interp/kept.ts";
import { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
import type { Graph } from "../ir/graph/graph.ts";
import { type TensorValue, valueFromBytes, valueFromNumbers } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { isResident } from "../ir/machine/resident.ts";
import { programReport } from "../src/report/program-report.ts";
import { floats, i64 } from "./op-models.ts";
import { cacheStyles, compileDecode, type DecodeOptions, type System } from "./state-models.ts";
import { hostTensor, maxAbsError } from "./whole-line.ts";

const brokenRules = (program: Program): readonly string[] =>
  verifyProgram(program).invariants.flatMap(({ name, violations }) =>
    violations.map(({ message }) => `${name}: ${message}`),
  );

const cachesOf = (program: Program) => program.bindings.filter(({ name }) => name.startsWith("past"));

/** Largest error over several tokens, the caches kept by the machine in the one, carried in the other. */
function worstError(graph: Graph, program: Program, positions: readonly number[]): number {
  const { batch = 1, width = 1 } = (() => {
    const [shape] = program.bindings.filter(({ name }) => name === "x").map((binding) => binding.shape);
    return { batch: shape?.[0], width: shape?.[2] };
  })();
  const dtype = program.bindings[0]?.dtype ?? "float32";
  let carried = new Map(
    cachesOf(program).map(({ name, shape }, i) => [name, floats(shape, 50 + i, -1, 1, dtype)] as const),
  );
  let kept: KeptState | undefined;
  let worst = 0;
  positions.forEach((position, step) => {
    const inputs = new Map<string, TensorValue>([
      ["x", floats([batch, 1, width], 90 + step, -1, 1, dtype)],
      ["position", i64(position)],
    ]);
    const wanted = evaluateGraph(graph, new Map([...inputs, ...carried]));
    const given = step === 0 ? new Map([...inputs, ...carried]) : inputs;
    const host = new Map([...given].map(([name, value]) => [name, hostTensor(value)] as const));
    const result = interpret(program, host, kept === undefined ? {} : { kept });
    if (!result.ok) throw new Error(`${result.fault.kind}: ${result.fault.message}`);
    expect(result.executedCycles).toBe(program.latencyCycles);
    kept = result.keep();
    carried = new Map(
      [...carried.keys()].map((name) => [name, wanted.get(name.replace("past_key_values", "present")) as TensorValue]),
    );
    for (const [name, value] of wanted) {
      const found = result.outputs.get(name) as HostTensor;
      worst = Math.max(worst, maxAbsError(valueFromBytes(found.dtype, found.shape, found.bytes), value));
    }
  });
  return worst;
}

const usual: DecodeOptions = { layers: 2, batch: 1, heads: 2, group: 2, size: 4, rows: 12, style: "where" };
const system: System = { target: "lpu-nvlink", chips: 1, precision: "fp32" };

describe("caches written in every style stay where they are", () => {
  test.each(cacheStyles)("%s", (style) => {
    const { graph, program } = compileDecode({ ...usual, style }, system);
    expect(brokenRules(program)).toEqual([]);
    expect(cachesOf(program).map((binding) => [binding.name, isResident(program, binding)])).toEqual(
      cachesOf(program).map(({ name }) => [name, true]),
    );
    expect(worstError(graph, program, [0, 11, 5, 5])).toBeLessThan(1e-4);
  });
});

test("state is counted apart from activations", () => {
  const { program } = compileDecode(usual, system);
  const [sram] = programReport(program).sram;
  const buffers = program.symbols.filter(({ role }) => role === "state");
  const bytes = buffers.reduce((sum, { words, slices }) => sum + words * slices.length * program.target.lanes, 0);
  expect(bytes).toBeGreaterThan(0);
  expect(sram?.stateBytes).toBe(bytes);
});

describe("on systems", () => {
  test.each([
    { target: "lpu-nvlink", chips: 2, precision: "fp32" },
    { target: "groqchip1", chips: 3, precision: "fp16" },
    { target: "ftlpu32", chips: 1, precision: "fp32" },
    { target: "lpu-nvlink", chips: 2, tensorParallel: 2, precision: "fp32" },
  ] as const)("%j", (where) => {
    const { graph, program } = compileDecode({ ...usual, layers: 3 }, where);
    expect(brokenRules(program)).toEqual([]);
    expect(cachesOf(program).every((binding) => isResident(program, binding))).toBe(true);
    expect(worstError(graph, program, [11, 0, 3])).toBeLessThan(where.precision === "fp32" ? 1e-4 : 0.02);
  });
});

test("any sizes and places: what the machine keeps is what would be carried", () => {
  const cases = fc.record({
    layers: fc.integer({ min: 1, max: 2 }),
    batch: fc.integer({ min: 1, max: 2 }),
    heads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 2 }),
    size: fc.constantFrom(1, 2, 3, 8, 16),
    rows: fc.constantFrom(1, 2, 7, 33),
    style: fc.constantFrom(...cacheStyles),
    dtype: fc.constantFrom("float32" as const, "float16" as const),
  });
  fc.assert(
    fc.property(cases, fc.array(fc.nat(999), { minLength: 2, maxLength: 3 }), (options, draws) => {
      const target = options.rows > 20 ? "lpu-nvlink" : "groqchip1";
      const { graph, program } = compileDecode(options, { ...system, target });
      expect(brokenRules(program)).toEqual([]);
      const places = draws.map((draw, i) => (i === 0 ? options.rows - 1 : i === 1 ? 0 : draw % options.rows));
      expect(worstError(graph, program, places)).toBeLessThan(options.dtype === "float16" ? 0.05 : 1e-3);
    }),
    { numRuns: Number(process.env.LPUC_STATE_RUNS ?? 8), seed: 4 },
  );
}, 120_000);

test("a long cache, whose rows run along the lanes", () => {
  const { graph, program } = compileDecode({ ...usual, layers: 1, size: 8, rows: 350 }, system);
  expect(brokenRules(program)).toEqual([]);
  expect(worstError(graph, program, [349, 0, 320])).toBeLessThan(1e-4);
});

test("without what is kept, every input is asked for", () => {
  const { program } = compileDecode(usual, system);
  const [x] = program.bindings;
  const only = valueFromNumbers("float32", x?.shape ?? [], new Array(16).fill(0));
  const result = interpret(
    program,
    new Map([
      ["x", hostTensor(only)],
      ["position", hostTensor(i64(0))],
    ]),
  );
  expect(result.ok ? "" : result.fault.message).toMatch(/missing/);
});
