// Mutants of programs that keep state: each rule about it has some, and each is caught under a right name.
import { describe, expect, test } from "vitest";
import type { InvariantName } from "../backends/check/report.ts";
import { verifyProgram } from "../backends/check/verify.ts";
import type { Binding, Program } from "../ir/machine/program.ts";
import { isResident } from "../ir/machine/resident.ts";
import { compileDecode } from "./state-models.ts";
import { editQueue, editSymbol, insert, newRandom, pick, replace, type Spot, spotsOf } from "./verify-mutation.ts";

const usual = { layers: 2, batch: 1, heads: 2, group: 1, size: 4, rows: 9 } as const;
const program = compileDecode(
  { ...usual, style: "where" },
  { target: "lpu-nvlink", chips: 2, precision: "fp32" },
).program;

const told = (mutant: Program): readonly InvariantName[] => [
  ...new Set(verifyProgram(mutant).invariants.flatMap(({ name, violations }) => (violations.length > 0 ? [name] : []))),
];

const states = program.symbols.flatMap(({ role }, i) => (role === "state" ? [i] : []));
const withBindings = (edit: (binding: Binding, i: number) => Binding): Program => ({
  ...program,
  bindings: program.bindings.map(edit),
});
const renewing = program.bindings.flatMap(({ renews }, i) => (renews === undefined ? [] : [i]));
const placesOf = (i: number | undefined) => program.bindings[i ?? -1]?.placements ?? [];

/** Accesses of state buffers by instructions of a kind. */
const onState = (op: "read" | "write"): readonly Spot[] =>
  spotsOf(program, [op]).filter(({ ins }) => states.includes(ins.symbol));

test("the program is good, and keeps state on two chips", () => {
  expect(told(program)).toEqual([]);
  const inputs = program.bindings.filter(({ name }) => name.startsWith("past"));
  expect(inputs.map((binding) => isResident(program, binding))).toEqual(inputs.map(() => true));
  expect(new Set(states.map((i) => program.symbols[i]?.chip)).size).toBe(2);
});

describe("claims", () => {
  test("a state buffer is held from the first cycle to the last", () => {
    for (const at of states) {
      expect(told(editSymbol(program, at, (one) => ({ ...one, from: 1 })))).toContain("capacity");
      const end = program.latencyCycles - program.target.verticalRipple;
      expect(told(editSymbol(program, at, (one) => ({ ...one, until: end - 1 })))).toContain("capacity");
    }
  });

  test("what stands in one is renewed by one output", () => {
    for (const at of renewing) {
      const without = withBindings((binding, i) => {
        const { renews: _renews, ...rest } = binding;
        return i === at ? rest : binding;
      });
      expect(told(without)).toContain("completeness");
      const other = program.bindings[renewing.find((one) => one !== at) ?? -1];
      const twice = withBindings((binding, i) =>
        i === at && other !== undefined ? { ...binding, renews: other.renews ?? 0 } : binding,
      );
      expect(told(twice)).toContain("completeness");
    }
  });

  test("by the output with that value", () => {
    const [a = -1, b = -1] = renewing;
    const [one = 0, two = 0] = [program.bindings[a]?.renews, program.bindings[b]?.renews];
    const crossed = withBindings((binding, i) =>
      i === a ? { ...binding, renews: two } : i === b ? { ...binding, renews: one } : binding,
    );
    expect(told(crossed)).toContain("operand");
  });

  test("an input stands where its new value will, wholly", () => {
    const [a = -1, b = -1] = renewing;
    const [one, two] = [program.bindings[a]?.renews, program.bindings[b]?.renews];
    const crossed = withBindings((binding, i) =>
      i === one
        ? { ...binding, placements: placesOf(two) }
        : i === two
          ? { ...binding, placements: placesOf(one) }
          : binding,
    );
    expect(told(crossed)).toContain("operand");
    for (const at of states) {
      const shorter = editSymbol(program, at, (symbol) => ({ ...symbol, words: symbol.words - 1 }));
      expect(told(shorter)).toContain("completeness");
    }
  });
});

describe("instructions", () => {
  const random = newRandom(11);
  const some = (spots: readonly Spot[]): readonly Spot[] =>
    Array.from({ length: 12 }, () => pick(random, spots)).filter((spot) => spot !== undefined);

  test("a new value that is not written", () => {
    for (const spot of some(onState("write"))) {
      const names = told(
        editQueue(program, spot, ({ instructions }) => instructions.filter((ins) => ins !== spot.ins)),
      );
      expect(names.some((name) => name === "operand" || name === "lifetime")).toBe(true);
    }
  });

  test("an old value that is read after the new one is written", () => {
    const ends = onState("write").map(({ ins }) => ins.cycle + ins.count * ins.period);
    const late = Math.max(...ends) + 40;
    for (const spot of some(onState("read"))) {
      const names = told(replace(program, spot, { ...spot.ins, cycle: spot.ins.cycle + late }));
      expect(names.some((name) => name === "operand" || name === "lifetime")).toBe(true);
    }
  });

  test("something else that is written there, before it is read or at the end", () => {
    const from = spotsOf(program, ["write"]).filter(({ ins }) => !states.includes(ins.symbol));
    let caught = 0;
    for (const spot of some(onState("write"))) {
      if (spot.ins.op !== "write" || spot.unit.kind !== "memWrite") continue;
      const other = pick(
        random,
        from.filter(({ chip }) => chip === spot.chip),
      );
      if (other?.ins.op !== "write") continue;
      const cycle = random(2) === 0 ? 0 : program.latencyCycles - program.target.verticalRipple - 8;
      const { stream, direction, note, symbol } = other.ins;
      const junk = { ...spot.ins, cycle, count: 1, period: 1, stride: 0, stream, direction, note };
      for (const claim of [spot.ins.symbol, symbol]) {
        expect(told(insert(program, spot.chip, spot.unit, { ...junk, symbol: claim })).length).toBeGreaterThan(0);
        caught++;
      }
    }
    expect(caught).toBeGreaterThan(8);
  });

  test("a step that begins before the one before has left its state", () => {
    const windows = program.stages.map(({ startCycle, endCycle }) => endCycle - startCycle);
    const tight = { ...program, initiationIntervalCycles: Math.floor(Math.max(...windows) / 2) };
    const { violations = [] } = verifyProgram(tight).invariants.find(({ name }) => name === "overlap") ?? {};
    expect(violations.length).toBeGreaterThan(0);
    expect(
      verifyProgram(tight, { listed: 100_000 })
        .invariants.flatMap((one) => one.violations.map(({ message }) => message))
        .join("\n"),
    ).toMatch(/holds past_key_values|holds present/);
  });
});
