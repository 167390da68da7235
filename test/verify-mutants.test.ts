// Mutants of good programs, by hand and compiled: every one is caught under a right name, or does the same. LPUC_MUTANT_ROUNDS=n judges n rounds
// of every kind on every program (the default is a sample that takes seconds).
import { describe, expect, test } from "vitest";
import { invariantNames } from "../backends/check/report.ts";
import type { Program } from "../ir/machine/program.ts";
import { compileCase, compiledCases } from "./verify-compiled.ts";
import { behaviourOf, type Judgement, judgeMutants, mutations } from "./verify-mutants.ts";
import { goodPrograms } from "./verify-programs.ts";

const asked = Number(process.env.LPUC_MUTANT_ROUNDS ?? 0);

/** Rounds of all kinds, or of every `step`-th kind where a mutant takes long. */
function judge(program: Program, rounds: number, step = 1): readonly Judgement[] {
  let behaviour: string | undefined;
  const good = (): string => {
    behaviour ??= behaviourOf(program);
    return behaviour;
  };
  return Array.from({ length: asked > 0 ? asked : rounds }, (_, round) => {
    const kinds = mutations.filter((_kind, k) => asked > 0 || (k + round) % step === 0);
    return judgeMutants(program, good, kinds, 1 + round);
  }).flat();
}

const isCaught = ({ told }: Judgement): boolean => told.length > 0;

function expectJudged(judgements: readonly Judgement[]): void {
  const missed = judgements.filter((one) => !isCaught(one) && one.behaviour === "other");
  expect(missed.map(({ mutant }) => mutant)).toEqual([]);
  const misnamed = judgements.filter(
    ({ told, kind }) => told.length > 0 && !told.some((name) => kind.right.includes(name)),
  );
  expect(misnamed.map(({ mutant, told }) => `${mutant} is told as ${told.join(", ")}`)).toEqual([]);
}

const all: Judgement[] = [];

describe("programs by hand", () => {
  for (const make of goodPrograms) {
    const program = make();
    test(`mutants of ${program.modelName} are caught`, () => {
      const judgements = judge(program, 2);
      all.push(...judgements);
      expectJudged(judgements);
    }, 600_000);
  }
});

const rounds: Readonly<Record<string, readonly [number, number]>> = {
  adder: [1, 9],
  decoder: [1, 2],
  encoder: [1, 2],
  rope: [1, 1],
};

describe("compiled programs", () => {
  for (const one of compiledCases) {
    test(`mutants of ${one.name} on ${one.chips} x ${one.target} are caught`, () => {
      const judgements = judge(compileCase(one), ...(rounds[one.name] ?? [2, 1]));
      all.push(...judgements);
      expectJudged(judgements);
    }, 3_600_000);
  }
});

test("more than 500 mutants are caught, few are equivalent, every invariant and every kind has its mutants", () => {
  const caught = all.filter(isCaught);
  expect(caught.length).toBeGreaterThan(500);
  expect(all.length - caught.length).toBeLessThan(all.length / 12);
  for (const name of invariantNames) {
    const kinds = new Set(
      caught.filter(({ told, kind }) => told.includes(name) && kind.right.includes(name)).map(({ kind }) => kind.name),
    );
    expect(kinds.size, `kinds of mutants told as ${name}`).toBeGreaterThanOrEqual(2);
  }
  const seen = new Set(caught.map(({ kind }) => kind.name));
  expect(mutations.filter(({ name }) => !seen.has(name)).map(({ name }) => name)).toEqual([]);
});
