// Time against size: the figure of the largest size, and the exponent of growth fitted over all. Knows no problem.
import { BenchFailure, type Figure, timed } from "./measure.ts";

/** Whole numbers below a bound, the same each time. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

export type Growth = {
  readonly sizes: readonly number[];
  readonly run: (size: number) => Readonly<Record<string, number>>;
  /** Runs of each size, of which the quickest counts. Default 1. */
  readonly repeats?: number;
};

type Point = { readonly size: number; readonly processorSeconds: number };

/**
 * The processor's seconds for the largest size, so that what else a machine does makes no difference; in the details those of all, and the exponent
 * of their growth.
 */
export function growthFigure({ sizes, run, repeats = 1 }: Growth): Figure {
  const points = sizes.map((size) => {
    const runs = Array.from({ length: repeats }, () => {
      const before = process.cpuUsage();
      const { value, seconds } = timed(() => run(size));
      const { user, system } = process.cpuUsage(before);
      return { size, value, seconds, processorSeconds: (user + system) / 1e6 };
    });
    return runs.reduce((best, other) => (other.processorSeconds < best.processorSeconds ? other : best));
  });
  const last = points.at(-1);
  if (last === undefined) throw new BenchFailure("there are no sizes");
  const details: Record<string, number> = {
    size: last.size,
    wallSeconds: last.seconds,
    exponent: fittedExponent(points),
    ...last.value,
  };
  for (const { size, processorSeconds } of points) details[`processorSecondsAt${size}`] = processorSeconds;
  return { value: last.processorSeconds, unit: "s", details };
}

/** Least squares on the logarithms: seconds grow as size to this power. */
function fittedExponent(points: readonly Point[]): number {
  const logs = points.map(
    ({ size, processorSeconds }) => [Math.log(size), Math.log(Math.max(1e-6, processorSeconds))] as const,
  );
  const mean = (pick: 0 | 1): number => logs.reduce((sum, pair) => sum + pair[pick], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = logs.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
  return spread === 0 ? 0 : logs.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0) / spread;
}
