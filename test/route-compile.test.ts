// Transfers of the compiler go by the ways of the routing pass: a large copy is split over several ways, a copy to many goes along a tree, and what
// is placed never takes longer than by the plain shortest ways.
import { expect, test } from "vitest";
import { linkVectorPeriod } from "../ir/target/geometry.ts";
import type { Target, TopologyKind } from "../ir/target/target.ts";
import { buildTopology, type Topology } from "../ir/target/topology.ts";
import { type Copy, scheduleTransfers } from "../passes/assemble/transfer.ts";
import { routedWays, shortestWays } from "../passes/assemble/ways.ts";
import { presetTarget } from "../src/targets/presets.ts";

function preset(): Target {
  const target = presetTarget("ftlpu32");
  if (target === undefined) throw new Error("ftlpu32 is no preset");
  return target;
}

const target = preset();

function wired(kind: TopologyKind, chips: number): Topology {
  const built = buildTopology({ ...target.topology, kind, linksPerPair: 1 }, target.link, chips);
  if (!built.ok) throw new Error(built.diagnostics.map(({ message }) => message).join("\n"));
  return built.value;
}

const location = { hemisphere: "E", column: 0, sub: 0, bank: 0, width: 4 } as const;

function copyOf(from: number, to: readonly number[], words: number): Copy {
  const place = { region: "x", location, offset: 0 };
  return { source: { ...place, chip: from }, targets: to.map((chip) => ({ ...place, chip })), words, ready: 0 };
}

/** Vectors each chip is sent. */
function received(copies: readonly Copy[], topology: Topology): number[] {
  const vectors = Array.from({ length: topology.chips }, () => 0);
  for (const { chip, unit, instruction } of scheduleTransfers(target, topology, copies).bursts)
    if (unit.kind === "linkReceive") vectors[chip] = (vectors[chip] ?? 0) + instruction.count;
  return vectors;
}

test("a large copy goes both ways round a ring, and takes less time than by one of them", () => {
  const copy = copyOf(0, [2], 1200);
  const ring = wired("ring", 4);
  const [, one = 0, two, three = 0] = received([copy], ring);
  expect(two).toBe(4800);
  expect(one + three).toBe(4800);
  expect(Math.min(one, three)).toBeGreaterThan(1500);
  const both = scheduleTransfers(target, ring, [copy]).cycles;
  expect(both).toBeLessThan(scheduleTransfers(target, wired("chain", 4), [copy]).cycles * 0.75);
});

test("over several hops pieces follow each other: each hop more costs its latency and one piece, not the whole copy", () => {
  const chain = wired("chain", 4);
  const [one, three] = [1, 3].map((chip) => scheduleTransfers(target, chain, [copyOf(0, [chip], 150)]).cycles);
  const whole = 4 * 150 * linkVectorPeriod(target);
  const piece = 16 * linkVectorPeriod(target);
  expect(one).toBeGreaterThan(target.link.latency + whole);
  // Four byte planes take turns on the link.
  expect(three).toBeLessThan((one ?? 0) + 2 * (target.link.latency + 5 * piece));
});

test("a copy to all sends every vector to every chip once", () => {
  const ring = wired("ring", 6);
  expect(received([copyOf(0, [1, 2, 3, 4, 5], 40)], ring)).toEqual([0, 160, 160, 160, 160, 160]);
});

test("ways are trees that begin at the source and hold every target", () => {
  const torus = wired("torus2d", 9);
  const copies = [copyOf(0, [8, 5], 300), copyOf(4, [0], 300), copyOf(3, [3], 10)];
  for (const strands of [routedWays(target, torus, copies) ?? [], shortestWays(torus, copies)]) {
    copies.forEach(({ source, targets, words }, index) => {
      const mine = strands.filter(({ copy }) => copy === index);
      expect(mine.flatMap(({ pieces }) => pieces).reduce((sum, { count }) => sum + count, 0)).toBe(4 * words);
      for (const { parents } of mine) {
        for (const { chip } of targets) {
          let at = chip;
          for (let hops = 0; at !== source.chip && hops < 9; hops++) at = parents.get(at) ?? -1;
          expect(at).toBe(source.chip);
        }
        for (const [to, from] of parents) expect(torus.between.has(from * 9 + to)).toBe(true);
      }
    });
  }
});
