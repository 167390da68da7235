// Steps of several accumulations in turn on one engine: what is ready goes between the steps of what waits, in entries of its own.
import { describe, expect, it } from "vitest";
import type { Access, EwPass, Kernel, MatmulGroup, Storage, StorageId } from "../passes/lower/kernel.ts";
import { columnClasses } from "../passes/schedule/locations.ts";
import { scheduleBlock } from "../passes/schedule/schedule.ts";
import type { WeightColumns } from "../passes/schedule/state.ts";
import { presetTarget } from "../src/targets/presets.ts";

const preset = presetTarget("groqchip1");
if (preset === undefined) throw new Error("the target exists");
const target = preset;
let count = 64;

const storages: Storage[] = [];
const storage = (type: "f16" | "f32", kind: "in" | "out" | "inner"): number => {
  const vectors = count;
  const id = storages.length;
  storages.push({
    id: id as StorageId,
    name: `s${id}`,
    type,
    vectors,
    partVectors: vectors,
    replicated: type === "f16" && kind === "inner",
    ...(kind === "inner" ? {} : { boundary: { tensor: id as NonNullable<Storage["boundary"]>["tensor"], kind } }),
  });
  return id;
};

const all = (id: number): Access => ({
  storage: id as StorageId,
  vectors: Int32Array.from({ length: (storages[id] as Storage).vectors }, (_, i) => i),
});

const mov = (source: EwPass["sources"][number], to: number): EwPass => ({
  count,
  sources: [source],
  ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
  sinks: [{ op: 0, access: all(to), every: 1 }],
});

const group = (moving: readonly number[], to: number): MatmulGroup => ({
  steps: moving.map((id, step) => ({
    stationary: [
      {
        kind: "const",
        row: 0,
        tile: { tensor: 1 as never, byRows: false, batch: to, k0: 160 * step, k: 160, n0: 0, rows: 320 },
      },
    ],
    moving: { access: all(id), lane: 0, k: 160 },
  })),
  count,
  epilogue: mov("sums", to),
});

const matmul = (groups: readonly MatmulGroup[]): Kernel => ({
  kind: "matmul",
  name: "product",
  origins: [],
  mode: "fp16",
  groups,
});

/** Kernels in which three accumulations (one an engine, and one to spare) wait for a chain of passes, and others do not. */
function waiting(rows = 64): Kernel[] {
  storages.length = 0;
  count = rows;
  const ready = storage("f16", "in");
  const start = storage("f32", "in");
  const links = Array.from({ length: 8 }, () => storage("f32", "inner"));
  const late = storage("f16", "inner");
  const outs = Array.from({ length: 12 }, () => storage("f32", "out"));
  const chain = [start, ...links].map((from, i) => mov(all(from), [...links, late][i] as number));
  return [
    { kind: "vxm", name: "chain", origins: [], passes: chain },
    matmul(outs.slice(0, 4).map((to) => group([ready, late], to))),
    matmul(outs.slice(4).map((to) => group([ready, ready], to))),
  ];
}

interface Use {
  readonly cycle: number;
  readonly entry: number;
  readonly init: boolean;
  readonly emit: boolean;
  readonly kernel: number;
}

function usesOf(kernels: readonly Kernel[], accumulators: number): Use[][] {
  const machine = { ...target, mxm: { ...target.mxm, accumulators } };
  const made = scheduleBlock(machine, { storages: [...storages], kernels }, new Map(), { weights: "apart", effort: 0 });
  if (!made.ok) throw new Error("a schedule is found");
  const planes: Use[][] = [];
  for (const { unit, instruction } of made.value.state.bursts) {
    if (unit.kind !== "mxmAccumulate" || instruction.op !== "acc") continue;
    const { cycle, entry, init, emit, note } = instruction;
    const uses = planes[unit.plane] ?? [];
    uses.push({ cycle, entry, init, emit, kernel: note });
    planes[unit.plane] = uses;
  }
  return planes.filter((uses) => uses !== undefined).map((uses) => uses.sort((a, b) => a.cycle - b.cycle));
}

/** Checks that no accumulation begins in entries of another that is not finished; gives the largest number open at a time. */
function mostOpen(uses: readonly Use[]): number {
  const open = new Map<number, number>();
  let most = 0;
  for (const use of uses) {
    for (const [entry, kernel] of open) {
      if (entry === use.entry && !use.init) expect(kernel).toBe(use.kernel);
      else expect(Math.abs(entry - use.entry)).toBeGreaterThanOrEqual(count);
    }
    expect(open.has(use.entry)).toBe(!use.init);
    open.set(use.entry, use.kernel);
    most = Math.max(most, open.size);
    if (use.emit) open.delete(use.entry);
  }
  expect(open.size).toBe(0);
  return most;
}

describe("accumulations placed a step at a time", () => {
  it("works on others while some wait for their next step", () => {
    const planes = usesOf(waiting(), 1024);
    expect(planes.length).toBe(2);
    for (const uses of planes) {
      expect(mostOpen(uses)).toBeGreaterThanOrEqual(3);
      const between = uses.slice(
        uses.findIndex((use) => use.kernel === 1),
        uses.findLastIndex((use) => use.kernel === 1),
      );
      expect(between.some((use) => use.kernel === 2)).toBe(true);
    }
    expect(planes.flat().filter((use) => use.emit)).toHaveLength(12);
  });

  it("finishes each before the next where there are no entries to spare", () => {
    const planes = usesOf(waiting(), 320);
    for (const uses of planes) expect(mostOpen(uses)).toBe(1);
    expect(planes.flat().filter((use) => use.emit)).toHaveLength(12);
  });

  it("keeps as many waiting as have entries, and still ends", () => {
    const planes = usesOf(waiting(), 320 + count);
    for (const uses of planes) expect(mostOpen(uses)).toBeLessThanOrEqual(2);
    expect(planes.flat().filter((use) => use.emit)).toHaveLength(12);
  });
});

describe("columns of weights", () => {
  const usedBy = (weights: WeightColumns, rows: number): { tiles: number[]; data: number[]; narrow: number } => {
    const kernels = waiting(rows);
    const made = scheduleBlock(target, { storages: [...storages], kernels }, new Map(), { weights, effort: 0 });
    if (!made.ok) throw new Error("a schedule is found");
    const columnsOf = (kind: "tile" | "part"): number[] => {
      const found = made.value.state.buffers.filter((buffer) => buffer.content.kind === kind);
      const columns = found.flatMap((buffer) =>
        buffer.slices.map((slice) => Math.floor(slice / target.mem.slicesPerColumn)),
      );
      return [...new Set(columns)].sort((a, b) => a - b);
    };
    return { tiles: columnsOf("tile"), data: columnsOf("part"), narrow: columnClasses(target, weights).narrow };
  };

  it("are few and outside where loads are hidden behind bursts", () => {
    const few = usedBy("outermost", 64);
    const more = usedBy("apart", 64);
    for (const { tiles, data, narrow } of [few, more]) {
      expect(Math.min(...tiles)).toBeGreaterThanOrEqual(narrow);
      expect(Math.max(...data)).toBeLessThan(narrow);
    }
    expect(few.narrow).toBeGreaterThan(more.narrow);
    expect(few.tiles.length).toBeLessThan(more.tiles.length);
  });

  it("are as many as loads can take streams from where nothing hides them", () => {
    expect(usedBy("outermost", 1)).toEqual({
      ...usedBy("apart", 1),
      narrow: columnClasses(target, "outermost").narrow,
    });
  });
});
