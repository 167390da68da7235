// Addresses: for every chip, persistent words (tiles and constants) from the bottom of each slice, then an arena that the chip's blocks share in
// turn, then the border tensors that outlive blocks. Activations go through the allocation pass, one address space a column group and bank.
import type { Hemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { allocateBuffers } from "../alloc/allocate.ts";
import { columnClasses } from "../schedule/locations.ts";
import type { Buffer, Location } from "../schedule/state.ts";

/** A set of slices that share addresses: a whole column for wide data, a pair of slices for narrow data; with its bank. */
export interface Space {
  readonly key: string;
  readonly hemisphere: Hemisphere;
  readonly slices: readonly number[];
  readonly bank: number;
}

export function spaceOf(target: Target, hemisphere: Hemisphere, slices: readonly number[], bank: number): Space {
  const per = target.mem.slicesPerColumn;
  const column = Math.floor((slices[0] as number) / per);
  const { wide } = columnClasses(target);
  const first = slices[0] as number;
  const from = column < wide ? column * per : first - (first % 2);
  const count = column < wide ? per : 2;
  return {
    key: `${hemisphere}${from}+${count}/${bank}`,
    hemisphere,
    slices: Array.from({ length: count }, (_, i) => from + i),
    bank,
  };
}

export const spaceOfLocation = (target: Target, location: Location): Space =>
  spaceOf(
    target,
    location.hemisphere,
    Array.from({ length: location.width }, (_, i) => location.column * target.mem.slicesPerColumn + location.sub + i),
    location.bank,
  );

/** Words of each slice and bank that are taken from the bottom. */
export interface Watermarks {
  readonly words: Map<string, number>;
}

const markKey = (hemisphere: Hemisphere, slice: number, bank: number): string => `${hemisphere}${slice}/${bank}`;

/** Takes `words` at the same address in all the slices; gives the word offset inside the bank. */
export function takePersistent(
  marks: Watermarks,
  hemisphere: Hemisphere,
  slices: readonly number[],
  bank: number,
  words: number,
): number {
  const at = watermark(marks, hemisphere, slices, bank);
  for (const slice of slices) marks.words.set(markKey(hemisphere, slice, bank), at + words);
  return at;
}

export function watermark(marks: Watermarks, hemisphere: Hemisphere, slices: readonly number[], bank: number): number {
  return Math.max(0, ...slices.map((slice) => marks.words.get(markKey(hemisphere, slice, bank)) ?? 0));
}

export interface ArenaRegion {
  readonly buffer: number;
  readonly space: Space;
  readonly offset: number;
}

export interface Arena {
  readonly regions: ReadonlyMap<number, ArenaRegion>;
  /** Peak words and the lower bound for each space. */
  readonly peaks: ReadonlyMap<string, { readonly space: Space; readonly peak: number; readonly lowerBound: number }>;
}

export interface LiveRegion {
  readonly id: number;
  readonly space: Space;
  readonly words: number;
  readonly from: number;
  readonly until: number;
}

/** Offsets for regions with live ranges, each address space on its own. */
export function allocateRegions(regions: readonly LiveRegion[]): Arena {
  const spaces = new Map<string, LiveRegion[]>();
  for (const region of regions) {
    const list = spaces.get(region.space.key);
    if (list === undefined) spaces.set(region.space.key, [region]);
    else list.push(region);
  }
  const placed = new Map<number, ArenaRegion>();
  const peaks = new Map<string, { space: Space; peak: number; lowerBound: number }>();
  for (const [key, list] of spaces) {
    const { offsets, peak, lowerBound } = allocateBuffers(
      list.map((region) => ({ id: `${region.id}`, lower: region.from, upper: region.until, size: region.words })),
      Number.MAX_SAFE_INTEGER,
    );
    list.forEach((region, i) => {
      placed.set(region.id, { buffer: region.id, space: region.space, offset: offsets[i] as number });
    });
    peaks.set(key, { space: (list[0] as LiveRegion).space, peak, lowerBound });
  }
  return { regions: placed, peaks };
}

/** The arena of one block class: its buffers that are neither constant nor at the border. */
export function classArena(target: Target, buffers: readonly Buffer[], isInternal: (buffer: Buffer) => boolean): Arena {
  return allocateRegions(
    buffers.filter(isInternal).map((buffer) => ({
      id: buffer.id,
      space: spaceOf(target, buffer.hemisphere, buffer.slices, buffer.bank),
      words: buffer.words,
      from: Math.min(buffer.firstWrite, buffer.lastRead),
      until: buffer.lastRead + 1 + target.mem.latency.write,
    })),
  );
}

export const bankBase = (target: Target, bank: number): number => bank * target.mem.wordsPerBank;
