// Everything placed so far, ascending by offset, in blocks, so that inserting stays cheap and whole blocks can be passed over.
// Knows nothing of gaps or alignment.
import type { Sections } from "./sections.ts";

/** Entries of a block; it is cut in two when full. */
const capacity = 256;

type Block = {
  readonly offset: Float64Array;
  readonly end: Float64Array;
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly buffer: Int32Array;
  count: number;
  /** Over all entries: the largest end and last section, the smallest first section. */
  maxEnd: number;
  minFirst: number;
  maxLast: number;
};

export type PlacedList = { readonly sections: Sections; readonly blocks: Block[] };

function emptyBlock(): Block {
  return {
    offset: new Float64Array(capacity),
    end: new Float64Array(capacity),
    first: new Int32Array(capacity),
    last: new Int32Array(capacity),
    buffer: new Int32Array(capacity),
    count: 0,
    maxEnd: 0,
    minFirst: 2 ** 30,
    maxLast: 0,
  };
}

export function emptyList(sections: Sections): PlacedList {
  return { sections, blocks: [emptyBlock()] };
}

function summarise(block: Block): void {
  block.maxEnd = 0;
  block.minFirst = 2 ** 30;
  block.maxLast = 0;
  for (let i = 0; i < block.count; i++) {
    block.maxEnd = Math.max(block.maxEnd, block.end[i] ?? 0);
    block.minFirst = Math.min(block.minFirst, block.first[i] ?? 0);
    block.maxLast = Math.max(block.maxLast, block.last[i] ?? 0);
  }
}

/** Moves the upper half of a full block to a new one. */
function cut(block: Block): Block {
  const upper = emptyBlock();
  const half = capacity / 2;
  upper.offset.set(block.offset.subarray(half));
  upper.end.set(block.end.subarray(half));
  upper.first.set(block.first.subarray(half));
  upper.last.set(block.last.subarray(half));
  upper.buffer.set(block.buffer.subarray(half));
  upper.count = block.count - half;
  block.count = half;
  summarise(block);
  summarise(upper);
  return upper;
}

/** Position of the last block that starts below `offset`, or 0. */
function blockFor(blocks: readonly Block[], offset: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((blocks[middle]?.offset[0] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

export function insertInList(list: PlacedList, b: number, offset: number): void {
  const { blocks, sections } = list;
  let position = blockFor(blocks, offset);
  let block = blocks[position];
  if (block === undefined) return;
  if (block.count === capacity) {
    blocks.splice(position + 1, 0, cut(block));
    position = blockFor(blocks, offset);
    block = blocks[position] ?? block;
  }
  let low = 0;
  let high = block.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((block.offset[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  block.offset.copyWithin(low + 1, low, block.count);
  block.end.copyWithin(low + 1, low, block.count);
  block.first.copyWithin(low + 1, low, block.count);
  block.last.copyWithin(low + 1, low, block.count);
  block.buffer.copyWithin(low + 1, low, block.count);
  const end = offset + (sections.size[b] ?? 0);
  const first = sections.first[b] ?? 0;
  const last = sections.last[b] ?? 0;
  block.offset[low] = offset;
  block.end[low] = end;
  block.first[low] = first;
  block.last[low] = last;
  block.buffer[low] = b;
  block.count++;
  block.maxEnd = Math.max(block.maxEnd, end);
  block.minFirst = Math.min(block.minFirst, first);
  block.maxLast = Math.max(block.maxLast, last);
}

/** A hole for `size` at sections [from, to), and how many entries were looked at. */
export type Hole = { offset: number; work: number };

/**
 * The lowest hole of `size`, by a walk in ascending order of offset. `raise` gives the next offset allowed above an end, or
 * undefined where that buffer is not really there.
 */
export function findHole(
  list: PlacedList,
  from: number,
  to: number,
  size: number,
  raise: (buffer: number, end: number) => number | undefined,
): Hole {
  let hole = 0;
  let work = 0;
  for (const block of list.blocks) {
    if (block.count === 0 || (block.offset[0] ?? 0) >= hole + size) break;
    work++;
    if (block.maxEnd <= hole || block.minFirst >= to || block.maxLast <= from) continue;
    const { offset, end, first, last, count } = block;
    let top = hole + size;
    let i = 0;
    for (; i < count; i++) {
      if ((offset[i] ?? 0) >= top) break;
      if ((first[i] ?? 0) >= to || (last[i] ?? 0) <= from || (end[i] ?? 0) <= hole) continue;
      const raised = raise(block.buffer[i] ?? 0, end[i] ?? 0);
      if (raised === undefined) continue;
      hole = raised;
      top = hole + size;
    }
    work += i;
    if (i < count) break;
  }
  return { offset: hole, work };
}
