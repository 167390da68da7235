// All ideals (downward closed sets of items) of a model's order, smallest first, with the steps between them. A cut of
// the pipeline is an ideal, so a placement is a chain of ideals. Must not know loads or devices.
import { type Model, row } from "./dag-model.ts";

export type Ideals = {
  readonly count: number;
  /** Steps from ideal `i` are `[stepStart[i], stepStart[i + 1])`: add `stepItem`, reach `stepTarget`, a later ideal. */
  readonly stepStart: Int32Array;
  readonly stepItem: Int32Array;
  readonly stepTarget: Int32Array;
  /** A smaller ideal and the item that completes it; -1 for ideal 0, the empty one. */
  readonly parent: Int32Array;
  readonly parentItem: Int32Array;
};

/** Sets of items as bits, found again by their hash. */
type Table = {
  readonly words: number;
  readonly itemKey: Int32Array;
  count: number;
  bits: Int32Array;
  hash: Int32Array;
  parent: Int32Array;
  parentItem: Int32Array;
  slots: Int32Array;
};

/** Items that could be added, summed over all ideals: in a wide graph these are many more than the ideals. */
const MOST_ADDABLE = 20_000_000;

/**
 * All ideals, or with `near` only those in which no item is `near.width` or more places ahead, in the order `near.order`,
 * of the first item that is missing; width 1 leaves the prefixes of that order. Undefined if there are more than `limit`, or too much to be added to them.
 */
export function enumerateIdeals(
  model: Model,
  limit: number,
  near?: { readonly order: readonly number[]; readonly width: number },
): Ideals | undefined {
  const table = emptyTable(model);
  const place = new Int32Array(model.count);
  near?.order.forEach((item, i) => {
    place[item] = i;
  });
  const firstMissing: number[] = [0];
  const stepItem: number[] = [];
  const stepTarget: number[] = [];
  const stepStart: number[] = [0];
  const addable: (readonly number[])[] = [minimalItems(model)];
  let entries = 0;
  for (let ideal = 0; ideal < table.count; ideal++) {
    const items = addable[ideal] ?? [];
    addable[ideal] = [];
    const end = (firstMissing[ideal] ?? 0) + (near?.width ?? Number.POSITIVE_INFINITY);
    for (const item of items) {
      if ((place[item] ?? 0) >= end) continue;
      const known = table.count;
      const target = addIdeal(table, ideal, item);
      if (table.count > limit) return undefined;
      stepItem.push(item);
      stepTarget.push(target);
      if (target !== known) continue;
      addable[target] = addableAfter(model, table, target, items, item);
      entries += items.length;
      if (entries > MOST_ADDABLE) return undefined;
      if (near !== undefined) firstMissing[target] = missingFrom(table, target, near.order, firstMissing[ideal] ?? 0);
    }
    stepStart.push(stepItem.length);
  }
  return {
    count: table.count,
    stepStart: Int32Array.from(stepStart),
    stepItem: Int32Array.from(stepItem),
    stepTarget: Int32Array.from(stepTarget),
    parent: table.parent.slice(0, table.count),
    parentItem: table.parentItem.slice(0, table.count),
  };
}

/** The ideals that are prefixes of one order, without any table. */
export function prefixes(order: readonly number[]): Ideals {
  const count = order.length + 1;
  return {
    count,
    stepStart: Int32Array.from({ length: count + 1 }, (_, i) => Math.min(i, order.length)),
    stepItem: Int32Array.from(order),
    stepTarget: Int32Array.from(order, (_, i) => i + 1),
    parent: Int32Array.from({ length: count }, (_, i) => i - 1),
    parentItem: Int32Array.from({ length: count }, (_, i) => order[i - 1] ?? -1),
  };
}

function minimalItems(model: Model): readonly number[] {
  const items: number[] = [];
  for (let item = 0; item < model.count; item++) if (row(model.predecessors, item).length === 0) items.push(item);
  return items;
}

function addableAfter(
  model: Model,
  table: Table,
  ideal: number,
  before: readonly number[],
  added: number,
): readonly number[] {
  const items = before.filter((item) => item !== added);
  for (const next of row(model.successors, added)) {
    if (row(model.predecessors, next).every((item) => holds(table, ideal, item))) items.push(next);
  }
  return items;
}

function missingFrom(table: Table, ideal: number, order: readonly number[], from: number): number {
  let at = from;
  while (at < order.length && holds(table, ideal, order[at] ?? 0)) at++;
  return at;
}

function holds(table: Table, ideal: number, item: number): boolean {
  return (((table.bits[ideal * table.words + (item >> 5)] ?? 0) >> (item & 31)) & 1) === 1;
}

function emptyTable(model: Model): Table {
  const words = Math.max(1, (model.count + 31) >> 5);
  const itemKey = new Int32Array(model.count);
  let state = 0x9e3779b9 | 0;
  for (let item = 0; item < model.count; item++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    itemKey[item] = state;
  }
  const capacity = 1024;
  const slots = new Int32Array(4 * capacity).fill(-1);
  slots[0] = 0;
  return {
    words,
    itemKey,
    count: 1,
    bits: new Int32Array(capacity * words),
    hash: new Int32Array(capacity),
    parent: new Int32Array(capacity).fill(-1),
    parentItem: new Int32Array(capacity).fill(-1),
    slots,
  };
}

/** The number of `ideal` with `item`, which becomes the next number if it was not known. */
function addIdeal(table: Table, ideal: number, item: number): number {
  if (table.count * 4 >= table.slots.length) grow(table);
  const { words, slots } = table;
  const word = item >> 5;
  const bit = 1 << (item & 31);
  const hash = (table.hash[ideal] ?? 0) ^ (table.itemKey[item] ?? 0);
  const from = ideal * words;
  const { bits } = table;
  let slot = slotOf(hash, slots.length);
  for (let other = slots[slot] ?? -1; other >= 0; other = slots[slot] ?? -1) {
    if (table.hash[other] === hash) {
      let w = 0;
      while (w < words && bits[other * words + w] === ((bits[from + w] ?? 0) | (w === word ? bit : 0))) w++;
      if (w === words) return other;
    }
    slot = (slot + 1) & (slots.length - 1);
  }
  const added = table.count++;
  slots[slot] = added;
  bits.copyWithin(added * words, from, from + words);
  bits[added * words + word] = (bits[added * words + word] ?? 0) | bit;
  table.hash[added] = hash;
  table.parent[added] = ideal;
  table.parentItem[added] = item;
  return added;
}

function slotOf(hash: number, slots: number): number {
  return (hash ^ (hash >>> 15)) & (slots - 1);
}

function grow(table: Table): void {
  const capacity = table.hash.length * 2;
  table.bits = widen(table.bits, capacity * table.words);
  table.hash = widen(table.hash, capacity);
  table.parent = widen(table.parent, capacity);
  table.parentItem = widen(table.parentItem, capacity);
  const slots = new Int32Array(4 * capacity).fill(-1);
  for (let ideal = 0; ideal < table.count; ideal++) {
    let slot = slotOf(table.hash[ideal] ?? 0, slots.length);
    while (slots[slot] !== -1) slot = (slot + 1) & (slots.length - 1);
    slots[slot] = ideal;
  }
  table.slots = slots;
}

function widen(array: Int32Array, length: number): Int32Array {
  const wider = new Int32Array(length);
  wider.set(array);
  return wider;
}
