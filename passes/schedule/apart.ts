// Keeping the reads and writes of one pass apart: a slice gives one vector a cycle, takes one, and a bank does one of the two. What stands in the
// way of something else is copied to another column first, or written to another column and copied afterwards.
import type { Access, EwPass, EwSink, StorageId } from "../lower/kernel.ts";
import { bufferOf } from "./locations.ts";
import { addStorageState, type Buffer, pinKey, placeOf, type ScheduleState, storageById } from "./state.ts";
import { newTemplate, runsOf } from "./template.ts";
import { type Accept, type Around, partOfSink, placePass } from "./vxm.ts";

/** Queues and banks, as numbered by the resource map. */
export type Busy = ReadonlySet<number>;

type Place = Pick<Buffer, "hemisphere" | "slices" | "bank">;

/** What reading a place keeps busy. */
export function readResources(state: ScheduleState, { hemisphere, slices, bank }: Place): number[] {
  const { resources } = state;
  return slices.flatMap((slice) => [resources.readQueue(hemisphere, slice), resources.bank(hemisphere, slice, bank)]);
}

/** What writing a place keeps busy. */
function writeResources(state: ScheduleState, { hemisphere, slices, bank }: Place): number[] {
  const { resources } = state;
  return slices.flatMap((slice) => [resources.writeQueue(hemisphere, slice), resources.bank(hemisphere, slice, bank)]);
}

/** Where the parts of an access stand (constants and border inputs get their place now). Of a replicated storage: the first copy. */
export function placesOf(state: ScheduleState, access: Access): Buffer[] {
  const parts = new Set(runsOf(state, access).map((run) => run.part));
  return [...parts].map((part) => bufferOf(state, access.storage, part, undefined));
}

export const readBusy = (state: ScheduleState, access: Access): Busy =>
  new Set(placesOf(state, access).flatMap((place) => readResources(state, place)));

/** What writing an access keeps busy, if its part has a place. */
export const writtenBusy = (state: ScheduleState, access: Access): Busy =>
  writeBusy(state, [{ op: 0, access, every: 1 }]);

/** What writing the sinks that have a place keeps busy. */
function writeBusy(state: ScheduleState, sinks: readonly EwSink[]): Busy {
  return new Set(
    sinks.flatMap((sink) => {
      const part = partOfSink(state, sink);
      const buffers = state.parts[sink.access.storage]?.[part]?.buffers ?? [];
      const pinned = state.pinned.get(pinKey(sink.access.storage, part));
      const known: Place[] = buffers.filter((buffer) => buffer !== undefined);
      const places = known.length > 0 || pinned === undefined ? known : [placeOf(state.target, pinned)];
      return places.flatMap((place) => writeResources(state, place));
    }),
  );
}

export const meets = (a: Busy, b: Busy): boolean => [...a].some((resource) => b.has(resource));
export const union = (...sets: readonly Busy[]): Set<number> => new Set(sets.flatMap((set) => [...set]));

/** Locations that can be read, or written, while all of these are busy. */
const readableBeside =
  (state: ScheduleState, busy: Busy): Accept =>
  (location) =>
    !readResources(state, placeOf(state.target, location)).some((resource) => busy.has(resource));
const writableBeside =
  (state: ScheduleState, busy: Busy): Accept =>
  (location) =>
    !writeResources(state, placeOf(state.target, location)).some((resource) => busy.has(resource));

const movePass = (source: Access, out: Access): EwPass => ({
  count: out.vectors.length,
  sources: [source],
  ops: [{ op: "mov", args: [{ kind: "source", source: 0 }], reset: 0 }],
  sinks: [{ op: 0, access: out, every: 1 }],
});

const alone: Around = () => ({ at: 0, sums: undefined });

function place(state: ScheduleState, pass: EwPass, accept?: Accept): void {
  if (placePass(state, pass, 1, 0, alone, accept) === undefined) state.stuck = true;
}

/** A new storage of one part like that of an access, which holds only what is accessed. */
function freshStorage(
  state: ScheduleState,
  like: StorageId,
  name: string,
  count: number,
  beside: readonly StorageId[],
): StorageId {
  const original = storageById(state, like);
  const id = state.storages.length as StorageId;
  addStorageState(state, {
    id,
    name: `${original.name}.${name}`,
    type: original.type,
    vectors: count,
    partVectors: count,
    replicated: false,
  });
  (state.together as Map<StorageId, ReadonlySet<StorageId>>).set(id, new Set(beside));
  return id;
}

const inOrder = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);

/** Stretches of an access that stay in one part. */
function partsOf(state: ScheduleState, access: Access): { readonly at: number; readonly count: number }[] {
  const starts = runsOf(state, access).filter((run, i, runs) => run.part !== runs[i - 1]?.part);
  return starts.map(({ at }, i) => ({ at, count: (starts[i + 1]?.at ?? access.vectors.length) - at }));
}

/** A copy of what is accessed that can be read beside all of `busy`. */
export function copyApart(state: ScheduleState, source: Access, busy: Busy, beside: readonly StorageId[] = []): Access {
  const distinct = [...new Set(source.vectors)].sort((a, b) => a - b);
  const id = freshStorage(state, source.storage, "copy", distinct.length, [source.storage, ...beside]);
  const whole = Int32Array.from(distinct);
  const parts = partsOf(state, { storage: source.storage, vectors: whole });
  const canBeRead = readableBeside(state, busy);
  const canBeWritten = writableBeside(state, parts.length > 1 ? readBusy(state, source) : new Set());
  const accept: Accept = (location) => canBeRead(location) && canBeWritten(location);
  // Parts may stand on either side, and a pass is read from one.
  for (const { at, count } of parts) {
    const from = { storage: source.storage, vectors: whole.subarray(at, at + count) };
    const to = { storage: id, vectors: inOrder(distinct.length).subarray(at, at + count) };
    place(state, movePass(from, to), accept);
  }
  const index = new Map(distinct.map((vector, i) => [vector, i]));
  return { storage: id, vectors: source.vectors.map((vector) => index.get(vector) as number) };
}

/** Another place for a result, to be written beside all of `busy`; `moveOn` brings it where it belongs. */
export function detourApart(
  state: ScheduleState,
  out: Access,
  busy: Busy,
): { readonly out: Access; readonly accept: Accept; readonly moveOn: () => void } {
  const count = out.vectors.length;
  const id = freshStorage(state, out.storage, "detour", count, [out.storage]);
  const detour = { storage: id, vectors: inOrder(count) };
  return {
    out: detour,
    accept: writableBeside(state, union(busy, writtenBusy(state, out))),
    moveOn: () => scheduleVxmPass(state, movePass(detour, out)),
  };
}

const storagesOf = (pass: EwPass): StorageId[] =>
  pass.sources.flatMap((source) => (source === "sums" ? [] : [source.storage]));

/** Sources that meet `busy` or a source before them are copied; `moves` says which may be. */
function apartFrom(
  state: ScheduleState,
  pass: EwPass,
  busy: Set<number>,
  moves: (source: Access) => boolean,
): EwPass["sources"] {
  const sources = [...pass.sources];
  const read = sources.map((source): Busy | undefined =>
    source !== "sums" && moves(source) ? readBusy(state, source) : undefined,
  );
  sources.forEach((source, i) => {
    let own = read[i];
    if (source === "sums" || own === undefined) return;
    if (meets(own, busy)) {
      const later = read.slice(i + 1).filter((set) => set !== undefined);
      const copy = copyApart(state, source, union(busy, own, ...later), storagesOf(pass));
      sources[i] = copy;
      own = readBusy(state, copy);
    }
    for (const resource of own) busy.add(resource);
  });
  return sources;
}

/**
 * Copies a source to other columns where it would share slices with another source of the pass. Replicated sources have a second place to be
 * read from, which VXM passes choose themselves; `copiesToo`: the reader takes the first copy only.
 */
export function separateSources(state: ScheduleState, pass: EwPass, copiesToo = false): EwPass {
  const moves = (source: Access): boolean => copiesToo || !storageById(state, source.storage).replicated;
  return { ...pass, sources: apartFrom(state, pass, new Set(writeBusy(state, pass.sinks)), moves) };
}

/** Places a pass whose reads and writes stand in each other's way: what meets something before it is copied, or takes a detour. */
function placeUntangled(
  state: ScheduleState,
  pass: EwPass,
  period: number,
  from: number,
  around: Around,
): number | undefined {
  const others = newTemplate(state);
  around(others);
  const busy = new Set(others.needs.map((need) => need.resource));
  const sources = apartFrom(state, pass, busy, () => true);
  const detours: ReturnType<typeof detourApart>[] = [];
  const sinks = pass.sinks.map((sink): EwSink => {
    const own = writtenBusy(state, sink.access);
    if (!meets(own, busy)) {
      for (const resource of own) busy.add(resource);
      return sink;
    }
    const detour = detourApart(state, sink.access, busy);
    detours.push(detour);
    return { ...sink, access: detour.out };
  });
  const accept: Accept = (location) => detours.every((detour) => detour.accept(location));
  const start = placePass(state, { ...pass, sources, sinks }, period, from, around, accept);
  if (start !== undefined) for (const { moveOn } of detours) moveOn();
  return start;
}

/** Places a pass, in the simple way where that is possible; gives its start. */
export function placeApart(state: ScheduleState, pass: EwPass, period: number, from: number, around: Around): number {
  const start = placePass(state, pass, period, from, around) ?? placeUntangled(state, pass, period, from, around);
  if (start === undefined) state.stuck = true;
  return start ?? from;
}

/** A pass from memory to memory. */
export function scheduleVxmPass(state: ScheduleState, pass: EwPass): void {
  placeApart(state, separateSources(state, pass), 1, 0, alone);
}
