// The address map of one chip: persistent buffers, the shared arena, border regions. Says what does not fit.
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import type { ImageSegment, ProgramSymbol } from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import { type Block, correspondence } from "../blocks/blocks.ts";
import type { Storage } from "../lower/kernel.ts";
import type { Buffer } from "../schedule/state.ts";
import type { BorderPart } from "./borders.ts";
import type { BlockClass } from "./classes.ts";
import { bufferBytes, type ConstantReader } from "./contents.ts";
import {
  type Arena,
  allocateRegions,
  bankBase,
  classArena,
  type Space,
  spaceOfLocation,
  takePersistent,
  type Watermarks,
  watermark,
} from "./memory.ts";

export interface BlockInstance {
  readonly block: Block;
  readonly blockClass: BlockClass;
  readonly start: number;
  readonly end: number;
}

export interface BorderUse {
  readonly part: BorderPart;
  readonly from: number;
  readonly until: number;
  readonly role: ProgramSymbol["role"];
  readonly name: string;
}

export interface PersistentBuffer {
  readonly buffer: Buffer;
  readonly storage: Storage | undefined;
  readonly address: number;
  readonly instance: ReadonlyMap<TensorId, TensorId>;
}

export interface SpaceUse {
  readonly space: Space;
  readonly persistent: number;
  readonly arena: number;
  readonly arenaLowerBound: number;
  readonly border: number;
}

export interface ChipMemory {
  /** By buffer key of a block (see `bufferAddress`). */
  readonly persistent: ReadonlyMap<string, PersistentBuffer>;
  readonly arenas: ReadonlyMap<number, Arena>;
  readonly arenaBase: ReadonlyMap<string, number>;
  readonly borders: ReadonlyMap<string, number>;
  readonly uses: readonly SpaceUse[];
}

export const isPersistent = (blockClass: BlockClass, buffer: Buffer): boolean =>
  buffer.content.kind === "tile" || blockClass.schedule.state.storages[buffer.content.storage]?.content !== undefined;

export function storageOfBuffer(blockClass: BlockClass, buffer: Buffer): Storage | undefined {
  return buffer.content.kind === "part" ? blockClass.schedule.state.storages[buffer.content.storage] : undefined;
}

const isBorder = (blockClass: BlockClass, buffer: Buffer): boolean =>
  storageOfBuffer(blockClass, buffer)?.boundary !== undefined;

/** Equal for buffers with equal contents in equal slices, over all blocks of a chip. */
export function persistentKey(
  blockClass: BlockClass,
  buffer: Buffer,
  instance: ReadonlyMap<TensorId, TensorId>,
): string {
  const where = `${buffer.hemisphere}${buffer.slices.join()}/${buffer.bank}`;
  if (buffer.content.kind === "tile") {
    const { tile } = buffer.content;
    if (tile.kind === "fill") return `fill:${tile.bits}:${tile.k}:${tile.mode}@${where}`;
    const t = tile.tile;
    return `tile:${instance.get(t.tensor)}:${t.byRows}:${t.batch}:${t.k0}:${t.k}:${t.n0}:${t.rows}:${tile.mode}@${where}`;
  }
  const storage = blockClass.schedule.state.storages[buffer.content.storage];
  const content = storage?.content;
  const what =
    content?.kind === "tensor"
      ? `${instance.get(content.tensor)}:${JSON.stringify(content.layout.dims)}:${content.uniform}`
      : JSON.stringify(content);
  return `part:${what}:${storage?.type}:${buffer.content.part}@${where}`;
}

export function planChipMemory(
  target: Target,
  instances: readonly BlockInstance[],
  borders: readonly BorderUse[],
): ChipMemory {
  const marks: Watermarks = { words: new Map() };
  const persistent = new Map<string, PersistentBuffer>();
  const arenas = new Map<number, Arena>();
  for (const { block, blockClass } of instances) {
    const instance = correspondence(blockClass.first, block);
    for (const buffer of blockClass.schedule.state.buffers) {
      if (!isPersistent(blockClass, buffer)) continue;
      const key = persistentKey(blockClass, buffer, instance);
      if (persistent.has(key)) continue;
      const offset = takePersistent(marks, buffer.hemisphere, buffer.slices, buffer.bank, buffer.words);
      persistent.set(key, {
        buffer,
        storage: storageOfBuffer(blockClass, buffer),
        address: bankBase(target, buffer.bank) + offset,
        instance,
      });
    }
    if (!arenas.has(blockClass.index))
      arenas.set(
        blockClass.index,
        classArena(
          target,
          blockClass.schedule.state.buffers,
          (buffer) => !isPersistent(blockClass, buffer) && !isBorder(blockClass, buffer) && buffer.lastRead >= 0,
        ),
      );
  }
  const spaces = new Map<string, Space>();
  const arenaWords = new Map<string, { peak: number; lowerBound: number }>();
  for (const arena of arenas.values()) {
    for (const [key, { space, peak, lowerBound }] of arena.peaks) {
      spaces.set(key, space);
      const before = arenaWords.get(key);
      arenaWords.set(key, {
        peak: Math.max(before?.peak ?? 0, peak),
        lowerBound: Math.max(before?.lowerBound ?? 0, lowerBound),
      });
    }
  }
  const live = borders.map((use, id) => ({
    id,
    space: spaceOfLocation(target, use.part.location),
    words: use.part.words,
    from: use.from,
    until: Math.max(use.until, use.from + 1),
  }));
  const placed = allocateRegions(live);
  for (const region of live) spaces.set(region.space.key, region.space);
  const arenaBase = new Map<string, number>();
  const uses: SpaceUse[] = [];
  for (const [key, space] of spaces) {
    const base = watermark(marks, space.hemisphere, space.slices, space.bank);
    const arena = arenaWords.get(key) ?? { peak: 0, lowerBound: 0 };
    arenaBase.set(key, bankBase(target, space.bank) + base);
    uses.push({
      space,
      persistent: base,
      arena: arena.peak,
      arenaLowerBound: arena.lowerBound,
      border: placed.peaks.get(key)?.peak ?? 0,
    });
  }
  const addresses = new Map<string, number>();
  borders.forEach((use, id) => {
    const region = placed.regions.get(id);
    if (region === undefined) return;
    addresses.set(
      use.part.region,
      (arenaBase.get(region.space.key) ?? 0) + (arenaWords.get(region.space.key)?.peak ?? 0) + region.offset,
    );
  });
  return {
    persistent,
    arenas,
    arenaBase,
    borders: addresses,
    uses: [...uses, ...persistentOnly(marks, spaces, target)],
  };
}

/** Slices that hold persistent words only. */
function persistentOnly(marks: Watermarks, spaces: ReadonlyMap<string, Space>, _target: Target): SpaceUse[] {
  const covered = new Set<string>();
  for (const space of spaces.values())
    for (const slice of space.slices) covered.add(`${space.hemisphere}${slice}/${space.bank}`);
  const uses: SpaceUse[] = [];
  for (const [key, words] of marks.words) {
    if (covered.has(key)) continue;
    const [place, bank] = key.split("/") as [string, string];
    const hemisphere = place[0] === "W" ? "W" : "E";
    uses.push({
      space: { key, hemisphere, slices: [Number(place.slice(1))], bank: Number(bank) },
      persistent: words,
      arena: 0,
      arenaLowerBound: 0,
      border: 0,
    });
  }
  return uses;
}

/** Absolute address of a block's buffer on this chip. */
export function bufferAddress(
  memory: ChipMemory,
  target: Target,
  blockClass: BlockClass,
  instance: ReadonlyMap<TensorId, TensorId>,
  buffer: Buffer,
): number | undefined {
  if (isPersistent(blockClass, buffer))
    return memory.persistent.get(persistentKey(blockClass, buffer, instance))?.address;
  const storage = storageOfBuffer(blockClass, buffer);
  if (storage?.boundary !== undefined && buffer.content.kind === "part") {
    const tensor = instance.get(storage.boundary.tensor) ?? storage.boundary.tensor;
    return memory.borders.get(`${tensor}:${storage.type}:${buffer.content.part}`);
  }
  const region = memory.arenas.get(blockClass.index)?.regions.get(buffer.id);
  if (region === undefined) return undefined;
  return (memory.arenaBase.get(region.space.key) ?? bankBase(target, buffer.bank)) + region.offset;
}

/** Image segments of the persistent buffers, contents made on demand (one buffer is kept at a time). */
export function imageSegments(
  target: Target,
  graph: Graph,
  memory: ChipMemory,
  reader: ConstantReader,
): ImageSegment[] {
  let lastKey = "";
  let last: Uint8Array[] = [];
  const segments: ImageSegment[] = [];
  for (const [key, entry] of memory.persistent) {
    const { buffer, storage, address, instance } = entry;
    buffer.slices.forEach((slice, index) => {
      segments.push({
        hemisphere: buffer.hemisphere,
        slice,
        address,
        byteLength: buffer.words * target.lanes,
        read: () => {
          if (lastKey !== key) {
            last = bufferBytes(target, buffer, storage, reader, (id) => instance.get(id) ?? id, graph);
            lastKey = key;
          }
          return last[index] as Uint8Array;
        },
      });
    });
  }
  return segments;
}
