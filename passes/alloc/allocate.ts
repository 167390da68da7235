// What the compiler calls: the buffers of one address space (one bank of one slice, say) in, offsets out, with the peak as low
// as the budget allows. The unit is the caller's: words, vectors or bytes.
import { minimisePeak } from "./minimise.ts";
import type { AllocBuffer } from "./problem.ts";

export type Allocation = {
  readonly kind: "fits" | "over-capacity";
  /** In the order of the buffers; the best found, also when it does not fit. */
  readonly offsets: readonly number[];
  readonly peak: number;
  /** No allocation has a lower peak. */
  readonly lowerBound: number;
};

/** Work per address space unless told otherwise: a few milliseconds for some hundred buffers. */
const defaultBudget = 20_000;

export function allocateBuffers(
  buffers: readonly AllocBuffer[],
  capacity: number,
  budget: number = defaultBudget,
): Allocation {
  const { offsets, peak, provedPeak } = minimisePeak({ buffers }, { budget });
  return { kind: peak <= capacity ? "fits" : "over-capacity", offsets, peak, lowerBound: provedPeak };
}
