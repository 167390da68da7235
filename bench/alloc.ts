// Figures of the allocator: processor seconds for the published instances without slack, and for large problems, with growth and gap. Every
// answer is checked. Knows the problems, not how a bench is run.
import { readFileSync } from "node:fs";
import { checkAllocation } from "../passes/alloc/check.ts";
import { minimisePeak } from "../passes/alloc/minimise.ts";
import type { AllocBuffer, AllocProblem } from "../passes/alloc/problem.ts";
import { solveAlloc } from "../passes/alloc/solve.ts";
import { readAllocTable } from "../src/formats/alloc-csv.ts";
import { type TilingCut, tilingProblem } from "../src/testing/tilings.ts";
import { growthFigure, numbersFrom } from "./growth.ts";
import { type Bench, BenchFailure, publicData } from "./measure.ts";

/** Work units for one problem: the default of `lpuc alloc`. */
const budget = 2_500_000;

const hardCapacity = 1_048_576;
/** Seconds of minimalloc (C++, one thread) for each, from the description of the data. */
const hardSeconds = { A: 4.32, C: 0.62, E: 3.14, G: 1.06, I: 2.89, K: 0.59 } as const;

function refuseWrong(buffers: readonly AllocBuffer[], capacity: number, offsets: readonly number[]): void {
  const [violation] = checkAllocation({ buffers, capacity }, offsets);
  if (violation !== undefined) throw new BenchFailure(`the allocation is wrong: ${JSON.stringify(violation)}`);
}

const hardInstances: Bench = {
  name: "alloc-hard",
  title: "six published instances without slack, against minimalloc's seconds",
  limit: { rule: "at most", value: Math.round(100 * Object.values(hardSeconds).reduce((sum, s) => sum + s, 0)) / 100 },
  files: {},
  measure: () => {
    const details: Record<string, number> = {};
    let total = 0;
    for (const name of Object.keys(hardSeconds)) {
      const path = publicData(`alloc/${name}.${hardCapacity}.csv`);
      if (path === undefined) return { skipped: "no ../shared/data/alloc" };
      const table = readAllocTable(readFileSync(path, "utf8"));
      if (!table.ok) throw new BenchFailure(`${path} is no problem`);
      const { buffers } = table;
      const before = process.cpuUsage();
      const solved = solveAlloc({ buffers, capacity: hardCapacity }, { budget });
      const { user, system } = process.cpuUsage(before);
      refuseWrong(buffers, hardCapacity, solved.offsets);
      details[`seconds${name}`] = (user + system) / 1e6;
      total += (user + system) / 1e6;
    }
    return { value: total, unit: "s", details };
  },
};

type Draw = (below: number) => number;

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
  /** Some thousands live at a time, of few lives: sizes of every order of magnitude. */
  crowded: (draw) => {
    const lower = draw(200);
    return { lower, upper: lower + 1 + draw(50), size: 1 + draw(1 << draw(16)) };
  },
};

/** Tilings of the capacity, for each number of buffers so many; straight cuts and some that go around. */
const tilingSizes = [50, 100, 200, 400, 1_000] as const;
const tilingsOfSize = 6;

function tiling(seed: number, count: number): AllocProblem {
  const draw = numbersFrom(seed);
  const cuts: TilingCut[] = [];
  for (let made = 1; made < count; ) {
    const way = (["time", "address", "around"] as const)[draw(6)] ?? (draw(2) === 0 ? "time" : "address");
    made += way === "around" ? 4 : 1;
    cuts.push({ pick: draw(1 << 20), way, time: [draw(1_000), draw(1_000)], address: [draw(1_000), draw(1_000)] });
  }
  return tilingProblem(cuts, 8 * count, hardCapacity);
}

const tilings: Bench = {
  name: "alloc-tilings",
  title: "tilings of 50 to 1,000 buffers, known to fit without slack, that are solved",
  limit: { rule: "report" },
  files: {},
  measure: () => {
    const details: Record<string, number> = {};
    let solved = 0;
    for (const count of tilingSizes) {
      const before = process.cpuUsage();
      let own = 0;
      for (let i = 1; i <= tilingsOfSize; i++) {
        const problem = tiling(1_000 * i + count, count);
        const answer = solveAlloc(problem, { budget: budget / 20 });
        if (answer.kind !== "fits") continue;
        refuseWrong(problem.buffers, hardCapacity, answer.offsets);
        own++;
      }
      const { user, system } = process.cpuUsage(before);
      details[`solved${count}`] = own;
      details[`seconds${count}`] = (user + system) / 1e6;
      solved += own;
    }
    return { value: (100 * solved) / (tilingsOfSize * tilingSizes.length), unit: "%", details };
  },
};

const sizes = [6_250, 12_500, 25_000, 50_000] as const;

function largeFamily([family, make]: readonly [string, Family]): Bench[] {
  const allocate = (count: number): { readonly gapPercent: number; readonly peak: number } => {
    const draw = numbersFrom(count);
    const buffers = Array.from({ length: count }, (_, i): AllocBuffer => ({ id: `b${i}`, ...make(draw, count) }));
    const { peak, offsets, gap } = minimisePeak({ buffers }, { budget: budget / 100 });
    refuseWrong(buffers, peak, offsets);
    return { gapPercent: 100 * gap, peak };
  };
  return [
    {
      name: `alloc-${family}`,
      title: `allocate 50,000 buffers, ${family} live ranges`,
      limit: { rule: "at most", value: 10 },
      files: {},
      measure: () => growthFigure({ sizes, run: allocate }),
    },
    {
      name: `alloc-${family}-gap`,
      title: `peak of the same over the lower bound`,
      limit: { rule: "at most", value: 2 },
      files: {},
      measure: () => ({ value: allocate(50_000).gapPercent, unit: "%", details: {} }),
    },
  ];
}

export const allocBenches: readonly Bench[] = [
  hardInstances,
  tilings,
  ...Object.entries(families).flatMap(largeFamily),
];
