// Which column, slices and bank a part gets. Columns near the VXM hold 4-byte data, the next ones 2- and 1-byte data, the outer ones (next to
// the MXM) weight tiles first.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { type Hemisphere, memColumnsPerHemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Storage, StorageId } from "../lower/kernel.ts";
import { wordsInUse } from "./occupancy.ts";
import {
  addBuffer,
  type Buffer,
  bytesOfStorage,
  columnLoad,
  type Location,
  partWords,
  persistentWords,
  pinKey,
  placeOf,
  placesInUse,
  type ScheduleState,
  storageById,
  type WeightColumns,
} from "./state.ts";

const hemispheres = ["W", "E"] as const;

/**
 * Columns [0, wide) hold 4-byte data, [wide, narrow) the others. The outer ones, as many as one load takes all its streams from, or half as many,
 * are left to weights: a tile load is short but frequent, and would leave no long gaps for bursts of data.
 */
export function columnClasses(target: Target, columns: WeightColumns): { wide: number; narrow: number; all: number } {
  const all = memColumnsPerHemisphere(target);
  const most = Math.ceil(target.mxm.loadStreamsPerPlane / target.mem.slicesPerColumn);
  const weights = columns === "outermost" ? Math.ceil(most / 2) : most;
  const rest = Math.max(2, all - weights);
  const wide = Math.max(1, Math.min(rest - 1, Math.ceil(rest * 0.57)));
  return { wide, narrow: rest, all };
}

/** Columns in use by storages that are read together with this part: their part of the same number where both are cut alike. */
function avoidedColumns(state: ScheduleState, storage: StorageId, own: number): Set<string> {
  const avoided = new Set<string>();
  const parts = state.parts[storage]?.length ?? 1;
  for (const other of state.together.get(storage) ?? []) {
    const alike = state.parts[other]?.length === parts;
    (state.parts[other] ?? []).forEach((part, index) => {
      if (alike && index !== own) return;
      for (const buffer of part.buffers) if (buffer !== undefined) avoided.add(slicesKey(state, buffer));
      const pinned = state.pinned.get(pinKey(other, index));
      if (pinned !== undefined) avoided.add(`${pinned.hemisphere}${pinned.column}`);
    });
  }
  return avoided;
}

const slicesKey = (state: ScheduleState, buffer: Buffer): string =>
  `${buffer.hemisphere}${Math.floor((buffer.slices[0] as number) / state.target.mem.slicesPerColumn)}`;

/** A number in [0, noise) that depends on all its arguments and on the seed. */
function jitter(
  state: ScheduleState,
  item: number,
  hemisphere: Hemisphere,
  column: number,
  bank: number,
  sub: number,
): number {
  const { noise, seed } = state.tuning;
  if (noise === 0) return 0;
  let hash =
    Math.imul(seed + 1, 0x9e3779b1) ^
    Math.imul(item + 1, 0x85ebca6b) ^
    Math.imul(column * 64 + bank * 32 + sub * 2 + (hemisphere === "W" ? 0 : 1), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32) * noise;
}

/** Constants of at least this share of a bank may stand in any column. */
const tableShare = 1 / 8;
/** Constants leave the rest of a bank to what is computed. */
const constantShare = 7 / 8;

/** What speaks against a place for a part of a constant: too little room in the bank, or a column that others were to have. */
function constantCost(state: ScheduleState, words: number, location: Location, isOwn: boolean): number {
  const { hemisphere, slices, bank } = placeOf(state.target, location);
  const used = persistentWords(state, hemisphere, slices, bank);
  const isFull = used + words > state.target.mem.wordsPerBank * constantShare || !hasRoom(state, words, location);
  return (isFull ? 1e9 : 0) + (isOwn ? 0 : 1e7);
}

/** Of a bank, what is left for program text and for what the order of reads and writes keeps longer than expected. */
const usableShare = 7 / 8;

const usableWords = ({ target }: ScheduleState): number => Math.floor(target.mem.wordsPerBank * usableShare);

/** Whether a part leaves enough of a bank to others, as far as known. */
export function hasRoom(state: ScheduleState, words: number, location: Location): boolean {
  const left = usableWords(state) - words;
  return usedAt(state, location, left) <= left;
}

const usedAt = (state: ScheduleState, location: Location, enough: number): number =>
  wordsInUse(state.occupancy, placesInUse(state, placeOf(state.target, location)), enough);

/** Words of a place that are still to be read, whenever that is. */
const heldAt = (state: ScheduleState, location: Location): number =>
  Math.max(...placesInUse(state, placeOf(state.target, location)).map((place) => state.occupancy.held[place] ?? 0));

/** Locations for a part of `storage`, best first: those with room in the columns of its kind, or in any where these are full, those of weights last. */
export function candidateLocations(
  state: ScheduleState,
  storage: Storage,
  part: number,
  side: Hemisphere | undefined,
): Location[] {
  const own = rankedLocations(state, storage, part, side, false);
  if (storage.content !== undefined) return own;
  const words = partWords(storage, part);
  const roomy = own.filter((location) => hasRoom(state, words, location));
  if (roomy.length > 0) return roomy;
  const all = rankedLocations(state, storage, part, side, true);
  const elsewhere = all.filter((location) => hasRoom(state, words, location));
  if (elsewhere.length > 0) return elsewhere;
  const { wordsPerBank } = state.target.mem;
  const wordsWith = all.map((location) => usedAt(state, location, 0) + words);
  state.crowded ??= { name: storage.name, words: Math.min(...wordsWith), limit: usableWords(state) };
  const least = Math.min(...all.map((location) => heldAt(state, location)));
  if (least + words > wordsPerBank) state.full ??= { name: storage.name, words: least + words, limit: wordsPerBank };
  const fitting = all.filter((_, i) => (wordsWith[i] ?? 0) <= wordsPerBank);
  return fitting.length > 0 ? fitting : all;
}

function rankedLocations(
  state: ScheduleState,
  storage: Storage,
  part: number,
  side: Hemisphere | undefined,
  anywhere: boolean,
): Location[] {
  const { wide, narrow, all } = columnClasses(state.target, state.weights);
  const width = bytesOfStorage(storage);
  const perColumn = state.target.mem.slicesPerColumn;
  // The identity is read while narrow results are written: it stands apart from them.
  const apart = storage.content?.kind === "identity" && narrow < all;
  const [ownFrom, ownTo] = apart ? [narrow, all] : width === 4 ? [0, wide] : [wide, narrow];
  const words = partWords(storage, part);
  const isConstant = storage.content !== undefined;
  const isTable = isConstant && !apart && words >= tableShare * state.target.mem.wordsPerBank;
  const [from, to] = isTable || anywhere ? [0, all] : [ownFrom, ownTo];
  const avoided = avoidedColumns(state, storage.id, part);
  const found: { location: Location; cost: number }[] = [];
  for (const hemisphere of side === undefined ? hemispheres : [side]) {
    for (let column = from; column < to; column++) {
      for (let bank = 0; bank < state.target.mem.banks; bank++) {
        for (let sub = 0; sub + width <= perColumn; sub += width) {
          const location = { hemisphere, column, sub, width, bank };
          const cost =
            (isConstant ? constantCost(state, words, location, column >= ownFrom && column < ownTo) : 0) +
            columnLoad(state, hemisphere, column, bank) +
            (avoided.has(`${hemisphere}${column}`) ? 1e6 : 0) +
            (!isConstant && column >= narrow ? 1e7 : 0) +
            sub * 0.01 +
            (bank === part % 2 ? 0 : state.tuning.parity) +
            jitter(state, storage.id + part, hemisphere, column, bank, sub);
          found.push({ location, cost });
        }
      }
    }
  }
  found.sort(
    (a, b) =>
      a.cost - b.cost ||
      a.location.column - b.location.column ||
      (a.location.hemisphere < b.location.hemisphere ? 1 : -1) *
        (a.location.hemisphere === b.location.hemisphere ? 0 : 1) ||
      a.location.bank - b.location.bank ||
      a.location.sub - b.location.sub,
  );
  return found.map(({ location }) => location);
}

/** Puts one copy of a part at a location. */
export function locatePart(
  state: ScheduleState,
  storage: Storage,
  part: number,
  copy: number,
  location: Location,
): Buffer {
  const entry = state.parts[storage.id]?.[part];
  invariant(entry !== undefined && entry.buffers[copy] === undefined, "a part is located once");
  const buffer = addBuffer(state, {
    name: storage.name,
    ...placeOf(state.target, location),
    words: partWords(storage, part),
    content: { kind: "part", storage: storage.id, part },
  });
  entry.buffers[copy] = buffer;
  if (storage.oneSided === true && state.side[storage.id] === undefined) state.side[storage.id] = location.hemisphere;
  return buffer;
}

/** The buffer of a part to read from; constants and border inputs are located at their first use. `towards`: the copy wanted of a replicated one. */
export function bufferOf(state: ScheduleState, id: StorageId, part: number, towards: Hemisphere | undefined): Buffer {
  const storage = storageById(state, id);
  const copy = storage.replicated && towards === "E" ? 1 : 0;
  const known = state.parts[id]?.[part]?.buffers[copy];
  if (known !== undefined) return known;
  const pinned = state.pinned.get(pinKey(id, part));
  invariant(
    storage.content !== undefined || pinned !== undefined || storage.boundary?.kind === "in",
    `${storage.name} is read before it is written`,
  );
  if (pinned !== undefined) return locatePart(state, storage, part, copy, pinned);
  const side = storage.replicated ? (towards ?? "W") : state.side[id];
  const best = candidateLocations(state, storage, part, side)[0];
  invariant(best !== undefined, "there are columns for every width");
  return locatePart(state, storage, part, copy, best);
}
