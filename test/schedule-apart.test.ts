// Reads and writes of one pass that are pinned to the same slices: the scheduler copies or takes a detour, and no queue or bank is used twice.
import { describe, expect, it } from "vitest";
import type { Access, EwPass, Kernel, KernelProgram, Storage, StorageId } from "../passes/lower/kernel.ts";
import { type BlockSchedule, scheduleBlock } from "../passes/schedule/schedule.ts";
import { type Location, pinKey } from "../passes/schedule/state.ts";
import { presetTarget } from "../src/targets/presets.ts";

const vectors = 12;
const target = presetTarget("lpu-nvlink");
if (target === undefined) throw new Error("the default target exists");

const at = (column: number, bank: number, hemisphere: "E" | "W" = "E"): Location => ({
  hemisphere,
  column,
  sub: 0,
  width: 4,
  bank,
});

interface Pinned {
  readonly kind: "in" | "out";
  readonly type?: "f32" | "i32";
  readonly location: Location;
  /** Where the parts behind the first stand; all parts are equally long. */
  readonly more?: readonly Location[];
}

function trySchedule(borders: readonly Pinned[], kernels: readonly Kernel[]): ReturnType<typeof scheduleBlock> {
  const storages = borders.map(
    ({ kind, type, more = [] }, id): Storage => ({
      id: id as StorageId,
      name: `s${id}`,
      type: type ?? "f32",
      vectors,
      partVectors: vectors / (1 + more.length),
      replicated: false,
      boundary: { tensor: id as NonNullable<Storage["boundary"]>["tensor"], kind },
    }),
  );
  const pinned = new Map(
    borders.flatMap(({ location, more = [] }, id) =>
      [location, ...more].map((place, part) => [pinKey(id as StorageId, part), place] as const),
    ),
  );
  const program: KernelProgram = { storages, kernels };
  if (target === undefined) throw new Error("the default target exists");
  return scheduleBlock(target, program, pinned, { weights: "apart", effort: 0 });
}

function schedule(borders: readonly Pinned[], kernels: readonly Kernel[]): BlockSchedule {
  const found = trySchedule(borders, kernels);
  if (!found.ok) throw new Error(found.diagnostics.map(({ message }) => message).join("\n"));
  return found.value;
}

const all = (id: number): Access => ({
  storage: id as StorageId,
  vectors: Int32Array.from({ length: vectors }, (_, i) => i),
});

const vxm = (pass: EwPass): Kernel => ({ kind: "vxm", name: "test", origins: [], passes: [pass] });

/** Queues and banks that two memory bursts use in one cycle. */
function conflicts({ state }: BlockSchedule): string[] {
  const used = new Map<string, string>();
  const found: string[] = [];
  for (const { unit, instruction, buffer } of state.bursts) {
    if (unit.kind !== "memRead" && unit.kind !== "memWrite") continue;
    const { bank } = state.buffers[buffer] ?? { bank: -1 };
    for (let i = 0; i < instruction.count; i++) {
      const cycle = instruction.cycle + i * instruction.period;
      for (const key of [`${unit.kind} ${unit.slice}`, `bank ${bank} of ${unit.slice}`]) {
        const place = `${unit.hemisphere} ${key} at ${cycle}`;
        if (used.has(place)) found.push(place);
        used.set(place, key);
      }
    }
  }
  return found;
}

/** Vectors written to a border storage. */
function written({ state }: BlockSchedule, id: number): number {
  const slices = new Set<string>();
  let count = 0;
  for (const { unit, instruction, buffer } of state.bursts) {
    const content = state.buffers[buffer]?.content;
    if (unit.kind !== "memWrite" || content?.kind !== "part" || content.storage !== id) continue;
    slices.add(`${unit.hemisphere}${unit.slice}`);
    count += instruction.count;
  }
  return count / Math.max(1, slices.size);
}

const source = (index: number): EwPass["ops"][number]["args"][number] => ({ kind: "source", source: index });

describe("a pass whose reads and writes are pinned to the same slices", () => {
  it("writes one of two results elsewhere where both go to one slice", () => {
    const made = schedule(
      [
        { kind: "in", location: at(0, 0) },
        { kind: "out", location: at(2, 0) },
        { kind: "out", location: at(2, 1) },
      ],
      [
        vxm({
          count: vectors,
          sources: [all(0)],
          ops: [
            { op: "add", args: [source(0), source(0)], reset: 0 },
            { op: "mul", args: [source(0), source(0)], reset: 0 },
          ],
          sinks: [
            { op: 0, access: all(1), every: 1 },
            { op: 1, access: all(2), every: 1 },
          ],
        }),
      ],
    );
    expect(conflicts(made)).toEqual([]);
    expect([written(made, 1), written(made, 2)]).toEqual([vectors, vectors]);
  });

  it("copies what is read from one slice at the same time, to where nothing else of the pass stands", () => {
    const inputs = [at(0, 0), at(0, 1), at(1, 0), at(1, 1), at(2, 0), at(2, 1)];
    const made = schedule(
      [
        ...inputs.map((location): Pinned => ({ kind: "in", location })),
        { kind: "out", location: at(3, 0) },
        { kind: "out", location: at(3, 1) },
      ],
      [
        vxm({
          count: vectors,
          sources: inputs.map((_, i) => all(i)),
          ops: [
            { op: "add", args: [source(0), source(1)], reset: 0 },
            { op: "add", args: [source(2), source(3)], reset: 0 },
            { op: "add", args: [source(4), source(5)], reset: 0 },
            {
              op: "add",
              args: [
                { kind: "op", op: 0 },
                { kind: "op", op: 1 },
              ],
              reset: 0,
            },
          ],
          sinks: [
            { op: 2, access: all(6), every: 1 },
            { op: 3, access: all(7), every: 1 },
          ],
        }),
      ],
    );
    expect(conflicts(made)).toEqual([]);
    expect([written(made, 6), written(made, 7)]).toEqual([vectors, vectors]);
  });

  it("gathers from a table that shares slices with its indices and its result", () => {
    const made = schedule(
      [
        { kind: "in", location: at(1, 0) },
        { kind: "in", type: "i32", location: at(1, 1) },
        { kind: "out", location: at(1, 0) },
      ],
      [
        {
          kind: "gather",
          name: "gather",
          origins: [],
          jobs: [{ table: 0 as StorageId, base: 0, scale: 1, limit: vectors, index: all(1), out: all(2) }],
        },
      ],
    );
    expect(conflicts(made)).toEqual([]);
    expect(written(made, 2)).toBe(vectors);
  });

  it("copies the rows of a product from parts on both sides", () => {
    const made = schedule(
      [
        { kind: "in", location: at(1, 0), more: [at(1, 0, "W"), at(2, 0)] },
        { kind: "in", location: at(3, 0) },
        { kind: "out", location: at(1, 0) },
      ],
      [
        {
          kind: "matmul",
          name: "matmul",
          origins: [],
          mode: "fp32",
          groups: [
            {
              steps: [
                {
                  stationary: [{ kind: "rows", row: 0, window: { access: all(1), lane: 0, k: 8 } }],
                  moving: { access: all(0), lane: 0, k: 8 },
                },
              ],
              count: vectors,
              epilogue: {
                count: vectors,
                sources: ["sums"],
                ops: [{ op: "mov", args: [source(0)], reset: 0 }],
                sinks: [{ op: 0, access: all(2), every: 1 }],
              },
            },
          ],
        },
      ],
    );
    expect(conflicts(made)).toEqual([]);
    expect(written(made, 2)).toBe(vectors);
  });

  it("joins permuted vectors that stand in one slice", () => {
    const reverse = Int16Array.from({ length: 320 }, (_, lane) => 319 - lane);
    const made = schedule(
      [
        { kind: "in", location: at(1, 0) },
        { kind: "in", location: at(1, 1) },
        { kind: "in", location: at(1, 0) },
        { kind: "out", location: at(1, 1) },
      ],
      [
        {
          kind: "permute",
          name: "assemble",
          origins: [],
          jobs: [{ pieces: [0, 1, 2].map((id) => ({ access: all(id), map: reverse })), out: all(3) }],
        },
      ],
    );
    expect(conflicts(made)).toEqual([]);
    expect(written(made, 3)).toBe(vectors);
  });
});

it("says which kernel has no place where the units do not suffice", () => {
  const op = { op: "max", args: [source(0), source(0)], reset: 0 } as const;
  const wanted = (ops: number): Kernel =>
    vxm({
      count: vectors,
      sources: [all(0)],
      ops: Array.from({ length: ops }, () => op),
      sinks: [{ op: ops - 1, access: all(1), every: 1 }],
    });
  const borders: readonly Pinned[] = [
    { kind: "in", location: at(0, 0) },
    { kind: "out", location: at(1, 0) },
  ];
  expect(trySchedule(borders, [wanted(8)]).ok).toBe(true);
  const stuck = trySchedule(borders, [wanted(1), wanted(9)]);
  expect(stuck.ok ? [] : stuck.diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([
    "LPU3007 target lpu-nvlink: no schedule is found for the kernel 'test': it wants more streams, ALUs or columns of memory at a time than a chip has, or in other places",
  ]);
});
