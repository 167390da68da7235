// Result vectors of a product: which rows of the stationary operand stand in their lanes, in whatever order a view has put them.
import { dimOffsets, type Layout } from "./layout.ts";

/** The lanes of one result vector, from `lane` on: which rows of the stationary operand they are, in the order of the lanes. */
export interface LaneBlock {
  readonly lane: number;
  readonly rows: Int32Array;
}

/** Blocks by their lowest row; undefined where lanes between them hold nothing. A view may have put the rows in any order. */
export function laneBlocks(layout: Layout, d: number): ReadonlyMap<number, LaneBlock> | undefined {
  const { vectors, lanes } = dimOffsets(layout.dims[d] ?? [], layout.shape[d] as number);
  const byVector = new Map<number, number[]>();
  vectors.forEach((vector, index) => {
    const known = byVector.get(vector);
    if (known === undefined) byVector.set(vector, [index]);
    else known.push(index);
  });
  const blocks = new Map<number, LaneBlock>();
  for (const rows of byVector.values()) {
    const [lowest = 0] = rows;
    rows.sort((a, b) => (lanes[a] as number) - (lanes[b] as number));
    const first = lanes[rows[0] as number] as number;
    if (rows.some((row, i) => lanes[row] !== first + i)) return undefined;
    blocks.set(lowest, { lane: layout.lane + first, rows: Int32Array.from(rows) });
  }
  return blocks;
}
