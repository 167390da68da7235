// What one chip keeps where: weights and constants, what its blocks write for themselves, border tensors, all in one address map.
import type { StoredType } from "../../ir/dtype.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import type { ImageSegment, ProgramSymbol } from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import type { BankAllocator } from "../alloc/banks.ts";
import { type Block, correspondence } from "../blocks/blocks.ts";
import type { Storage } from "../lower/kernel.ts";
import type { Buffer } from "../schedule/state.ts";
import { type BorderPart, regionKey } from "./borders.ts";
import type { BlockClass } from "./classes.ts";
import { bufferBytes, type ConstantReader } from "./contents.ts";
import { type BankUse, mapRegions, type Region } from "./memory.ts";
import type { States } from "./states.ts";

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
  readonly instance: ReadonlyMap<TensorId, TensorId>;
}

export interface ChipMemory {
  /** By key (see `persistentKey`). */
  readonly persistent: ReadonlyMap<string, PersistentBuffer>;
  /** Where everything is, by `regionOf`. */
  readonly addresses: ReadonlyMap<string, number>;
  readonly uses: readonly BankUse[];
  readonly faults: readonly string[];
  readonly states: States;
}

/** Keys of the address map. */
export const regionOf = {
  persistent: (key: string): string => `persistent:${key}`,
  border: (region: string): string => `border:${region}`,
  activation: (blockClass: BlockClass, buffer: Buffer): string => `activation:${blockClass.index}:${buffer.id}`,
};

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

/** What a block class writes for itself: at one address in all blocks of the class, live in each of them. */
function activationRegions(target: Target, instances: readonly BlockInstance[]): Region[] {
  const starts = new Map<BlockClass, number[]>();
  for (const { blockClass, start } of instances) starts.set(blockClass, [...(starts.get(blockClass) ?? []), start]);
  return [...starts].flatMap(([blockClass, cycles]) =>
    blockClass.schedule.state.buffers
      .filter((buffer) => !isPersistent(blockClass, buffer) && !isBorder(blockClass, buffer) && buffer.lastRead >= 0)
      .map((buffer): Region => {
        const from = Math.min(buffer.firstWrite, buffer.lastRead);
        const until = buffer.lastRead + 1 + target.mem.latency.write;
        const { hemisphere, slices, bank, words } = buffer;
        const live = [...cycles].sort((a, b) => a - b).map((start) => ({ lower: start + from, upper: start + until }));
        const key = regionOf.activation(blockClass, buffer);
        return { key, hemisphere, slices, bank, words, live, isPersistent: false };
      }),
  );
}

function borderRegion(target: Target, { part, from, until }: BorderUse): Region {
  const { hemisphere, column, sub, width, bank } = part.location;
  const first = column * target.mem.slicesPerColumn + sub;
  return {
    key: regionOf.border(part.region),
    hemisphere,
    slices: Array.from({ length: width }, (_, i) => first + i),
    bank,
    words: part.words,
    live: [{ lower: from, upper: Math.max(until, from + 1) }],
    isPersistent: false,
  };
}

function persistentRegion(key: string, { buffer }: PersistentBuffer, end: number): Region {
  const { hemisphere, slices, bank, words } = buffer;
  const live = [{ lower: 0, upper: end }];
  return { key: regionOf.persistent(key), hemisphere, slices, bank, words, live, isPersistent: true };
}

/** Cycles of a region's lives as they fall on a wheel of so many: what another inference keeps there counts as well. */
function onWheel(region: Region, interval: number): Region {
  if (region.live.some(({ lower, upper }) => upper - lower >= interval))
    return { ...region, live: [{ lower: 0, upper: interval }] };
  const pieces = region.live.flatMap(({ lower, upper }) => {
    const first = lower % interval;
    const end = first + upper - lower;
    if (end <= interval) return [{ lower: first, upper: end }];
    return [
      { lower: first, upper: interval },
      { lower: 0, upper: end - interval },
    ];
  });
  const live: { lower: number; upper: number }[] = [];
  for (const piece of pieces.sort((a, b) => a.lower - b.lower || a.upper - b.upper)) {
    const last = live.at(-1);
    if (last !== undefined && piece.lower <= last.upper) last.upper = Math.max(last.upper, piece.upper);
    else live.push({ ...piece });
  }
  return { ...region, live };
}

/** `end`: nothing is needed from this cycle on. `wheel`: inferences follow one another so many cycles apart. */
export function planChipMemory(
  target: Target,
  instances: readonly BlockInstance[],
  borders: readonly BorderUse[],
  end: number,
  states: States,
  wheel?: number,
  allocator?: BankAllocator,
): ChipMemory {
  const persistent = new Map<string, PersistentBuffer>();
  for (const { block, blockClass } of instances) {
    const instance = correspondence(blockClass.first, block);
    for (const buffer of blockClass.schedule.state.buffers) {
      if (!isPersistent(blockClass, buffer)) continue;
      const key = persistentKey(blockClass, buffer, instance);
      if (!persistent.has(key)) persistent.set(key, { buffer, storage: storageOfBuffer(blockClass, buffer), instance });
    }
  }
  const once = [...activationRegions(target, instances), ...borders.map((use) => borderRegion(target, use))];
  const passing = wheel === undefined ? once : once.map((region) => onWheel(region, wheel));
  const last = passing.reduce((most, { live }) => Math.max(most, live.at(-1)?.upper ?? 0), Math.max(1, wheel ?? end));
  const standing = [...persistent].map(([key, entry]) => persistentRegion(key, entry, last));
  return { persistent, states, ...mapRegions(target, [...standing, ...passing], allocator) };
}

/** Region of a part of a border tensor, given as the class's first block names it; the new value of a state is where the old one is. */
export function borderRegionOf(
  { states }: ChipMemory,
  instance: ReadonlyMap<TensorId, TensorId>,
  tensor: TensorId,
  type: StoredType,
  part: number,
): string {
  const own = instance.get(tensor) ?? tensor;
  return regionKey(states.get(own) ?? own, type, part);
}

/** Absolute address of a block's buffer on this chip; undefined for what is never read. */
export function bufferAddress(
  memory: ChipMemory,
  blockClass: BlockClass,
  instance: ReadonlyMap<TensorId, TensorId>,
  buffer: Buffer,
): number | undefined {
  const key = (): string => {
    if (isPersistent(blockClass, buffer)) return regionOf.persistent(persistentKey(blockClass, buffer, instance));
    const storage = storageOfBuffer(blockClass, buffer);
    if (storage?.boundary === undefined || buffer.content.kind !== "part")
      return regionOf.activation(blockClass, buffer);
    const { tensor } = storage.boundary;
    return regionOf.border(borderRegionOf(memory, instance, tensor, storage.type, buffer.content.part));
  };
  return memory.addresses.get(key());
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
    const { buffer, storage, instance } = entry;
    const address = memory.addresses.get(regionOf.persistent(key)) ?? 0;
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
