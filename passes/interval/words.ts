// How long words of memory hold what is still needed: from their write to the last read of it. An input stands from the beginning of its chip's stage on,
// an output until the end of its, a state from its first touch to its last. What no one writes while a program runs is no use of this kind.
import { forEachElement, placementGeometry, sliceOf, wordOf } from "../../ir/machine/placement.ts";
import type { Program, Queue, Unit } from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import { wordsPerSlice } from "../../ir/target/geometry.ts";
import { addUse, type Collector } from "./uses.ts";

type Kind = "read" | "write" | "touch";

/** Touches of the words of one slice, each (word, cycle, kind) as one number. */
interface Slice {
  readonly name: string;
  readonly changing: Uint8Array;
  readonly stateful: Uint8Array;
  readonly touches: number[];
}

type Slices = Map<string, Slice>;

const cycleScale = 2 ** 31;
const kinds = ["read", "touch", "write"] as const satisfies readonly Kind[];

const sliceName = (hemisphere: Hemisphere, slice: number): string => `${hemisphere}${slice}`;

function sliceIn(program: Program, slices: Slices, name: string): Slice {
  const known = slices.get(name);
  if (known !== undefined) return known;
  const words = wordsPerSlice(program.target);
  const made = { name, changing: new Uint8Array(words), stateful: new Uint8Array(words), touches: [] };
  slices.set(name, made);
  return made;
}

function note(collector: Collector, slice: Slice, word: number, cycle: number, kind: Kind): void {
  if (slice.changing[word] !== 1) return;
  collector.count++;
  if (collector.count <= collector.most)
    slice.touches.push((word * cycleScale + cycle) * kinds.length + kinds.indexOf(kind));
}

type Visit = (slice: Slice, word: number, cycle: number, kind: Kind) => void;

/** Every word that an instruction of the queue touches, at every issue. */
function visitQueue(program: Program, slices: Slices, { unit, instructions }: Queue, visit: Visit): void {
  if (!isMemory(unit)) return;
  const slice = sliceIn(program, slices, sliceName(unit.hemisphere, unit.slice));
  for (const ins of instructions) {
    if (ins.op === "read" || ins.op === "write") {
      for (let i = 0; i < ins.count; i++)
        visit(slice, ins.address + i * ins.stride, ins.cycle + i * ins.period, ins.op);
    }
    if (ins.op !== "gather" && ins.op !== "scatter") continue;
    // Any of the words may be the one; a scatter leaves the others as they are.
    const kind = ins.op === "gather" ? "read" : "touch";
    for (let row = 0; row < ins.limit; row++) {
      const word = ins.address + row * ins.scale;
      if (ins.op === "gather" && slice.changing[word] !== 1) continue;
      for (let i = 0; i < ins.count; i++) visit(slice, word, ins.cycle + i * ins.period, kind);
    }
  }
}

const isMemory = (unit: Unit): unit is Unit & { readonly kind: "memRead" | "memWrite" } =>
  unit.kind === "memRead" || unit.kind === "memWrite";

/** Words of a chip in which the host puts inputs, or from which it takes outputs. */
function visitBound(
  program: Program,
  slices: Slices,
  chip: number,
  kind: "input" | "output",
  visit: (slice: Slice, word: number) => void,
): void {
  for (const binding of program.bindings) {
    if (binding.kind !== kind) continue;
    for (const placement of binding.placements) {
      if (placement.chip !== chip) continue;
      const geometry = placementGeometry(placement);
      const seen = new Set<number>();
      forEachElement(placement, binding.shape, (_, vector) => {
        if (seen.has(vector)) return;
        seen.add(vector);
        for (let byte = 0; byte < (geometry.sliceStep === 0 ? 1 : geometry.bytes); byte++) {
          const place = placement.slices[sliceOf(geometry, vector, byte)];
          if (place === undefined) continue;
          visit(
            sliceIn(program, slices, sliceName(place.hemisphere, place.slice)),
            wordOf(placement, geometry, vector),
          );
        }
      });
    }
  }
}

function markState(program: Program, slices: Slices, chip: number): void {
  for (const symbol of program.symbols) {
    if (symbol.role !== "state" || symbol.chip !== chip) continue;
    for (const { hemisphere, slice } of symbol.slices)
      sliceIn(program, slices, sliceName(hemisphere, slice)).stateful.fill(
        1,
        symbol.address,
        symbol.address + symbol.words,
      );
  }
}

function addLives(collector: Collector, chip: number, slice: Slice): void {
  const touches = Float64Array.from(slice.touches).sort();
  let word = -1;
  let from = 0;
  let until = 0;
  const close = (): void => {
    if (word >= 0) addUse(collector, `${chip} word ${slice.name} ${word}`, from, until - from);
  };
  for (const touch of touches) {
    const place = Math.floor(touch / kinds.length);
    const isWrite = kinds[touch - place * kinds.length] === "write";
    const at = Math.floor(place / cycleScale);
    const cycle = place - at * cycleScale;
    if (at !== word || (isWrite && slice.stateful[at] !== 1)) {
      close();
      word = at;
      from = cycle;
    }
    until = cycle + 1;
  }
  close();
}

export function addWordUses(collector: Collector, program: Program, chip: number): void {
  const slices: Slices = new Map();
  const queues = program.chips[chip]?.queues ?? [];
  const stage = program.stages.find((one) => one.chip === chip);
  const mark = (slice: Slice, word: number): void => {
    slice.changing[word] = 1;
  };
  for (const queue of queues) if (queue.unit.kind === "memWrite") visitQueue(program, slices, queue, mark);
  visitBound(program, slices, chip, "input", mark);
  markState(program, slices, chip);
  if (stage !== undefined) {
    visitBound(program, slices, chip, "input", (slice, word) =>
      note(collector, slice, word, stage.startCycle, "write"),
    );
    visitBound(program, slices, chip, "output", (slice, word) =>
      note(collector, slice, word, Math.max(stage.startCycle, stage.endCycle - 1), "read"),
    );
  }
  for (const queue of queues)
    visitQueue(program, slices, queue, (slice, word, cycle, kind) => note(collector, slice, word, cycle, kind));
  for (const slice of slices.values()) addLives(collector, chip, slice);
}
