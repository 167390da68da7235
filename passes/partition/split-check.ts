// Independent check of a split layer: does every operator find its inputs in the layout that its way reads, is the output whole, are the
// claimed figures true? Knows the problem only, never how a solution was found.
import { conversions, LAYER_INPUT, type SplitProblem, type SplitSolution } from "./split-problem.ts";

type SplitViolationCode = "way" | "conversion" | "layout" | "output" | "figures";

export type SplitViolation = { readonly code: SplitViolationCode; readonly message: string };

/** Every way in which `solution` is wrong for `problem`; empty when it is right. */
export function checkSplit(problem: SplitProblem, solution: SplitSolution): readonly SplitViolation[] {
  const found: SplitViolation[] = [];
  const { ops } = problem;
  const totals = { compute: 0, collective: 0, weight: 0, state: 0 };
  const layouts = new Map<number, Set<string>>([[LAYER_INPUT, new Set(["whole"])]]);
  if (solution.ways.length !== ops.length)
    found.push({ code: "way", message: `${solution.ways.length} ways for ${ops.length} operators` });
  ops.forEach((op, i) => {
    const way = op.ways[solution.ways[i] ?? -1];
    if (way === undefined) found.push({ code: "way", message: `${op.name} has no way ${solution.ways[i]}` });
    else layouts.set(i, new Set([way.writes]));
  });
  for (const { op, conversion } of solution.conversions) {
    const { from, to } = conversions[conversion];
    const known = layouts.get(op);
    const made = op === LAYER_INPUT ? problem.inputCycles : ops[op]?.cycles;
    if (known?.has(from) !== true || made === undefined)
      found.push({ code: "conversion", message: `${conversion} of operator ${op}, whose output is not ${from}` });
    totals.collective += made?.[conversion] ?? 0;
    known?.add(to);
  }
  ops.forEach((op, i) => {
    const way = op.ways[solution.ways[i] ?? -1];
    if (way === undefined) return;
    totals.compute += way.computeCycles;
    totals.weight += way.weightBytes;
    totals.state += way.stateBytes;
    for (const input of op.inputs)
      if (layouts.get(input)?.has(way.reads) !== true)
        found.push({ code: "layout", message: `${op.name} reads operator ${input} ${way.reads}, which it is not` });
  });
  if (layouts.get(ops.length - 1)?.has("whole") !== true)
    found.push({ code: "output", message: "the output of the layer is not whole on every chip" });
  for (const [what, claimed, total] of [
    ["compute cycles", solution.computeCycles, totals.compute],
    ["collective cycles", solution.collectiveCycles, totals.collective],
    ["weight bytes", solution.weightBytes, totals.weight],
    ["state bytes", solution.stateBytes, totals.state],
  ] as const)
    if (Math.abs(claimed - total) > 1e-9 * Math.max(1, total))
      found.push({ code: "figures", message: `${what} are ${total}, claimed are ${claimed}` });
  return found;
}
