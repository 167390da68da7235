// Measures the allocator: the published instances without slack, and random problems of growing size. Self-contained: it makes
// its own problems, and must not know how the other benchmarks report.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkAllocation } from "../passes/alloc/check.ts";
import { minimisePeak } from "../passes/alloc/minimise.ts";
import type { AllocBuffer } from "../passes/alloc/problem.ts";
import { solveAlloc } from "../passes/alloc/solve.ts";
import { readAllocTable } from "../src/formats/alloc-csv.ts";

/** Work units for one problem: the default of `lpuc alloc`. */
const budget = 2_500_000;

const hardCapacity = 1_048_576;
const hardNames: readonly string[] = ["A", "C", "E", "G", "I", "K"];

export type HardRow = {
  readonly name: string;
  readonly buffers: number;
  readonly result: string;
  readonly peak: number;
  readonly lowerBound: number;
  readonly work: number;
  readonly cpuSeconds: number;
};

export type LargeRow = {
  readonly family: string;
  readonly buffers: number;
  readonly peak: number;
  readonly lowerBound: number;
  readonly gapPercent: number;
  readonly cpuSeconds: number;
};

export type AllocBench = {
  /** Absent where the public instances do not lie beside the checkout. */
  readonly hard?: { readonly rows: readonly HardRow[]; readonly cpuSeconds: number };
  readonly large: readonly LargeRow[];
  /** Of each family: seconds grow as the number of buffers to this power. */
  readonly exponents: Readonly<Record<string, number>>;
};

function timed<T>(run: () => T): { readonly value: T; readonly cpuSeconds: number } {
  const before = process.cpuUsage();
  const value = run();
  const { user, system } = process.cpuUsage(before);
  return { value, cpuSeconds: (user + system) / 1e6 };
}

function refuseWrong(buffers: readonly AllocBuffer[], capacity: number, offsets: readonly number[]): void {
  const violations = checkAllocation({ buffers, capacity }, offsets);
  if (violations.length > 0) throw new Error(`the allocation is wrong: ${JSON.stringify(violations.slice(0, 3))}`);
}

function measureHard(folder: string): AllocBench["hard"] | undefined {
  const rows: HardRow[] = [];
  for (const name of hardNames) {
    const path = join(folder, `${name}.${hardCapacity}.csv`);
    if (!existsSync(path)) continue;
    const table = readAllocTable(readFileSync(path, "utf8"));
    if (!table.ok) throw new Error(`${path}: ${JSON.stringify(table.errors)}`);
    const { buffers } = table;
    const { value, cpuSeconds } = timed(() => solveAlloc({ buffers, capacity: hardCapacity }, { budget }));
    refuseWrong(buffers, value.peak, value.offsets);
    const { kind: result, peak, lowerBound, work } = value;
    rows.push({ name, buffers: buffers.length, result, peak, lowerBound: lowerBound.peak, work, cpuSeconds });
  }
  if (rows.length === 0) return undefined;
  return { rows, cpuSeconds: rows.reduce((sum, row) => sum + row.cpuSeconds, 0) };
}

type Draw = (below: number) => number;

/** Numbers below a bound that depend on the seed alone. */
function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One buffer of a problem of `count`. */
type Family = (draw: Draw, count: number) => Omit<AllocBuffer, "id">;

const families: Readonly<Record<string, Family>> = {
  /** Some twenty live at a time. */
  short: (draw, count) => {
    const lower = draw(count);
    return { lower, upper: lower + 1 + draw(40), size: 1 + draw(4_096) };
  },
  /** Some hundred live at a time, with alignments. */
  aligned: (draw, count) => {
    const lower = draw(count);
    return { lower, upper: lower + 1 + draw(200), size: 1 + draw(1 + draw(100_000)), alignment: 32 << draw(3) };
  },
  /** Live ranges of every order of magnitude. */
  mixed: (draw, count) => {
    const lower = draw(count);
    return { lower, upper: lower + 1 + draw(1 + (count >> draw(14))), size: 32 * (1 + draw(32 << draw(6))) };
  },
  /** Some thousands live at a time. */
  dense: (draw) => {
    const lower = draw(10_000);
    return { lower, upper: lower + 1 + draw(1 + draw(2_500)), size: 1 + draw(65_536) };
  },
};

const counts: readonly number[] = [2_000, 10_000, 50_000];

function measureLarge(): LargeRow[] {
  return Object.entries(families).flatMap(([family, make]) =>
    counts.map((count) => {
      const draw = drawFrom(count);
      const buffers = Array.from({ length: count }, (_, i): AllocBuffer => ({ id: `b${i}`, ...make(draw, count) }));
      const { value, cpuSeconds } = timed(() => minimisePeak({ buffers }, { budget: budget / 100 }));
      refuseWrong(buffers, value.peak, value.offsets);
      const { peak, provedPeak: lowerBound, gap } = value;
      return { family, buffers: count, peak, lowerBound, gapPercent: 100 * gap, cpuSeconds };
    }),
  );
}

/** Slope of the line through the logarithms. */
function exponentOf(rows: readonly LargeRow[]): number {
  const points = rows.map((row) => ({ x: Math.log(row.buffers), y: Math.log(Math.max(row.cpuSeconds, 1e-3)) }));
  const mean = (pick: (point: { x: number; y: number }) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const middle = { x: mean(({ x }) => x), y: mean(({ y }) => y) };
  const covariance = mean(({ x, y }) => (x - middle.x) * (y - middle.y));
  return covariance / mean(({ x }) => (x - middle.x) ** 2);
}

/** Everything measured about the allocator; run from the root of the checkout. */
export function benchAlloc(): AllocBench {
  const hard = measureHard(join("..", "shared", "data", "alloc"));
  const large = measureLarge();
  const exponents = Object.fromEntries(
    Object.keys(families).map((family) => [family, exponentOf(large.filter((row) => row.family === family))]),
  );
  return { ...(hard === undefined ? {} : { hard }), large, exponents };
}
