// Chain partitioning: exact against exhaustive search and an integer program, against recorded optima.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkChain } from "../passes/partition/check.ts";
import { isPositional } from "../passes/partition/positions.ts";
import { type ChainProblem, plainChain, verifyChainProblem } from "../passes/partition/problem.ts";
import { parseChainProblem, printChainProblem } from "../passes/partition/problem-text.ts";
import { chipTable, fewestChips, solveChain } from "../passes/partition/solve.ts";
import { chainProblems } from "../src/testing/partition-problems.ts";
import { integerOptimum } from "./integer-program.ts";
import { sharedData } from "./shared-data.ts";

type Best = { interval: number; latency: number; chips: number };

/** Every partition, one after another, by the words of the problem. */
function exhaustive(problem: ChainProblem): readonly Best[] {
  const found: Best[] = [];
  const n = problem.layers.length;
  const extend = (first: number, chip: number, interval: number, latency: number, chips: number) => {
    if (first === n) found.push({ interval, latency, chips });
    for (let start = chip; start < problem.chips && first < n; start++) {
      if (!isPositional(problem) && start > chip) break;
      problem.degrees.forEach((degree, d) => {
        if (start + degree > problem.chips) return;
        const nodes = [start, start + degree - 1].map((c) => Math.floor(c / (problem.chipsPerNode ?? 1000)));
        if (degree > 1 && nodes[0] !== nodes[1]) return;
        const slowness = (c: number) => problem.borders?.[c]?.busyFactor ?? 1;
        for (let end = first + 1; end <= n; end++) {
          const stage = problem.layers.slice(first, end).map((layer) => layer.costs[d]);
          if (problem.cutAfter.some((cut) => cut >= first && cut < end - 1)) continue;
          const inside = problem.pins.filter((pin) => pin.layer >= first && pin.layer < end);
          if (inside.some((pin) => pin.chip < start || pin.chip >= start + degree)) continue;
          const present = stage.filter((cost) => cost !== undefined);
          if (present.length < stage.length) continue;
          const bytes =
            present.reduce((sum, c) => sum + c.weightBytes + c.stateBytes, 0) +
            Math.max(...present.map((c) => c.activationBytes));
          if (bytes > problem.capacityBytes) continue;
          const compute = present.reduce((sum, c) => sum + c.computeCycles, 0);
          const collective = present.reduce((sum, c) => sum + c.collectiveCycles, 0);
          const last = start + degree - 1;
          const arrive = first === 0 ? 0 : (present[0]?.receiveBusyCycles ?? 0) * slowness(start - 1);
          const leave = end === n ? 0 : (present.at(-1)?.sendBusyCycles ?? 0) * slowness(last);
          const parts = [arrive, compute, collective, leave];
          const load = problem.transfer === "serial" ? parts.reduce((a, b) => a + b) : Math.max(...parts);
          const extra = problem.borders?.[last]?.extraLatencyCycles ?? 0;
          const wait = end === n ? 0 : (present.at(-1)?.sendLatencyCycles ?? 0) + extra;
          const through = latency + compute + collective + wait;
          extend(end, start + degree, Math.max(interval, load), through, chips + degree);
        }
      });
    }
  };
  extend(0, 0, 0, 0, 0);
  return found;
}

describe("solveChain", () => {
  it("finds the least interval, then latency, then chips, as exhaustive search does", () => {
    let feasible = 0;
    let infeasible = 0;
    fc.assert(
      fc.property(chainProblems, (problem) => {
        expect(verifyChainProblem(problem)).toEqual([]);
        const all = exhaustive(problem);
        const solution = solveChain(problem);
        if (all.length === 0) {
          infeasible++;
          expect(solution.kind).toBe("infeasible");
          return;
        }
        feasible++;
        const byInterval = [...all].sort((a, b) => a.interval - b.interval || a.latency - b.latency)[0];
        const byLatency = [...all].sort((a, b) => a.latency - b.latency || a.interval - b.interval)[0];
        if (solution.kind !== "solution") throw new Error("a partition exists");
        expect(checkChain(problem, solution)).toEqual([]);
        expect([solution.intervalCycles, solution.latencyCycles]).toEqual([byInterval?.interval, byInterval?.latency]);
        const same = all.filter((p) => p.interval === byInterval?.interval && p.latency === byInterval.latency);
        if (!isPositional(problem)) expect(solution.chipsUsed).toBe(Math.min(...same.map((p) => p.chips)));
        const quick = solveChain(problem, "latency");
        if (quick.kind !== "solution") throw new Error("a partition exists");
        expect(checkChain(problem, quick)).toEqual([]);
        expect([quick.latencyCycles, quick.intervalCycles]).toEqual([byLatency?.latency, byLatency?.interval]);
      }),
      { seed: 20, numRuns: 400 },
    );
    expect(feasible).toBeGreaterThan(50);
    expect(infeasible).toBeGreaterThan(50);
  });

  it("says what does not fit, and how many chips would do", () => {
    fc.assert(
      fc.property(chainProblems, (problem) => {
        const solution = solveChain(problem);
        const needed = fewestChips(problem);
        if (problem.borders !== undefined) {
          // Slow links change what is best, not what fits.
          const { borders: _, ...even } = problem;
          const same = fewestChips(even);
          expect(typeof same === "number" ? same : same.reason).toBe(
            typeof needed === "number" ? needed : needed.reason,
          );
          return;
        }
        if (typeof needed !== "number") {
          expect(solution.kind).toBe("infeasible");
          expect(["layer", "constraints"]).toContain(needed.reason);
          if (needed.reason === "layer") expect(needed.demandBytes).toBeGreaterThan(needed.capacityBytes);
          return;
        }
        expect(solveChain({ ...problem, chips: needed }).kind).toBe("solution");
        const fewer = { ...problem, chips: needed - 1 };
        if (verifyChainProblem(fewer).length === 0) expect(exhaustive(fewer)).toEqual([]);
        if (solution.kind === "infeasible") {
          expect(solution.chipsNeeded).toBe(needed);
          expect(needed).toBeGreaterThan(problem.chips);
        }
      }),
      { seed: 21, numRuns: 200 },
    );
  });

  it("agrees with an integer program", async () => {
    const cases = fc.sample(
      fc.record({
        layers: fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 })), {
          minLength: 4,
          maxLength: 9,
        }),
        chips: fc.integer({ min: 2, max: 4 }),
        slack: fc.integer({ min: 100, max: 180 }),
      }),
      { seed: 22, numRuns: 12 },
    );
    let solved = 0;
    for (const { layers, chips, slack } of cases) {
      const bytes = layers.map(([, weight]) => weight);
      const capacityBytes = Math.floor((bytes.reduce((a, b) => a + b, 0) * slack) / 100 / chips);
      const problem = plainChain({ computeCycles: layers.map(([c]) => c), weightBytes: bytes, chips, capacityBytes });
      const optimum = await integerOptimum(integerProgram(problem));
      const solution = solveChain(problem);
      expect(solution.kind === "solution").toBe(optimum !== undefined);
      if (solution.kind === "solution") {
        solved++;
        expect(solution.intervalCycles).toBeCloseTo(optimum ?? Number.NaN, 6);
      }
    }
    expect(solved).toBeGreaterThan(4);
  });

  it("agrees with an integer program over stages of several variants", async () => {
    const cases = fc.sample(chainProblems, { seed: 25, numRuns: 60 }).filter((problem) => !isPositional(problem));
    let solved = 0;
    for (const problem of cases) {
      const optimum = await integerOptimum(stageProgram(problem));
      const solution = solveChain(problem);
      expect(solution.kind === "solution").toBe(optimum !== undefined);
      if (solution.kind !== "solution") continue;
      solved++;
      expect(solution.intervalCycles).toBeCloseTo(optimum ?? Number.NaN, 6);
    }
    expect(solved).toBeGreaterThan(5);
  });

  it("gives the same answer for the same problem, and never a worse one with more chips or more memory", () => {
    fc.assert(
      fc.property(chainProblems, (problem) => {
        const solution = solveChain(problem);
        expect(solveChain(problem)).toEqual(solution);
        if (solution.kind === "infeasible") return;
        for (const roomier of [
          {
            ...problem,
            chips: problem.chips + 1,
            ...(problem.borders && { borders: [...problem.borders, { busyFactor: 2, extraLatencyCycles: 1 }] }),
          },
          { ...problem, capacityBytes: problem.capacityBytes + 7 },
        ]) {
          const other = solveChain(roomier);
          if (other.kind === "infeasible") throw new Error("it fitted with less");
          expect(other.intervalCycles).toBeLessThanOrEqual(solution.intervalCycles);
        }
      }),
      { seed: 23, numRuns: 150 },
    );
  });
});

/** x_i_k: layer i is on chip k; contiguous because the chip number never falls along the chain. */
function integerProgram(problem: ChainProblem): string {
  const n = problem.layers.length;
  const rows: string[] = [];
  const chips = [...Array(problem.chips).keys()];
  const names: string[] = [];
  const weight = (i: number) => problem.layers[i]?.costs[0]?.weightBytes ?? 0;
  const compute = (i: number) => problem.layers[i]?.costs[0]?.computeCycles ?? 0;
  for (let i = 0; i < n; i++) {
    for (const k of chips) names.push(`x_${i}_${k}`);
    rows.push(`one_${i}: ${chips.map((k) => `x_${i}_${k}`).join(" + ")} = 1`);
    if (i > 0) {
      const terms = chips.filter((k) => k > 0).map((k) => `${k} x_${i}_${k} - ${k} x_${i - 1}_${k}`);
      rows.push(`order_${i}: ${terms.join(" + ")} >= 0`);
    }
  }
  for (const k of chips) {
    const layers = [...Array(n).keys()];
    rows.push(`load_${k}: ${layers.map((i) => `${compute(i)} x_${i}_${k}`).join(" + ")} - t <= 0`);
    rows.push(`size_${k}: ${layers.map((i) => `${weight(i)} x_${i}_${k}`).join(" + ")} <= ${problem.capacityBytes}`);
  }
  return `Minimize\n obj: t\nSubject To\n ${rows.join("\n ")}\nBinary\n ${names.join(" ")}\nEnd\n`;
}

/** z_a_b_d: layers a to b - 1 are a stage of variant d; the stages are a path from 0 to the number of layers. */
function stageProgram(problem: ChainProblem): string {
  const n = problem.layers.length;
  const stages: { name: string; from: number; to: number; degree: number; load: number }[] = [];
  problem.degrees.forEach((degree, d) => {
    for (let from = 0; from < n; from++) {
      for (let to = from + 1; to <= n; to++) {
        const costs = problem.layers.slice(from, to).flatMap((layer) => layer.costs[d] ?? []);
        const total = (read: (cost: (typeof costs)[number]) => number) => costs.reduce((sum, c) => sum + read(c), 0);
        const bytes = total((c) => c.weightBytes + c.stateBytes) + Math.max(0, ...costs.map((c) => c.activationBytes));
        const isCut = problem.cutAfter.some((layer) => layer >= from && layer < to - 1);
        if (costs.length < to - from || bytes > problem.capacityBytes || isCut) continue;
        const arrive = from === 0 ? 0 : (costs[0]?.receiveBusyCycles ?? 0);
        const leave = to === n ? 0 : (costs.at(-1)?.sendBusyCycles ?? 0);
        const parts = [total((c) => c.computeCycles), total((c) => c.collectiveCycles), arrive, leave];
        const load = problem.transfer === "serial" ? parts.reduce((a, b) => a + b) : Math.max(...parts);
        stages.push({ name: `z_${from}_${to}_${d}`, from, to, degree, load });
      }
    }
  });
  const sum = (list: typeof stages) => (list.length === 0 ? "0 t" : list.map(({ name }) => name).join(" + "));
  const rows = [`start: ${sum(stages.filter(({ from }) => from === 0))} = 1`];
  for (let at = 1; at < n; at++) {
    const out = stages.filter(({ from }) => from === at).map(({ name }) => ` - ${name}`);
    rows.push(`at_${at}: ${sum(stages.filter(({ to }) => to === at))}${out.join("")} = 0`);
  }
  rows.push(`chips: 0 t ${stages.map(({ degree, name }) => `+ ${degree} ${name}`).join(" ")} <= ${problem.chips}`);
  for (const { name, load } of stages) rows.push(`load_${name}: t - ${load} ${name} >= 0`);
  const binaries = stages.length === 0 ? "" : `Binary\n ${stages.map(({ name }) => name).join(" ")}\n`;
  return `Minimize\n obj: t\nSubject To\n ${rows.join("\n ")}\n${binaries}End\n`;
}

describe("chain text", () => {
  it("prints and parses to the same problem", () => {
    fc.assert(
      fc.property(chainProblems, (problem) => {
        expect(parseChainProblem(printChainProblem(problem))).toEqual({ ok: true, problem });
      }),
      { seed: 24, numRuns: 100 },
    );
  });
  it("refuses bad text with a line", () => {
    const bad = "chain chips=2 capacity=9 transfer=serial degrees=1\nlayer nonsense\npin 0=1\n";
    expect(parseChainProblem(bad)).toMatchObject({ ok: false, errors: [{ line: 2 }] });
    expect(parseChainProblem("")).toMatchObject({ ok: false, errors: [{ line: 1 }] });
  });
});

describe("recorded chains", () => {
  const path = sharedData("partition/chains.json");
  it.skipIf(path === undefined)("reaches every recorded optimum, plain and capped", () => {
    type Chain = {
      weights_us: number[];
      param_bytes: number[];
      optima: Record<
        string,
        { bottleneck_us: number; with_param_cap: { cap_bytes: number; bottleneck_us: number | null } }
      >;
    };
    const chains = JSON.parse(readFileSync(path ?? "", "utf8")) as Record<string, Chain>;
    let reached = 0;
    for (const [name, chain] of Object.entries(chains)) {
      for (const [chips, optimum] of Object.entries(chain.optima)) {
        const plain = plainChain({ computeCycles: chain.weights_us, weightBytes: chain.param_bytes, chips: +chips });
        const capped = { ...plain, capacityBytes: optimum.with_param_cap.cap_bytes };
        const one = solveChain(plain);
        const two = solveChain(capped);
        const where = `${name} on ${chips} chips`;
        expect(one.kind === "solution" ? one.intervalCycles : null, where).toBe(optimum.bottleneck_us);
        const expected = optimum.with_param_cap.bottleneck_us;
        expect(two.kind === "solution" ? two.intervalCycles : null, `${where}, capped`).toBe(expected);
        if (two.kind === "solution") expect(checkChain(capped, two)).toEqual([]);
        else expect(two).toMatchObject({ reason: "chips", capacityBytes: capped.capacityBytes * capped.chips });
        reached++;
      }
    }
    expect(reached).toBeGreaterThanOrEqual(20);
  });
});

describe("scale", () => {
  it("partitions 120 layers over 576 chips with tensor parallelism", () => {
    const degrees = [1, 2, 4, 8, 16, 32, 64];
    const problem: ChainProblem = {
      layers: Array.from({ length: 120 }, (_, i) => ({
        name: `layer${i}`,
        boundaryBytes: 16384,
        costs: degrees.map((d) => ({
          computeCycles: Math.ceil((40_000 + 977 * ((i * 7) % 11)) / d),
          collectiveCycles: d > 1 ? 650 + 40 * d : 0,
          weightBytes: Math.ceil(870e6 / d),
          stateBytes: Math.ceil(20e6 / d),
          activationBytes: 1e6,
          receiveBusyCycles: 200,
          sendBusyCycles: 200,
          sendLatencyCycles: 800,
        })),
      })),
      degrees,
      chips: 576,
      capacityBytes: 220 * 2 ** 20,
      transfer: "overlapped",
      cutAfter: [],
      pins: [],
    };
    const solution = solveChain(problem);
    if (solution.kind !== "solution") throw new Error("it fits");
    expect(checkChain(problem, solution)).toEqual([]);
    expect(solution.workUnits).toBeLessThan(60_000_000);
    const rows = chipTable(problem, [480, 576]);
    expect(rows.map((row) => row.chips)).toEqual([480, 576]);
    expect(rows[1]?.interval.intervalCycles).toBe(solution.intervalCycles);
    expect(rows[1]?.latency.latencyCycles).toBeLessThanOrEqual(solution.latencyCycles);
  });
});
