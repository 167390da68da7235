// The lowest peak that can be found within a budget, with a lower bound beside it.
import { type LowerBound, lowerBoundOf } from "./bound.ts";
import { heuristicPlacement } from "./heuristic.ts";
import type { AllocProblem } from "./problem.ts";
import { type Sections, sectionsOf } from "./sections.ts";

export type MinimiseOptions = {
  /** In units of work: nodes of the search, or pairs of buffers looked at. */
  readonly budget: number;
};

export type MinimisedPeak = {
  readonly offsets: readonly number[];
  readonly peak: number;
  readonly lowerBound: LowerBound;
  /** (peak - lowerBound) / lowerBound; 0 means proved optimal. */
  readonly gap: number;
  readonly work: number;
};

/** Offsets of the problem's buffers from those of the sections' normal order. */
export function offsetsInInputOrder(sections: Sections, offsets: Float64Array): readonly number[] {
  const out = new Array<number>(sections.source.length).fill(0);
  sections.source.forEach((index, b) => {
    out[index] = offsets[b] ?? 0;
  });
  return out;
}

export function minimisePeak(problem: AllocProblem, options: MinimiseOptions): MinimisedPeak {
  const sections = sectionsOf(problem.buffers);
  const lowerBound = lowerBoundOf(sections, problem.buffers);
  const placement = heuristicPlacement(sections, lowerBound.peak, options.budget);
  return {
    offsets: offsetsInInputOrder(sections, placement.offsets),
    peak: placement.peak,
    lowerBound,
    gap: lowerBound.peak === 0 ? 0 : (placement.peak - lowerBound.peak) / lowerBound.peak,
    work: placement.work,
  };
}
