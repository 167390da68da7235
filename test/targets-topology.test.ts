// Topologies: every kind wires legal ports, reaches every chip, and says which chip counts it cannot do.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TopologyKind, TopologySpec } from "../ir/target/target.ts";
import { buildTopology, linksBetween, nextChips, shortestRoute, type Topology } from "../ir/target/topology.ts";
import { presetTarget } from "../src/targets/presets.ts";

function preset(name: string) {
  const target = presetTarget(name);
  if (target === undefined) throw new Error(`no preset ${name}`);
  return target;
}
const nvlink = preset("lpu-nvlink");
const groq = preset("groqchip1");

function built(kind: TopologyKind, chips: number, target = nvlink, more: Partial<TopologySpec> = {}): Topology {
  const result = buildTopology({ ...target.topology, kind, ...more }, target.link, chips);
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("; "));
  return result.value;
}

function refusal(kind: TopologyKind, chips: number, target = nvlink, more: Partial<TopologySpec> = {}): string {
  const result = buildTopology({ ...target.topology, kind, ...more }, target.link, chips);
  return result.ok ? "accepted" : result.diagnostics.map((d) => `${d.code} ${d.message} ${d.help ?? ""}`).join("; ");
}

/** Every port is the source of one link and the sink of one at most, ports and chips exist, all is symmetric in hops. */
function assertLegal(topology: Topology, ports: number): void {
  const sources = new Set<string>();
  const sinks = new Set<string>();
  for (const link of topology.links) {
    const chipsExist = [link.from, link.to].every((chip) => chip >= 0 && chip < topology.chips);
    const portsExist = [link.fromPort, link.toPort].every((port) => port >= 0 && port < ports);
    if (!chipsExist || !portsExist || link.from === link.to || link.latency <= 0) expect(link).toBe("legal");
    sources.add(`${link.from}.${link.fromPort}`);
    sinks.add(`${link.to}.${link.toPort}`);
  }
  expect(sources.size).toBe(topology.links.length);
  expect(sinks.size).toBe(topology.links.length);
  for (const row of topology.hops) expect(row.every(Number.isFinite)).toBe(true);
}

describe("topologies", () => {
  test.each([
    ["chain", 6, 5 * 2 * 2, 5],
    ["ring", 6, 6 * 2 * 2, 3],
    ["ring", 2, 2 * 2, 1],
    ["all-to-all", 8, 8 * 7 * 2, 1],
    ["all-to-all", 19, 19 * 18, 1],
    ["torus2d", 12, 24 * 2 * 2, 3],
    ["torus2d", 4, 4 * 2 * 2, 2],
    ["switch", 72, 72 * 18, 2],
    ["switch", 8, 8 * 18, 1],
    ["dragonfly", 8, 8 * 7 * 2, 1],
    ["dragonfly", 72, 9 * 8 * 7 * 2 + 36 * 4 * 2, 3],
  ] as const)("%s of %i chips has %i links and diameter %i", (kind, chips, links, diameter) => {
    const topology = built(kind, chips);
    assertLegal(topology, nvlink.link.portsPerChip);
    expect(topology.links.length).toBe(links);
    expect(Math.max(...topology.hops.flat())).toBe(diameter);
  });

  test.each(["chain", "ring", "all-to-all", "torus2d"] as const)("%s: a chip and the next are neighbours", (kind) => {
    for (const chips of [4, 6, 8, 9, 12, 16]) {
      const { hops } = built(kind, chips);
      for (let chip = 1; chip < chips; chip++) expect(hops[chip - 1]?.[chip]).toBe(1);
    }
  });

  test("one chip has no links in any kind", () => {
    for (const kind of ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d", "edges"] as const) {
      expect(built(kind, 1, nvlink, { edges: [] }).links).toEqual([]);
    }
  });

  test("a switch adds its latency, a direct link does not", () => {
    expect(built("switch", 4).links[0]?.latency).toBe(450 + 135);
    expect(built("chain", 4).links[0]?.latency).toBe(450);
  });

  test("a chain joins its chips over a port at either edge", () => {
    const links = built("chain", 3).links.filter((link) => link.from === 1);
    expect(links.map((link) => [link.fromPort, link.to, link.toPort])).toEqual([
      [0, 0, 0],
      [1, 0, 1],
      [2, 2, 0],
      [3, 2, 1],
    ]);
  });

  test("explicit edges are joined as listed", () => {
    const star = built("edges", 4, nvlink, {
      linksPerPair: 1,
      edges: [
        [0, 1],
        [0, 2],
        [0, 3],
      ],
    });
    assertLegal(star, nvlink.link.portsPerChip);
    expect(shortestRoute(star, 3, 1)).toEqual([3, 0, 1]);
    expect(linksBetween(star, 1, 2)).toEqual([]);
    expect(linksBetween(star, 0, 2).length).toBe(1);
  });

  test("counts that do not suit are refused with what would do", () => {
    expect(refusal("all-to-all", 20)).toMatch(/LPU3010 .*at most 19 chips with 18 link ports/);
    expect(refusal("all-to-all", 18, groq)).toMatch(/at most 17 chips/);
    expect(refusal("torus2d", 7)).toMatch(/LPU3010 .*take 6 or 8 chips/);
    expect(refusal("dragonfly", 73)).toMatch(/at most 72 chips/);
    expect(refusal("switch", 73)).toMatch(/LPU3010/);
    expect(refusal("chain", 0)).toMatch(/1 to 4096 chips/);
    expect(refusal("chain", 2.5)).toMatch(/1 to 4096 chips/);
    expect(refusal("edges", 3, nvlink, { edges: [[0, 1]] })).toMatch(/LPU3012 chip 2 cannot be reached/);
    expect(
      refusal("edges", 2, nvlink, {
        edges: [
          [0, 5],
          [1, 1],
        ],
      }),
    ).toMatch(/edge 0 joins chips 0 and 5.*edge 1 joins chip 1 with itself/);
    expect(refusal("edges", 2, nvlink, { linksPerPair: 19, edges: [[0, 1]] })).toMatch(/chip 0 has 19 links.*18 ports/);
  });

  test("any accepted topology is legal, routes are as short as the hop table says, and building is repeatable", () => {
    const kinds = ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d"] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.integer({ min: 1, max: 72 }),
        fc.constantFrom(nvlink, groq),
        fc.nat(),
        fc.nat(),
        (kind, chips, target, a, b) => {
          const result = buildTopology({ ...target.topology, kind }, target.link, chips);
          if (!result.ok) {
            expect(result.diagnostics[0]?.code).toBe("LPU3010");
            return;
          }
          const topology = result.value;
          assertLegal(topology, target.link.portsPerChip);
          const from = a % chips;
          const to = b % chips;
          const route = shortestRoute(topology, from, to);
          expect(route.length - 1).toBe(topology.hops[from]?.[to]);
          expect(route.at(-1)).toBe(to);
          expect(nextChips(topology, from, to).length > 0).toBe(from !== to);
          expect(buildTopology({ ...target.topology, kind }, target.link, chips)).toEqual(result);
        },
      ),
      { numRuns: 100 },
    );
  });
});
