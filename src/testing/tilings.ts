// Allocation problems without slack: buffers that cover a rectangle of time and addresses, each of them exactly once. At every time as
// much is live as there is capacity, so the capacity is the optimum, and a solution has no hole anywhere.
import fc from "fast-check";
import type { AllocBuffer, AllocProblem } from "../../passes/alloc/problem.ts";

/** Cuts one rectangle, at parts of a thousand of its sides: in two, or around one in its middle, which no straight cut can make. */
export type TilingCut = {
  /** Which rectangle, counted over and over. */
  readonly pick: number;
  readonly way: "time" | "address" | "around";
  readonly time: readonly [number, number];
  readonly address: readonly [number, number];
};

type Tile = { readonly lower: number; readonly upper: number; readonly from: number; readonly to: number };

/** A whole number strictly between the two; undefined when there is none. */
function between(low: number, high: number, perMille: number): number | undefined {
  return high - low < 2 ? undefined : low + 1 + Math.floor(((high - low - 1) * (perMille % 1_000)) / 1_000);
}

function cutTile(tile: Tile, { way, time, address }: TilingCut): readonly Tile[] {
  const { lower, upper, from, to } = tile;
  const [x1, x2] = time.map((part) => between(lower, upper, part)).sort((a = 0, b = 0) => a - b);
  const [y1, y2] = address.map((part) => between(from, to, part)).sort((a = 0, b = 0) => a - b);
  if (way === "time" && x1 !== undefined) {
    return [
      { ...tile, upper: x1 },
      { ...tile, lower: x1 },
    ];
  }
  if (way === "address" && y1 !== undefined) {
    return [
      { ...tile, to: y1 },
      { ...tile, from: y1 },
    ];
  }
  if (way !== "around" || x1 === undefined || x2 === undefined || y1 === undefined || y2 === undefined) return [tile];
  if (x1 === x2 || y1 === y2) return [tile];
  return [
    { lower, upper: x2, from, to: y1 },
    { lower: x2, upper, from, to: y2 },
    { lower: x1, upper, from: y2, to },
    { lower, upper: x1, from: y1, to },
    { lower: x1, upper: x2, from: y1, to: y2 },
  ];
}

/** The rectangle of `time` x `capacity` after all cuts. */
export function tilingProblem(cuts: readonly TilingCut[], time: number, capacity: number): AllocProblem {
  const tiles: Tile[] = [{ lower: 0, upper: time, from: 0, to: capacity }];
  for (const cut of cuts) {
    const index = cut.pick % tiles.length;
    const tile = tiles[index];
    if (tile === undefined) continue;
    const [first = tile, ...others] = cutTile(tile, cut);
    tiles[index] = first;
    tiles.push(...others);
  }
  const buffers = tiles.map(
    ({ lower, upper, from, to }, i): AllocBuffer => ({ id: `b${i}`, lower, upper, size: to - from }),
  );
  return { buffers, capacity };
}

export type TilingOptions = { readonly cuts?: number; readonly time?: number; readonly capacity?: number };

/** Problems whose capacity is exactly the lowest peak, with nothing to spare at any time. */
export function tiledAllocProblems(options: TilingOptions = {}): fc.Arbitrary<AllocProblem> {
  const { cuts = 30, time = 100, capacity = 1_000 } = options;
  const part = fc.nat(999);
  const cut = fc.record({
    pick: fc.nat(10_000),
    way: fc.constantFrom<TilingCut["way"]>("time", "address", "around"),
    time: fc.tuple(part, part),
    address: fc.tuple(part, part),
  });
  return fc.array(cut, { maxLength: cuts, size: "max" }).map((list) => tilingProblem(list, time, capacity));
}
