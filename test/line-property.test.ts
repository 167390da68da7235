// Random graphs on random systems, the whole line: compiled programs break no invariant, execute in the predicted cycles and give the evaluator's
// numbers bit by bit. And what such graphs once found.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGraph } from "../ir/graph/parse.ts";
import type { Target } from "../ir/target/target.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { compileCore, type GraphCase, graphCases, type LineSystem, lineWitnesses, systems } from "../src/testing.ts";
import { crashers } from "./crashers.ts";

function preset(name: string): Target {
  const target = presetTarget(name);
  if (target === undefined) throw new Error(`no target ${name}`);
  return target;
}

/** Runs the property; gives the share of graphs that were compiled. */
function holdsFor(
  systemsOf: fc.Arbitrary<LineSystem>,
  seed: number,
  numRuns: number,
  graphs = graphCases({ steps: 4 }),
): number {
  let compiled = 0;
  const once = (drawn: GraphCase, system: LineSystem): void => {
    const witnesses = lineWitnesses(drawn, system);
    if (witnesses !== undefined) compiled++;
    expect(witnesses ?? []).toEqual([]);
  };
  fc.assert(fc.property(graphs, systemsOf, once), { seed, numRuns });
  return compiled / numRuns;
}

describe("compile, verify, execute, compare", () => {
  test("on random machines", () => {
    expect(holdsFor(systems(), 20, 50)).toBeGreaterThan(0.95);
  });

  test("small graphs on many random machines", () => {
    const graphs = graphCases({ steps: 3, layers: 2, elements: 64 });
    expect(holdsFor(systems({ chips: 3 }), 23, 300, graphs)).toBeGreaterThan(0.95);
  });

  test("on the small preset, with up to five chips", () => {
    expect(holdsFor(systems({ targets: fc.constant(preset("ftlpu32")), chips: 5 }), 21, 100)).toBeGreaterThan(0.95);
  });

  test("on the other presets", () => {
    const large = fc.constantFrom(...["lpu-nvlink", "groqchip1", "lp30"].map(preset));
    expect(holdsFor(systems({ targets: large }), 22, 20)).toBeGreaterThan(0.95);
  });
});

test("a target beyond the compiler is refused with all that it lacks", () => {
  const small = preset("ftlpu32");
  const { int8: _int8, ...modes } = small.mxm.modes;
  const target: Target = {
    ...small,
    streamsPerDirection: 8,
    vxm: { ...small.vxm, chainDepth: 1, operandHistory: 7 },
    sxm: { ...small.sxm, unitsPerHemisphere: 1 },
    mxm: { ...small.mxm, modes, loadStreamsPerPlane: 2 },
  };
  const [drawn] = fc.sample(graphCases(), { seed: 1, numRuns: 1 });
  const result = drawn && compileCore(drawn.graph, { target, chips: 1, spec: target.topology });
  const refused = result?.kind === "refused" ? result.diagnostics : [];
  expect(refused.map(({ code, message }) => `${code} ${message}`)).toEqual([
    "LPU3007 streamsPerDirection is 8: 12 are needed",
    "LPU3007 mxm.loadStreamsPerPlane is 2: a row of 4-byte weights comes on 4 streams",
    "LPU3007 vxm.chainDepth is 1: chains of 3 are needed",
    "LPU3007 vxm.operandHistory is 7: an operand waits for a result of up to 8 cycles",
    "LPU3007 vxm.operandHistory is 7: the last of four pieces of a vector waits for two operations of 4 cycles",
    "LPU3007 sxm.unitsPerHemisphere is 1: two are needed",
    "LPU3007 mxm.modes has no int8",
  ]);
});

describe("what random graphs found", () => {
  test.each(crashers.map((crasher) => [crasher.name, crasher] as const))("%s", (_, { text, target, inputs }) => {
    const graph = parseGraph(text);
    if (!graph.ok) throw new Error(graph.diagnostics.map(({ message }) => message).join("\n"));
    const system = { ...target, chips: 2, spec: target.topology, target };
    expect(lineWitnesses({ graph: graph.value, inputs }, system)).toEqual([]);
  });
});
