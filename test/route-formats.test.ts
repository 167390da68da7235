// `runRoute` on all its formats: collective instances, demands with transfers or a collective, the pass's own text; and what is wrong with bad ones.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { collectiveKinds } from "../passes/route/collective-problem.ts";
import { type CollectiveTask, solveTimedCollective, type TimedCollective } from "../passes/route/collective-timing.ts";
import { checkTimedCollective, type TimedViolationCode } from "../passes/route/collective-timing-check.ts";
import { printRouteProblem } from "../passes/route/problem.ts";
import { type RouteOptions, runRoute } from "../src/formats/route.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { joined, routeProblem, transfer } from "./route-problems.ts";
import { sharedData } from "./shared-data.ts";

const options: RouteOptions = { findTarget: presetTarget, budget: 4_000_000 };

function ask(value: unknown, more: RouteOptions = {}) {
  const answer = runRoute(typeof value === "string" ? value : JSON.stringify(value), { ...options, ...more });
  if (!answer.ok) throw new Error(answer.faults.map((fault) => `${fault.path}: ${fault.message}`).join("\n"));
  return answer;
}

function faultsOf(value: unknown): readonly string[] {
  const answer = runRoute(typeof value === "string" ? value : JSON.stringify(value), options);
  return answer.ok ? [] : answer.faults.map((fault) => fault.path);
}

describe("collective instances", () => {
  const path = sharedData("route/sccl_Ring6_Allgather.json");
  it.skipIf(path === undefined)("answers with steps, rounds and bounds", () => {
    const text = readFileSync(path ?? "", "utf8");
    const { json, text: lines } = ask(text, { chunks: 2, objective: "bandwidth" });
    expect(json).toMatchObject({ schema: "lpuc.route/1", routed: true, chunks: 2, steps: 3, rounds: 5, gap: 0 });
    expect(json).toMatchObject({ roundsPerChunk: "5/2", lowerBound: { steps: 3, roundsPerChunk: "5/2", rounds: 5 } });
    expect(lines).toContain("bandwidth-optimal");
  });
  it("reads switches, and says what is wrong in full", () => {
    const pair = [
      [0, 2],
      [2, 0],
    ];
    const good = {
      links_dst_src: pair,
      pre: [[0], [1]],
      post: [
        [0, 1],
        [0, 1],
      ],
      switches: [[[0], [1], 1]],
    };
    expect(ask(good, { chunks: 2 }).json).toMatchObject({ rounds: 2 });
    expect(ask({ ...good, switches: [] }, { chunks: 2 }).json).toMatchObject({ rounds: 1 });
    const bad = { links_dst_src: [[0, -1], [0.5]], pre: [[0]], post: [["x"], []] };
    expect(faultsOf(bad)).toEqual([
      "links_dst_src[0][1]",
      "links_dst_src[1]",
      "links_dst_src[1][0]",
      "pre",
      "post[0][0]",
    ]);
    expect(faultsOf({ links_dst_src: pair, pre: [[], []], post: [[0], []] })).toEqual([""]);
  });
});

const ring = { kind: "ring", chips: 4, linksPerPair: 1 };

describe("demands", () => {
  it("transfers over a named topology of a target", () => {
    const demands = {
      target: "groqchip1",
      topology: ring,
      forwardCycles: 10,
      transfers: [
        { name: "x", from: 0, to: 2, vectors: 100, latest: 3000 },
        { from: 1, to: [3, 2], vectors: 5, earliest: 7 },
      ],
    };
    const { json, text } = ask(demands);
    expect(json).toMatchObject({ format: "transfers", topology: "ring", routed: true, latenessCycles: 0 });
    expect(json.completionCycles).toBeLessThan(1310 + 60 * 23);
    expect(json.lowerBound).toMatchObject({ completionCycles: 1310 + 49 * 23 });
    expect(text).toContain("x: vectors 0-");
  });
  it("transfers over explicit links, and the same problem as text", () => {
    const problem = routeProblem({
      chips: 3,
      links: joined(
        [
          [0, 1],
          [1, 2],
        ],
        7,
        100,
      ),
      transfers: [transfer({ source: 0, destinations: [2], vectors: 4 })],
    });
    const links = problem.links.map((link) => [link.from, link.to, link.cyclesPerVector, link.latency]);
    const transfers = [{ from: 0, to: 2, vectors: 4 }];
    const { json } = ask({ topology: { chips: 3, links }, forwardCycles: 5, transfers });
    expect(json.completionCycles).toBe(205 + 3 * 7);
    expect(ask(printRouteProblem(problem)).json.completionCycles).toBe(json.completionCycles);
    const alone = ask({ topology: { chips: 3, links: links.slice(0, 1) }, transfers });
    expect(alone).toMatchObject({ isRouted: false, json: { routed: false, reason: "reach", destination: 2 } });
  });
  it("says everything that is wrong", () => {
    expect(faultsOf({ topology: ring, transfers: [] })).toEqual([
      "link.cyclesPerVector",
      "link.latency",
      "link.portsPerChip",
    ]);
    expect(faultsOf({ topology: { kind: "star", chips: 4 }, target: "nothing", transfers: 3, more: 1 })).toContain(
      "more",
    );
    expect(
      faultsOf({ target: "groqchip1", topology: ring, transfers: [{ from: 0, to: 9, vectors: 1, late: 1 }] }),
    ).toEqual(["transfers[0].late"]);
    expect(faultsOf({ target: "groqchip1", topology: ring, transfers: [{ from: 0, to: 9, vectors: 1 }] })).toEqual([
      "",
    ]);
    expect(faultsOf({ target: "groqchip1", topology: ring, collective: { kind: "sum", vectors: 0, root: 4 } })).toEqual(
      ["collective.kind", "collective.vectors", "collective.root"],
    );
    expect(faultsOf("{}")).toEqual([""]);
    expect(faultsOf("route chips=2")).toEqual(["line 1"]);
  });
});

describe("collectives in cycles", () => {
  it("sums one vector over eight chips within the published 2.1 microseconds", () => {
    const demands = {
      target: "groqchip1",
      topology: { kind: "all-to-all", chips: 8, linksPerPair: 1 },
      collective: { kind: "all-reduce", vectors: 1 },
    };
    const { json } = ask(demands);
    expect(json).toMatchObject({ format: "timed-collective", collective: "all-reduce", additions: 56 });
    expect(Number(json.completionCycles) / 900).toBeLessThanOrEqual(2.1);
  });

  const tasks = [
    [
      "a ring of four",
      4,
      joined(
        [
          [0, 1],
          [1, 2],
          [2, 3],
          [3, 0],
        ],
        7,
        100,
      ),
    ],
    [
      "five joined by all",
      5,
      joined(
        [0, 1, 2, 3, 4].flatMap((a) => [0, 1, 2, 3, 4].filter((b) => b > a).map((b) => [a, b] as const)),
        5,
        60,
      ),
    ],
    [
      "a chain with doubled links",
      3,
      [
        ...joined(
          [
            [0, 1],
            [1, 2],
          ],
          7,
          100,
        ),
        ...joined(
          [
            [0, 1],
            [1, 2],
          ],
          7,
          100,
        ),
      ],
    ],
  ] as const;
  const taskOf = (
    [, chips, links]: (typeof tasks)[number],
    kind: CollectiveTask["kind"],
    vectors: number,
  ): CollectiveTask => ({
    kind,
    chips,
    links,
    root: 1,
    vectors,
    forwardCycles: 9,
    addCycles: 13,
    forwarding: "cut-through",
    bufferVectors: undefined,
  });
  for (const system of tasks)
    it(`all kinds are right on ${system[0]}`, () => {
      for (const kind of collectiveKinds)
        for (const [vectors, forwarding] of [
          [1, "cut-through"],
          [3, "store-and-forward"],
          [40, "cut-through"],
          [20, "store-and-forward"],
        ] as const) {
          const task = { ...taskOf(system, kind, vectors), forwarding };
          const timed = solveTimedCollective(task, 1_000_000);
          if (timed.kind !== "timed") throw new Error(`${kind} is stuck`);
          expect(checkTimedCollective(task, timed)).toEqual([]);
        }
    });

  it("counts what chips hold for others, and keeps to what they have room for", () => {
    const chain = joined(
      [
        [0, 1],
        [1, 2],
      ],
      7,
      100,
    );
    const gather: CollectiveTask = { ...taskOf(tasks[0], "gather", 40), chips: 3, links: chain, root: 0 };
    const peaks = (task: CollectiveTask) => {
      const timed = solveTimedCollective(task, 2_000_000);
      if (timed.kind !== "timed") return timed;
      expect(checkTimedCollective(task, timed)).toEqual([]);
      return timed.bufferPeaks;
    };
    // The middle one passes on what the far one sends, while it sends its own: whatever is not sent yet waits.
    const free = peaks(gather);
    expect(free).toMatchObject([0, expect.any(Number), 0]);
    const limited = peaks({ ...gather, bufferVectors: 30 });
    expect(limited).toMatchObject([0, expect.any(Number), 0]);
    expect(Math.max(...(Array.isArray(limited) ? limited : [99]))).toBeLessThanOrEqual(30);
    expect(peaks({ ...gather, bufferVectors: 1 })).toEqual({ kind: "unroutable", reason: "buffer", leastVectors: 26 });
    const demands = {
      topology: { chips: 3, links: chain.map((link) => [link.from, link.to, 7, 100]) },
      forwardCycles: 9,
      bufferVectors: 1,
      collective: { kind: "gather", vectors: 40 },
    };
    expect(ask(demands)).toMatchObject({ isRouted: false, json: { reason: "buffer", bufferVectors: 1 } });
    expect(ask({ ...demands, bufferVectors: 40 })).toMatchObject({ isRouted: true, json: { routed: true } });
    expect(faultsOf({ ...demands, intervalCycles: 900 })).toEqual(["intervalCycles"]);
  });

  const task = taskOf(tasks[0], "all-reduce", 40);
  const timed = solveTimedCollective(task, 2_000_000);
  const codes = (change: Partial<TimedCollective>): ReadonlySet<TimedViolationCode> =>
    timed.kind !== "timed"
      ? new Set()
      : new Set(checkTimedCollective(task, { ...timed, ...change }).map(({ code }) => code));
  const sends = timed.kind === "timed" ? timed.sends : [];
  const edited = (index: number, change: object) =>
    codes({ sends: sends.map((send, i) => (i === index ? { ...send, ...change } : send)) });

  it("mutants of a right one are found", () => {
    expect(sends.length).toBeGreaterThan(8);
    sends.forEach((send, index) => {
      const without = codes({ sends: sends.filter((_, i) => i !== index) });
      expect([...without].some((code) => code === "missing" || code === "absent")).toBe(true);
      expect(codes({ sends: [...sends, send] })).toContain("slot");
      // Too early: the slot is taken, or what should be summed by then is not there, now or at the end.
      const early = [...edited(index, { start: 0 })];
      if (send.start > 0)
        expect(early.some((code) => ["slot", "partial", "absent", "missing"].includes(code))).toBe(true);
    });
    expect(edited(0, { link: 99 })).toContain("send");
    expect(edited(0, { chunk: 9999 })).toContain("send");
    expect(codes({ completionCycles: 5 })).toEqual(new Set(["completion"]));
    expect(codes({ boundCycles: 1e9 })).toEqual(new Set(["bound"]));
    const gather = taskOf(tasks[0], "gather", 40);
    const held = solveTimedCollective(gather, 2_000_000);
    if (held.kind !== "timed") throw new Error("gather is stuck");
    const none = { ...held, bufferPeaks: held.bufferPeaks.map(() => 0) };
    expect(new Set(checkTimedCollective(gather, none).map(({ code }) => code))).toEqual(new Set(["buffer"]));
    const small = { ...gather, bufferVectors: 0 };
    expect(new Set(checkTimedCollective(small, held).map(({ code }) => code))).toEqual(new Set(["buffer"]));
    const sums = timed.kind === "timed" ? timed.sums : [];
    expect(sums.length).toBe(sends.filter(({ isAdded }) => isAdded).length);
    expect(codes({ sums: sums.slice(1) })).toEqual(new Set(["sum"]));
    expect(codes({ sums: sums.map((sum, i) => (i === 0 ? { ...sum, start: sum.start + 1 } : sum)) })).toEqual(
      new Set(["sum"]),
    );
    const again = sends.find((send) => send.isAdded);
    if (again === undefined) throw new Error("a sum adds");
    expect(codes({ sends: [...sends, { ...again, start: 100_000 }] })).toContain("double");
  });
});
