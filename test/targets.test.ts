// Targets: the presets are right and sourced, the schema reports every problem at once, topologies wire legal ports.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnCount, linkVectorPeriod, memColumn, vxmColumn, wordsPerSlice } from "../ir/target/geometry.ts";
import { parseTarget, topologyKinds } from "../ir/target/schema.ts";
import type { Target } from "../ir/target/target.ts";
import { defaultTargetName, presetDocuments, presetNames, presetTarget } from "../src/targets/presets.ts";

function preset(name: string): Target {
  const target = presetTarget(name);
  if (target === undefined) throw new Error(`no preset ${name}`);
  return target;
}

/** A deep copy that a test may damage. */
function damaged(name: string, damage: (json: Record<string, unknown>) => void): unknown {
  const json = JSON.parse(JSON.stringify(presetDocuments[name])) as Record<string, unknown>;
  damage(json);
  return json;
}

const problemsOf = (json: unknown): readonly { code: string; message: string; help?: string }[] => {
  const parsed = parseTarget(json, presetDocuments);
  return parsed.ok ? [] : parsed.diagnostics;
};

const sramBytes = (target: Target): number => 2 * target.mem.slicesPerHemisphere * wordsPerSlice(target) * target.lanes;

/** JSON paths of all numbers outside {value, source} bookkeeping. */
function numberPaths(value: unknown, path: string): readonly string[] {
  if (typeof value === "number") return [path];
  if (Array.isArray(value)) return value.every((item) => typeof item === "number") ? [path] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => numberPaths(inner, path === "" ? key : `${path}.${key}`));
}

describe("presets", () => {
  test("are the four machines, and the default is one of them", () => {
    expect([...presetNames].sort()).toEqual(["ftlpu32", "groqchip1", "lp30", "lpu-nvlink"]);
    expect(presetNames).toContain(defaultTargetName);
    expect(presetTarget("groqchip2")).toBeUndefined();
    expect(presetTarget("toString")).toBeUndefined();
  });

  test("have the published totals", () => {
    const groq = preset("groqchip1");
    expect(sramBytes(groq)).toBe(220 * 2 ** 20);
    expect(linkVectorPeriod(groq)).toBe(23);
    expect(linkVectorPeriod(preset("lpu-nvlink"))).toBe(7);
    expect(columnCount(groq)).toBe(27);
    expect(memColumn(groq, "W", 0)).toBe(vxmColumn(groq) - 1);
    const tops = (groq.mxm.planes * 320 * 320 * 2 * groq.clockHz) / 1e12;
    expect(Math.round(tops)).toBe(737);
    const lp30 = preset("lp30");
    expect(Math.abs(sramBytes(lp30) / 500e6 - 1)).toBeLessThan(0.001);
    const sramBandwidth = 2 * 2 * lp30.mem.slicesPerHemisphere * lp30.lanes * lp30.clockHz;
    expect(Math.abs(sramBandwidth / 150e12 - 1)).toBeLessThan(0.001);
    expect(sramBytes(preset("ftlpu32"))).toBe(2 * 52 * 2 * 32768 * 32);
  });

  test.each(presetNames)("%s names the source of every number", (name) => {
    const { sources, ...data } = preset(name);
    const paths = numberPaths(data, "");
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => (sources[path] ?? "") === "")).toEqual([]);
    expect(Object.keys(sources).filter((path) => !paths.includes(path))).toEqual([]);
  });

  test("no preset claims the lane reduction extension, which nothing implements", () => {
    expect(presetNames.filter((name) => preset(name).extensions.laneReduce)).toEqual([]);
  });
});

describe("target schema", () => {
  test("reports all problems at once, each with its path and a suggestion", () => {
    const json = damaged("groqchip1", (target) => {
      const mem = target.mem as Record<string, unknown>;
      mem.wordsPerBnak = mem.wordsPerBank;
      delete mem.wordsPerBank;
      target.lanes = -1;
      (target.mxm as Record<string, unknown>).planes = { value: "four", sauce: "x" };
      (target.topology as Record<string, unknown>).kind = "dragonfyl";
    });
    const problems = problemsOf(json);
    expect(problems.map((p) => p.code).sort()).toEqual([
      "LPU3003",
      "LPU3003",
      "LPU3004",
      "LPU3005",
      "LPU3005",
      "LPU3005",
    ]);
    expect(problems).toContainEqual({
      code: "LPU3003",
      message: "mem has no field 'wordsPerBnak'",
      help: "did you mean 'wordsPerBank'?",
    });
    expect(problems.find((p) => p.message.startsWith("topology.kind"))?.help).toBe("did you mean 'dragonfly'?");
    expect(problems.some((p) => p.message.startsWith("mxm.planes: must be a whole number from 2 to 64"))).toBe(true);
  });

  test.each([
    ["lanes are not whole superlanes", "lanes", (t: Record<string, unknown>) => Object.assign(t, { lanes: 324 })],
    [
      "an ALU that does not exist",
      "largeAlus",
      (t: Record<string, unknown>) => Object.assign(t.vxm as object, { alus: 8 }),
    ],
    [
      "columns of unequal size",
      "slicesPerColumn",
      (t: Record<string, unknown>) => Object.assign(t.mem as object, { slicesPerColumn: 5 }),
    ],
    ["no modes", "modes", (t: Record<string, unknown>) => Object.assign(t.mxm as object, { modes: {} })],
    [
      "edges without a list",
      "edges",
      (t: Record<string, unknown>) => Object.assign(t.topology as object, { kind: "edges" }),
    ],
  ])("refuses contradictions: %s", (_, word, damage) => {
    const problems = problemsOf(damaged("groqchip1", damage));
    expect(problems.map((p) => p.code)).toContain("LPU3006");
    expect(problems.some((p) => p.message.includes(word))).toBe(true);
  });

  test("extends a preset, and the source of a replaced number is the target file", () => {
    const parsed = parseTarget(
      { extends: "groqchip1", name: "mine", mem: { wordsPerBank: 8192, latency: { read: 9 } } },
      presetDocuments,
    );
    expect(parsed.ok).toBe(true);
    if (!parsed.ok) return;
    expect(parsed.value.name).toBe("mine");
    expect(parsed.value.mem.latency).toEqual({ read: 9, write: 3, gather: 7, scatter: 5 });
    expect(sramBytes(parsed.value)).toBe(440 * 2 ** 20);
    expect(parsed.value.sources["mem.latency.read"]).toBe("the target file");
    expect(parsed.value.sources["mem.latency.write"]).toBe("assumption");
    expect(problemsOf({ extends: "groqchip" })[0]?.help).toBe("did you mean 'groqchip1'?");
  });

  test("never throws on any JSON", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(parseTarget(JSON.parse(json), presetDocuments).ok).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test("knows every topology kind", () => {
    for (const kind of topologyKinds) {
      const json = damaged("lpu-nvlink", (t) => Object.assign(t.topology as object, { kind, edges: [[0, 1]] }));
      expect(problemsOf(json)).toEqual([]);
    }
  });
});
