// The matrix unit in the interpreter: tiles of every mode, packed and planar, against the scalar definition; accumulation over K tiles; every
// fault of the LW, IW, ABC, ACC protocol. Runs on 32 lanes (one plane a tile) and on 320 (two planes a tile in the float modes).
import { describe, expect, it } from "vitest";
import type { MxmMode } from "../ir/target/target.ts";
import { at, load, type Placed } from "./interp-builder.ts";
import { faultOf, outputWords, random } from "./interp-fixtures.ts";

import { bench, LOAD, type Matrix, matrix, oneTile, oneTileCode, reference, setups } from "./interp-mxm-bench.ts";

describe.each(setups)("$name $mode plane $plane $format", (setup) => {
  const b = bench(setup);

  it("multiplies by a tile, to the bit", () => {
    const { result, wanted } = oneTile(b, (code) => code);
    b.expectWords(outputWords(result), wanted);
    if (result.ok) expect(result.profile.macs).toBe(3 * b.spec.tileK * b.spec.tileN);
  });

  it("adds up K tiles in order, the next one loaded while the first is used", () => {
    const m = 4;
    const lane = b.planar ? 5 : 0;
    const ks = [b.spec.tileK - 7, 3];
    const tiles = ks.map((k) => matrix(b.mode, b.spec.tileN, k));
    const vectors = ks.map((k) => matrix(b.mode, m, k));
    const busy = m * b.spec.vectorPeriod;
    const install = LOAD + b.loadCycles - 1 + b.lw;
    const start = install + b.iw;
    const again = Math.max(start + busy, install + 1 + b.loadCycles - 1 + b.lw);
    const start2 = again + b.iw;
    const code = [
      ...b.loadReads(LOAD, 0),
      b.loadAt(LOAD, ks[0] as number, lane),
      b.installAt(install),
      ...b.loadReads(install + 1, b.loadCycles),
      b.loadAt(install + 1, ks[1] as number, lane),
      b.installAt(again),
      ...b.activationReads(start, 0, m),
      b.abcAt(start, m, ks[0] as number, lane),
      b.accAt(start + b.abc, m, { emit: false, entry: 9, stride: -2 }),
      ...b.activationReads(start2, m, m),
      b.abcAt(start2, m, ks[1] as number, lane),
      b.accAt(start2 + b.abc, m, { init: false, entry: 9, stride: -2 }),
      ...b.writes(start2 + b.abc + b.acc, m),
    ];
    const images = tiles.flatMap((tile, t) => [
      ...b.weightImages(tile, t * b.loadCycles, lane),
      ...b.activationImages(vectors[t] as Matrix, t * m, lane),
    ]);
    b.expectWords(outputWords(b.run(code, images, m)), reference(b.mode, vectors, tiles));
  });

  it("takes rows that were not loaded as zero after `clear`, and faults without it", () => {
    const rows = b.perCycle + 1;
    const given = (clear: boolean) => (code: Placed[]) =>
      code.map((placed) =>
        placed.instruction.op === "lw" ? b.loadAt(LOAD, b.spec.tileK, 0, { rows, count: 2, clear }) : placed,
      );
    const { result, wanted } = oneTile(b, given(true));
    b.expectWords(
      outputWords(result),
      wanted.map((row) => row.slice(0, rows)),
    );
    expect(faultOf(oneTile(b, given(false)).result)).toMatch(/^weights: MXM.\.L/);
  });
});

describe.each(setups.filter(({ format }) => format === "planar"))("$name $mode plane $plane", (setup) => {
  const b = bench(setup);
  const L = `MXM${b.plane}.L`;
  const A = `MXM${b.plane}.A`;
  const C = `MXM${b.plane}.C`;
  /** The fault after `edit` replaced instructions. */
  const fault = (edit: Parameters<typeof oneTile>[1]): string => faultOf(oneTile(b, edit).result);
  const replace =
    (op: string, change: object) =>
    (code: Placed[]): Placed[] =>
      code.map((placed) =>
        placed.instruction.op === op
          ? ({ ...placed, instruction: { ...placed.instruction, ...change } } as Placed)
          : placed,
      );
  const without =
    (op: string) =>
    (code: Placed[]): Placed[] =>
      code.filter((placed) => placed.instruction.op !== op);
  const install = LOAD + b.loadCycles - 1 + b.lw;
  const start = install + b.iw;
  const sum = start + b.abc;
  const late = install + 1 + 2 * b.loadCycles;

  it("keeps the latencies between LW, IW, ABC and ACC", () => {
    expect(fault((code) => code)).toBe("ok");
    // With a latency of one cycle the early IW meets the last LW in their queue.
    const early = b.lw === 1 ? "queue" : "weights";
    expect(fault(replace("iw", { cycle: install - 1 }))).toBe(`${early}: ${L} ${install - 1}`);
    expect(fault(replace("iw", { cycle: install + 1 }))).toBe(`weights: ${A} ${start}`);
    expect(fault(replace("acc", { cycle: sum - 1 }))).toBe(`accumulator: ${C} ${sum - 1}`);
    expect(fault(replace("acc", { cycle: sum + 1 }))).toBe(`accumulator: ${C} ${sum + 1}`);
    expect(fault(replace("lw", { cycle: LOAD - 1 }))).toBe(`operand: ${L} ${LOAD - 1}`);
    expect(fault(replace("abc", { stream: 20 }))).toBe(`operand: ${A} ${start}`);
  });

  it("faults on a missing step", () => {
    expect(fault(without("lw"))).toBe(`weights: ${L} ${install}`);
    expect(fault(without("iw"))).toBe(`weights: ${A} ${start}`);
    expect(fault(without("abc"))).toBe(`accumulator: ${C} ${sum}`);
    expect(fault((code) => code.filter(({ instruction: { op } }) => op !== "acc" && op !== "write"))).toMatch(
      `accumulator: ${C}`,
    );
    expect(
      fault((code) => [...code, b.loadAt(install + 1, 1, 0, { count: 1, rows: 1 }), ...b.loadReads(install + 1, 0)]),
    ).toMatch(`weights: ${L}`);
  });

  it("does not replace or lose tiles", () => {
    const end = start + 3 * b.spec.vectorPeriod;
    const reload =
      (cycle: number) =>
      (code: Placed[]): Placed[] => [
        ...code,
        ...b.loadReads(install + 1, 0),
        b.loadAt(install + 1, 1, 0),
        b.installAt(cycle),
      ];
    const ready = install + b.loadCycles + b.lw;
    // Both instructions issue in that cycle; either may be the one that is told.
    if (ready < end) expect(fault(reload(ready))).toMatch(new RegExp(`^weights: MXM${b.plane}.[LA] ${ready}$`));
    expect(fault(reload(Math.max(ready, end)))).toBe("ok");
    expect(
      fault((code) => [
        ...code,
        ...b.loadReads(install + 1, 0),
        b.loadAt(install + 1, 1, 0),
        ...b.loadReads(late, 0),
        b.loadAt(late, 1, 0),
      ]),
    ).toBe(`weights: ${L} ${late}`);
    expect(
      fault((code) => [
        ...code,
        ...b.loadReads(install + 1, 0),
        b.loadAt(install + 1, 1, 0),
        ...b.loadReads(late, 0),
        b.loadAt(late, 1, 0, { clear: true }),
      ]),
    ).toBe(`weights: ${L} ${late}`);
  });

  it("faults on fields outside the unit", () => {
    expect(fault(replace("lw", { k: b.spec.tileK + 1 }))).toBe(`form: ${L} ${LOAD}`);
    expect(fault(replace("lw", { row: 1 }))).toBe(`form: ${L} ${LOAD}`);
    expect(fault(replace("lw", { count: b.loadCycles + 1 }))).toMatch(/^(form|operand)/);
    expect(fault(replace("lw", { streams: 64 }))).toBe(`form: ${L} ${LOAD}`);
    expect(fault(replace("lw", { lane: b.lanes }))).toBe(`form: ${L} ${LOAD}`);
    expect(fault(replace("abc", { k: b.spec.tileK + 1 }))).toBe(`form: ${A} ${start}`);
    expect(fault(replace("abc", { lane: b.lanes - b.spec.tileK + 1 }))).toBe(`form: ${A} ${start}`);
    expect(fault(replace("acc", { entry: b.machine.mxm.accumulators }))).toBe(`range: ${C} ${sum}`);
    expect(fault(replace("acc", { entry: 1, stride: -1 }))).toBe(`range: ${C} ${sum + 2 * b.spec.vectorPeriod}`);
    expect(fault(replace("acc", { stream: 10 }))).toBe(`form: ${C} ${sum}`);
    expect(fault(replace("acc", { init: false }))).toBe(`poison: ${C} ${sum}`);
    if (b.spec.vectorPeriod > 1) {
      expect(fault((code) => replace("abc", { period: 1 })(code).concat())).toMatch(`weights: ${A} ${start + 1}`);
    }
    const odd = (placed: Placed): Placed => {
      const { unit } = placed;
      return unit.kind === "mxmLoad" ? { ...placed, unit: { ...unit, plane: unit.plane + 1 } } : placed;
    };
    const wanted = b.spec.planesPerTile === 2 ? `form: MXM${b.plane + 1}.L ${LOAD}` : `weights: ${A} ${start}`;
    expect(fault((code) => code.map(odd))).toBe(wanted);
    expect(faultOf(b.run([at(load(9), "iw", { mode: b.mode, cycle: 3 })], []))).toBe("form: MXM9.L 3");
  });

  it("keeps the planes of a pair together", () => {
    const single = Object.entries(b.machine.mxm.modes).find(([, spec]) => spec?.planesPerTile === 1)?.[0] as
      | MxmMode
      | undefined;
    if (b.spec.planesPerTile === 1 || single === undefined) return;
    const other = (cycle: number): Placed =>
      at(load(b.plane + 1), "lw", { mode: single, format: "packed", stream: 0, streams: 8, rows: 8, k: 1, cycle });
    // In the same cycle, and between LW and IW.
    expect(fault((code) => [...code, other(LOAD)])).toBe(`queue: MXM${b.plane + 1}.L ${LOAD}`);
    expect(
      fault((code) => [
        b.loadAt(LOAD, b.spec.tileK, 0, { count: b.loadCycles - 1, rows: b.spec.tileN - b.perCycle, clear: true }),
        ...code.filter(({ instruction: ins }) => ins.op !== "lw"),
        other(LOAD + b.loadCycles - 1),
      ]),
    ).toBe(`weights: MXM${b.plane + 1}.L ${LOAD + b.loadCycles - 1}`);
  });
});

describe.each(setups.filter(({ mode, format }) => mode !== "int8" && format === "planar"))(
  "$name $mode plane $plane",
  (setup) => {
    const b = bench(setup);
    it("lets infinity and NaN through as IEEE does, also where weights are zero", () => {
      const k = Math.min(6, b.spec.tileK - 1);
      const special = [Infinity, -Infinity, Number.NaN, 0, -0, 1, 65504, 1e-7];
      const pick = (): number => special[Math.floor(random() * special.length)] ?? 0;
      const tile = matrix(b.mode, b.spec.tileN, k, pick);
      // One element more than the tile has: its weight is zero.
      const vectors = matrix(b.mode, 3, k + 1, pick);
      const code = oneTileCode(b, k);
      const padded: Matrix = { codes: tile.codes, values: tile.values.map((row) => [...row, 0]) };
      const words = outputWords(b.run(code, [...b.weightImages(tile, 0, 0), ...b.activationImages(vectors, 0, 0)], 3));
      b.expectWords(words, reference(b.mode, [vectors], [padded]));
    });
  },
);
