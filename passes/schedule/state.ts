// The state of scheduling one block on one chip: reservations, where parts of storages stand, when each vector is readable, and the bursts
// issued so far. Addresses come later: memory bursts name a part and a vector in it.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { storedTypes } from "../../ir/dtype.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import type { Unit } from "../../ir/machine/program.ts";
import { type Hemisphere, memColumnsPerHemisphere } from "../../ir/target/geometry.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";
import type { ConstTile, Stationary, Storage, StorageId } from "../lower/kernel.ts";
import { newOccupancy, type Occupancy, occupy, partKey } from "./occupancy.ts";
import { newReservations, type Reservations } from "./place.ts";
import { mapResources, type ResourceMap } from "./resources.ts";

/** A group of neighbouring slices of one column and one bank. Slices are column * slicesPerColumn + sub .. + width. */
export interface Location {
  readonly hemisphere: Hemisphere;
  readonly column: number;
  readonly sub: number;
  readonly width: number;
  readonly bank: number;
}

/** A contiguous piece of SRAM: a part of a storage (one copy of it) or a weight tile. */
export interface Buffer {
  readonly id: number;
  readonly name: string;
  /** Slices in order; the vector v of byte plane b is in slice slices[(v mod stripes) * planes + b]. */
  readonly hemisphere: Hemisphere;
  readonly slices: readonly number[];
  readonly bank: number;
  readonly words: number;
  readonly content: BufferContent;
  /** First cycle at which a word is written, and the last at which one is read; constants and border tensors live outside. */
  firstWrite: number;
  lastRead: number;
}

export type BufferContent =
  | { readonly kind: "part"; readonly storage: StorageId; readonly part: number }
  | { readonly kind: "tile"; readonly tile: TileContent };

/**
 * Rows of a weight tile, striped over the slices of its buffer. `bytes` 1: a row is one vector (packed); else a row is `bytes` neighbouring
 * slices, one a byte plane (planar), where a packed row would be longer than a vector.
 */
export type TileContent = {
  readonly mode: MxmMode;
  readonly stripes: number;
  readonly bytes: number;
} & (
  | { readonly kind: "const"; readonly tile: ConstTile }
  | { readonly kind: "fill"; readonly bits: number; readonly k: number }
);

/** Rows of a tile that one cycle of a load brings. */
export const rowsPerCycle = (content: Pick<TileContent, "stripes" | "bytes">): number =>
  Math.floor(content.stripes / content.bytes);

/** A burst with memory addresses still relative to a buffer. */
export interface Burst {
  readonly unit: Unit;
  readonly instruction: Instruction;
  /** Memory bursts: the buffer, whose address is added to the instruction's. */
  readonly buffer: number;
}

export interface PartState {
  /** One a copy: index 0, or W and E for replicated storages. */
  readonly buffers: (Buffer | undefined)[];
}

export interface EngineState {
  /** Cycle after the last IW issue; the next LW may issue then. */
  loadFree: number;
  lastActivate: number;
  /** What the tile in use holds. */
  installed: string;
  /** Cycles of steps still to come of the accumulations begun here. */
  owed: number;
  /** Accumulator entries of the accumulations begun here, as half-open ranges. */
  readonly held: { readonly from: number; readonly to: number }[];
}

/** Knobs of the placement heuristics. The scheduler tries several settings and keeps the shortest schedule. */
export interface Tuning {
  /** Tasks in the order of the kernels, or always the one that can start first. */
  readonly order: "kernels" | "list";
  /** Cycles by which a task that ranks first may start later than another one. */
  readonly slack: number;
  /** Cycles by which the steps of accumulations are placed before what else could start then: engines find their streams and ports first. */
  readonly ahead: number;
  /** A buffer of few words is read as often as a large one: each counts as at least this many when columns are compared. */
  readonly leastLoad: number;
  /** Locations tried for a result. */
  readonly candidates: number;
  /** How much the pseudo-random order of equally loaded columns counts, in words, and which order it is. */
  readonly noise: number;
  readonly seed: number;
  /** How much it counts, in words, that neighbouring parts of a storage stand in different banks: one is read while the other is written. */
  readonly parity: number;
}

export const plainTuning: Tuning = {
  order: "list",
  slack: 32,
  ahead: 100,
  leastLoad: 128,
  candidates: 8,
  noise: 0,
  seed: 0,
  parity: 32,
};

/**
 * Where weight tiles may stand, the faster way first: in half as many of the outer columns as one load can take streams from, in all of these, so
 * that data bursts find gaps, or in all columns.
 */
export const weightColumns = ["outermost", "apart", "spread"] as const;
export type WeightColumns = (typeof weightColumns)[number];

export interface FullMemory {
  readonly name: string;
  /** Words that the emptiest place for it would have to hold, and those that results may take there. */
  readonly words: number;
  readonly limit: number;
}

export interface ScheduleState {
  readonly target: Target;
  readonly weights: WeightColumns;
  readonly tuning: Tuning;
  readonly resources: ResourceMap;
  readonly reservations: Reservations;
  readonly storages: Storage[];
  readonly parts: PartState[][];
  /** Cycle from which each vector of a storage may be read. */
  readonly ready: Int32Array[];
  /** Preferred hemisphere of each storage once one part stands. */
  readonly side: (Hemisphere | undefined)[];
  readonly buffers: Buffer[];
  readonly bursts: Burst[];
  readonly engines: EngineState[];
  /** Accumulator entries, the first ones, that no accumulation keeps from one task to the next. */
  readonly placedAsOne: number;
  /** Storages read together in one pass; they want different columns. */
  readonly together: ReadonlyMap<StorageId, ReadonlySet<StorageId>>;
  /** Words used of each column and bank, to spread buffers. */
  readonly load: number[];
  /** Words of each column and bank that hold weights and constants: every layer on a chip adds as much again. */
  readonly persistent: number[];
  /** The same of each slice and bank. */
  readonly persistentOfSlice: number[];
  readonly occupancy: Occupancy;
  /** Buffers of weight tiles by content, so that a tile used twice stands once. */
  readonly tiles: Map<string, Buffer>;
  /** What stationary operands hold, as text, once it has been asked for. */
  readonly stationaryKeys: Map<Stationary, string>;
  readonly laneMaps: Int16Array[];
  readonly laneMapIndex: Map<string, number>;
  /** Fixed locations of border storages (by storage id and part). */
  readonly pinned: ReadonlyMap<string, Location>;
  note: number;
  /** Something has no place: columns were chosen so that some pass reads and writes one in the same cycles, or the units do not suffice. */
  stuck: boolean;
  /** What found no place with room to spare: the addresses may not suffice. */
  crowded: FullMemory | undefined;
  /** What no bank had room for while all it holds was still to be read; nothing is placed any more. */
  full: FullMemory | undefined;
  /** Cycle after the last use of anything. */
  end: number;
}

export const bytesOfStorage = (storage: Storage): number => storedTypes[storage.type].bytes;
export const partCount = (storage: Storage): number => Math.max(1, Math.ceil(storage.vectors / storage.partVectors));
export const pinKey = partKey;
export const partWords = (storage: Storage, part: number): number =>
  Math.min(storage.partVectors, storage.vectors - part * storage.partVectors);

type Place = Pick<Buffer, "hemisphere" | "slices" | "bank">;

/** The slices of a location. */
export function placeOf({ mem }: Target, { hemisphere, column, sub, width, bank }: Location): Place {
  const first = column * mem.slicesPerColumn + sub;
  return { hemisphere, slices: Array.from({ length: width }, (_, i) => first + i), bank };
}

export function newScheduleState(
  target: Target,
  storages: readonly Storage[],
  together: ReadonlyMap<StorageId, ReadonlySet<StorageId>>,
  pinned: ReadonlyMap<string, Location>,
  weights: WeightColumns,
  placedAsOne: number,
  tuning: Tuning = plainTuning,
): ScheduleState {
  const resources = mapResources(target);
  const state: ScheduleState = {
    target,
    weights,
    tuning,
    resources,
    reservations: newReservations(resources.count),
    storages: [],
    parts: [],
    ready: [],
    side: [],
    buffers: [],
    bursts: [],
    engines: Array.from({ length: target.mxm.planes }, () => ({
      loadFree: 0,
      lastActivate: -1,
      installed: "",
      owed: 0,
      held: [],
    })),
    placedAsOne,
    together,
    load: new Array(2 * memColumnsPerHemisphere(target) * 2).fill(0),
    persistent: new Array(2 * memColumnsPerHemisphere(target) * 2).fill(0),
    persistentOfSlice: new Array(2 * target.mem.slicesPerHemisphere * 2).fill(0),
    occupancy: newOccupancy(2 * target.mem.slicesPerHemisphere * target.mem.banks),
    tiles: new Map(),
    stationaryKeys: new Map(),
    laneMaps: [],
    laneMapIndex: new Map(),
    pinned,
    note: 0,
    stuck: false,
    crowded: undefined,
    full: undefined,
    end: 0,
  };
  for (const storage of storages) addStorageState(state, storage);
  occupyBorders(state);
  return state;
}

export function addStorageState(state: ScheduleState, storage: Storage): void {
  invariant(storage.id === state.storages.length, "storages are added in order");
  state.storages.push(storage);
  state.parts.push(Array.from({ length: partCount(storage) }, () => ({ buffers: [undefined, undefined] })));
  state.ready.push(new Int32Array(storage.vectors));
  state.side.push(undefined);
}

/** Words already given out in a column and bank. */
export function columnLoad(state: ScheduleState, hemisphere: Hemisphere, column: number, bank: number): number {
  return state.load[loadIndex(state, hemisphere, column, bank)] as number;
}

/** Words of weights and constants in a column and bank. */
export function persistentLoad(state: ScheduleState, hemisphere: Hemisphere, column: number, bank: number): number {
  return state.persistent[loadIndex(state, hemisphere, column, bank)] as number;
}

function loadIndex(state: ScheduleState, hemisphere: Hemisphere, column: number, bank: number): number {
  return ((hemisphere === "W" ? 0 : 1) * memColumnsPerHemisphere(state.target) + column) * 2 + bank;
}

export function addColumnLoad(
  state: ScheduleState,
  hemisphere: Hemisphere,
  column: number,
  bank: number,
  words: number,
): void {
  const index = loadIndex(state, hemisphere, column, bank);
  state.load[index] = (state.load[index] as number) + words;
}

const sliceIndex = (state: ScheduleState, hemisphere: Hemisphere, slice: number, bank: number): number =>
  ((hemisphere === "W" ? 0 : 1) * state.target.mem.slicesPerHemisphere + slice) * 2 + bank;

/** Most words of weights and constants that one of the slices has in a bank. */
export const persistentWords = (
  state: ScheduleState,
  hemisphere: Hemisphere,
  slices: readonly number[],
  bank: number,
): number =>
  Math.max(...slices.map((slice) => state.persistentOfSlice[sliceIndex(state, hemisphere, slice, bank)] ?? 0));

/** Indices of a buffer's slices, in its bank, into the words in use. */
export const placesInUse = (state: ScheduleState, { hemisphere, slices, bank }: Place): number[] =>
  slices.map((slice) => sliceIndex(state, hemisphere, slice, bank));

const isPersistent = (state: ScheduleState, { content }: Pick<Buffer, "content">): boolean =>
  content.kind === "tile" || state.storages[content.storage]?.content !== undefined;

export const storageById = (state: ScheduleState, id: StorageId): Storage => state.storages[id] as Storage;

/** Copies that a pass makes for itself are gone when it ends; all else counts as in use. */
const isCounted = (state: ScheduleState, buffer: Pick<Buffer, "content">): boolean => {
  if (buffer.content.kind === "tile") return true;
  const { storage, part } = buffer.content;
  const { boundary, content } = storageById(state, storage);
  return boundary === undefined && (content !== undefined || state.occupancy.uses.has(partKey(storage, part)));
};

/** Border tensors take their words from the beginning, whenever the block touches them; a state and what renews it stand in one place. */
function occupyBorders(state: ScheduleState): void {
  for (const storage of state.storages) {
    if (storage.boundary === undefined || storage.renews !== undefined) continue;
    for (let part = 0; part < partCount(storage); part++) {
      const location = state.pinned.get(partKey(storage.id, part));
      if (location !== undefined)
        occupy(state.occupancy, placesInUse(state, placeOf(state.target, location)), partWords(storage, part));
    }
  }
}

export function addBuffer(state: ScheduleState, spec: Omit<Buffer, "id" | "firstWrite" | "lastRead">): Buffer {
  const buffer: Buffer = { ...spec, id: state.buffers.length, firstWrite: Number.MAX_SAFE_INTEGER, lastRead: -1 };
  state.buffers.push(buffer);
  if (isCounted(state, buffer)) occupy(state.occupancy, placesInUse(state, buffer), buffer.words);
  const perColumn = state.target.mem.slicesPerColumn;
  for (const column of new Set(buffer.slices.map((slice) => Math.floor(slice / perColumn)))) {
    addColumnLoad(state, buffer.hemisphere, column, buffer.bank, Math.max(buffer.words, state.tuning.leastLoad));
    if (isPersistent(state, buffer)) {
      const index = loadIndex(state, buffer.hemisphere, column, buffer.bank);
      state.persistent[index] = (state.persistent[index] as number) + buffer.words;
    }
  }
  if (isPersistent(state, buffer)) {
    for (const slice of buffer.slices) {
      const index = sliceIndex(state, buffer.hemisphere, slice, buffer.bank);
      state.persistentOfSlice[index] = (state.persistentOfSlice[index] ?? 0) + buffer.words;
    }
  }
  return buffer;
}

/** Index of a lane map, equal maps shared. */
export function laneMapOf(state: ScheduleState, map: Int16Array): number {
  const key = map.join();
  let index = state.laneMapIndex.get(key);
  if (index === undefined) {
    index = state.laneMaps.length;
    state.laneMaps.push(map);
    state.laneMapIndex.set(key, index);
  }
  return index;
}
