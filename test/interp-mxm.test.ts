// The matrix unit in the interpreter: tiles of every mode, packed and planar, against the scalar definition; accumulation over K tiles; every
// fault of the LW, IW, ABC, ACC protocol. Runs on 32 lanes (one plane a tile) and on 320 (two planes a tile in the float modes).
import { describe, expect, it } from "vitest";
import { modeBytes } from "../backends/interp/mxm.ts";
import type { ImageSegment } from "../ir/machine/program.ts";
import { encodeSmallFloat } from "../ir/numeric/small-float.ts";
import { accumulate as addProduct, tileProduct } from "../ir/numeric/tile-product.ts";
import { memColumn, mxmColumn } from "../ir/target/geometry.ts";
import type { MxmMode } from "../ir/target/target.ts";
import { accumulate, activate, at, image, load, memRead, type Placed, program, target } from "./interp-builder.ts";
import {
  faultOf,
  lanePlacement,
  latencyOf,
  outputBinding,
  outputWords,
  random,
  runProgram,
  sliceList,
  writesFrom,
} from "./interp-fixtures.ts";

const f32 = new Float32Array(1);
const i32 = new Int32Array(f32.buffer);
const bitsOf = (x: number): number => {
  f32[0] = x;
  return Number.isNaN(x) ? 0x7fc00000 : (i32[0] as number);
};

const someNumber = (): number => (random() - 0.5) * 10 ** Math.floor(random() * 5 - 2);
/** An element of the mode: its pattern, and the value it stands for. */
function element(mode: MxmMode, x = someNumber()): { code: number; value: number } {
  switch (mode) {
    case "int8": {
      const value = Math.floor(random() * 256) - 128;
      return { code: value & 0xff, value };
    }
    case "fp16": {
      const code = encodeSmallFloat("float16", x, false);
      const sign = code >= 0x8000 ? -1 : 1;
      const [exponent, fraction] = [(code >> 10) & 31, code & 1023];
      const finite = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
      return { code, value: exponent === 31 ? (fraction === 0 ? sign * Infinity : Number.NaN) : sign * finite };
    }
    case "fp32":
      return { code: bitsOf(x), value: Math.fround(x) };
  }
}

interface Matrix {
  readonly codes: number[][];
  readonly values: number[][];
}
function matrix(mode: MxmMode, rows: number, columns: number, x?: () => number): Matrix {
  const cells = Array.from({ length: rows }, () => Array.from({ length: columns }, () => element(mode, x?.())));
  return { codes: cells.map((row) => row.map((e) => e.code)), values: cells.map((row) => row.map((e) => e.value)) };
}

/** What the machine must give for activations [m][k] times the transpose of tiles[t][n][k], by the scalar definition. */
function reference(mode: MxmMode, activations: readonly Matrix[], tiles: readonly Matrix[]): number[][] {
  const rows = activations[0]?.values.length ?? 0;
  const columns = tiles[0]?.values.length ?? 0;
  return Array.from({ length: rows }, (_, m) =>
    Array.from({ length: columns }, (_, n) =>
      tiles.reduce((sum, tile, t) => {
        const product = tileProduct(mode, activations[t]?.values[m] ?? [], tile.values[n] ?? []);
        return addProduct(mode, sum, product);
      }, 0),
    ),
  );
}

interface Setup {
  readonly name: string;
  readonly mode: MxmMode;
  readonly plane: number;
  readonly format: "packed" | "planar";
}

const setups: readonly Setup[] = (["ftlpu32", "groqchip1"] as const).flatMap((name) =>
  (["int8", "fp16", "fp32"] as const).flatMap((mode) =>
    ([0, 2] as const).flatMap((plane) =>
      (["packed", "planar"] as const)
        .filter((format) => !(name === "ftlpu32" && mode !== "int8" && format === "packed"))
        .map((format) => ({ name, mode, plane, format })),
    ),
  ),
);

/** Everything a test wants to say about one machine and mode. */
function bench({ name, mode, plane, format }: Setup) {
  const machine = target(name);
  const spec = machine.mxm.modes[mode];
  if (spec === undefined) throw new Error("no such mode");
  const { lanes } = machine;
  const bytes = modeBytes[mode];
  const side = plane < machine.mxm.planes / 2 ? "W" : "E";
  const inward = side;
  const outward = side === "W" ? "E" : "W";
  const column = mxmColumn(machine, side);
  const { lw, iw, abc, acc } = machine.mxm.latency;
  const planar = format === "planar";
  const STREAMS = 8;
  const perCycle = planar ? STREAMS / bytes : STREAMS;
  const loadCycles = Math.ceil(spec.tileN / perCycle);

  /** Weight tiles in slices 0.. of the side, one slice a stream, one word a load cycle. */
  const weightImages = (tile: Matrix, address: number, lane: number): ImageSegment[] => {
    const slices = Array.from({ length: STREAMS }, () => new Uint8Array(loadCycles * lanes));
    tile.codes.forEach((row, n) => {
      const word = Math.floor(n / perCycle);
      row.forEach((code, k) => {
        for (let byte = 0; byte < bytes; byte += 1) {
          const slice = planar ? (n % perCycle) * bytes + byte : n % perCycle;
          const at = planar ? lane + k : byte * spec.tileK + k;
          const plane8 = slices[slice] as Uint8Array;
          plane8[word * lanes + at] = (code >>> (8 * byte)) & 0xff;
        }
      });
    });
    return slices.map((data, slice) => image(side, slice, address, data));
  };
  /** Activation vectors in slices 16.. of the side, one word a vector. */
  const activationImages = (vectors: Matrix, address: number, lane: number): ImageSegment[] =>
    Array.from({ length: bytes }, (_, byte) => {
      const data = new Uint8Array(vectors.codes.length * lanes);
      vectors.codes.forEach((row, m) => {
        row.forEach((code, k) => {
          data[m * lanes + lane + k] = (code >>> (8 * byte)) & 0xff;
        });
      });
      return image(side, 16 + byte, address, data);
    });
  const readTo = (slice: number, stream: number, arrival: number, address: number, count: number, period = 1): Placed =>
    at(memRead(side, slice), "read", {
      cycle: arrival - machine.mem.latency.read - Math.abs(column - memColumn(machine, side, slice)),
      count,
      period,
      address,
      stride: 1,
      stream,
      direction: inward,
    });
  const loadReads = (cycle: number, address: number): Placed[] =>
    Array.from({ length: STREAMS }, (_, i) => readTo(i, i, cycle, address, loadCycles));
  const loadAt = (cycle: number, k: number, lane: number, given: object = {}): Placed =>
    at(load(plane), "lw", {
      mode,
      format,
      stream: 0,
      streams: STREAMS,
      row: 0,
      rows: spec.tileN,
      k,
      lane: planar ? lane : 0,
      cycle,
      count: loadCycles,
      ...given,
    });
  const installAt = (cycle: number): Placed => at(load(plane), "iw", { mode, cycle });
  const activationReads = (cycle: number, address: number, count: number): Placed[] =>
    Array.from({ length: bytes }, (_, byte) => readTo(16 + byte, 16 + byte, cycle, address, count, spec.vectorPeriod));
  const abcAt = (cycle: number, count: number, k: number, lane: number, given: object = {}): Placed =>
    at(activate(plane), "abc", { mode, cycle, count, period: spec.vectorPeriod, stream: 16, lane, k, ...given });
  const accAt = (cycle: number, count: number, given: object = {}): Placed =>
    at(accumulate(plane), "acc", {
      mode,
      cycle,
      count,
      period: spec.vectorPeriod,
      stride: 1,
      init: true,
      emit: true,
      stream: 8,
      ...given,
    });
  const sink = { hemisphere: side, slice: 20, bytes: 4, stream: 8, direction: outward } as const;
  const run = (code: readonly Placed[], images: readonly ImageSegment[], outputs = 0) =>
    runProgram(
      program({
        target: machine,
        chips: [{ code, images }],
        bindings:
          outputs === 0
            ? []
            : [
                outputBinding(
                  machine,
                  outputs,
                  "int32",
                  lanePlacement(machine, outputs, "i32", sliceList(side, 20, 4)),
                ),
              ],
        latencyCycles: latencyOf(machine, code),
      }),
    );
  const writes = (ready: number, count: number): Placed[] =>
    writesFrom(machine, column, ready, sink, { count, period: spec.vectorPeriod });
  const expectWords = (words: Int32Array, wanted: readonly (readonly number[])[]): void => {
    const bad: string[] = [];
    wanted.forEach((row, m) => {
      for (let n = 0; n < lanes; n += 1) {
        const value = row[n] ?? 0;
        const bits = mode === "int8" ? value : bitsOf(value);
        const found = words[m * lanes + n];
        if (found !== bits && bad.length < 5) bad.push(`[${m}][${n}] ${found}, not ${bits} (${value})`);
      }
    });
    expect(bad).toEqual([]);
  };
  return {
    machine,
    spec,
    bytes,
    lw,
    iw,
    abc,
    acc,
    loadCycles,
    perCycle,
    weightImages,
    activationImages,
    loadReads,
    loadAt,
    installAt,
    activationReads,
    abcAt,
    accAt,
    run,
    writes,
    expectWords,
    mode,
    plane,
    planar,
    lanes,
  };
}
type Bench = ReturnType<typeof bench>;

const LOAD = 60;
/** One tile from LOAD on, M vectors, everything as early as it may be. `edit` changes the code. */
function oneTile(
  b: Bench,
  edit: (code: Placed[], times: { install: number; start: number; sum: number }) => Placed[],
  k = b.spec.tileK,
) {
  const m = 3;
  const install = LOAD + b.loadCycles - 1 + b.lw;
  const start = install + b.iw;
  const sum = start + b.abc;
  const tile = matrix(b.mode, b.spec.tileN, k);
  const vectors = matrix(b.mode, m, k);
  const code = edit(
    [
      ...b.loadReads(LOAD, 0),
      b.loadAt(LOAD, k, 0),
      b.installAt(install),
      ...b.activationReads(start, 0, m),
      b.abcAt(start, m, k, 0),
      b.accAt(sum, m),
      ...b.writes(sum + b.acc, m),
    ],
    { install, start, sum },
  );
  const images = [...b.weightImages(tile, 0, 0), ...b.activationImages(vectors, 0, 0)];
  return { result: b.run(code, images, m), wanted: reference(b.mode, [vectors], [tile]) };
}

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
    expect(fault(replace("iw", { cycle: install - 1 }))).toBe(`weights: ${L} ${install - 1}`);
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

/** A tile of k elements, vectors of k + 1. */
function oneTileCode(b: Bench, k: number): Placed[] {
  const install = LOAD + b.loadCycles - 1 + b.lw;
  const start = install + b.iw;
  const sum = start + b.abc;
  return [
    ...b.loadReads(LOAD, 0),
    b.loadAt(LOAD, k, 0),
    b.installAt(install),
    ...b.activationReads(start, 0, 3),
    b.abcAt(start, 3, k + 1, 0),
    b.accAt(sum, 3),
    ...b.writes(sum + b.acc, 3),
  ];
}
