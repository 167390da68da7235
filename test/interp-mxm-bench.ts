// One plane of the matrix unit with weights, activations and sums around it: what the tests of LW, IW, ABC and ACC vary.
import { expect } from "vitest";
import { modeBytes } from "../backends/interp/mxm.ts";
import type { ImageSegment } from "../ir/machine/program.ts";
import { encodeSmallFloat } from "../ir/numeric/small-float.ts";
import { accumulate as addProduct, tileProduct } from "../ir/numeric/tile-product.ts";
import { memColumn, mxmColumn } from "../ir/target/geometry.ts";
import type { MxmMode } from "../ir/target/target.ts";
import { accumulate, activate, at, image, load, memRead, type Placed, program, target } from "./interp-builder.ts";
import {
  lanePlacement,
  latencyOf,
  outputBinding,
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

export interface Matrix {
  readonly codes: number[][];
  readonly values: number[][];
}
export function matrix(mode: MxmMode, rows: number, columns: number, x?: () => number): Matrix {
  const cells = Array.from({ length: rows }, () => Array.from({ length: columns }, () => element(mode, x?.())));
  return { codes: cells.map((row) => row.map((e) => e.code)), values: cells.map((row) => row.map((e) => e.value)) };
}

/** What the machine must give for activations [m][k] times the transpose of tiles[t][n][k], by the scalar definition. */
export function reference(mode: MxmMode, activations: readonly Matrix[], tiles: readonly Matrix[]): number[][] {
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

export interface Setup {
  readonly name: string;
  readonly mode: MxmMode;
  readonly plane: number;
  readonly format: "packed" | "planar";
}

export const setups: readonly Setup[] = (["ftlpu32", "groqchip1"] as const).flatMap((name) =>
  (["int8", "fp16", "fp32"] as const).flatMap((mode) =>
    ([0, 2] as const).flatMap((plane) =>
      (["packed", "planar"] as const)
        .filter((format) => !(name === "ftlpu32" && mode !== "int8" && format === "packed"))
        .map((format) => ({ name, mode, plane, format })),
    ),
  ),
);

/** Everything a test wants to say about one machine and mode. */
export function bench({ name, mode, plane, format }: Setup) {
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
export type Bench = ReturnType<typeof bench>;

export const LOAD = 60;
/** One tile from LOAD on, M vectors, everything as early as it may be. `edit` changes the code. */
export function oneTile(
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

/** A tile of k elements, vectors of k + 1. */
export function oneTileCode(b: Bench, k: number): Placed[] {
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
