// Names and origins: everything in a program that does not change what it does. Renaming a model changes this section only.
import type { NodeOrigin } from "../../ir/graph/graph.ts";
import type { Program } from "../../ir/machine/program.ts";
import {
  type ByteSink,
  byteSink,
  type Cursor,
  putBytes,
  putList,
  putSigned,
  putText,
  putVarint,
  reject,
  takeList,
  takeSigned,
  takeText,
  takeVarint,
  written,
} from "./bytes.ts";

export interface Names {
  readonly modelName: string;
  readonly tensors: readonly string[];
  readonly bindings: readonly string[];
  readonly symbols: readonly string[];
  readonly nodeOrigins: readonly (readonly number[])[];
  readonly origins: readonly NodeOrigin[];
  readonly notes: Program["debug"]["notes"];
}

export function namesOf(program: Program): Names {
  return {
    modelName: program.modelName,
    tensors: program.graph.tensors.map((tensor) => tensor.name),
    bindings: program.bindings.map((binding) => binding.name),
    symbols: program.symbols.map((symbol) => symbol.name),
    nodeOrigins: program.graph.nodes.map((node) => node.origins),
    ...program.debug,
  };
}

export function putNames(sink: ByteSink, names: Names): void {
  const putIndices = (inner: ByteSink, indices: readonly number[]): void => putList(inner, indices, putVarint);
  putText(sink, names.modelName);
  for (const list of [names.tensors, names.bindings, names.symbols]) putList(sink, list, putText);
  putList(sink, names.nodeOrigins, putIndices);
  putList(sink, names.origins, (inner, origin) => {
    putText(inner, origin.name);
    putText(inner, origin.opType);
    putSigned(inner, origin.index);
  });
  putList(sink, names.notes, (inner, note) => {
    putText(inner, note.kernel);
    putIndices(inner, note.origins);
  });
}

export function takeNames(cursor: Cursor): Names {
  const takeIndices = (inner: Cursor): readonly number[] => takeList(inner, 1, takeVarint);
  const takeTexts = (): readonly string[] => takeList(cursor, 1, takeText);
  const modelName = takeText(cursor);
  const [tensors, bindings, symbols] = [takeTexts(), takeTexts(), takeTexts()];
  const nodeOrigins = takeList(cursor, 1, takeIndices);
  const origins = takeList(cursor, 3, (inner) => {
    const [name, opType] = [takeText(inner), takeText(inner)];
    return { name, opType, index: takeSigned(inner) };
  });
  const notes = takeList(cursor, 2, (inner) => {
    const kernel = takeText(inner);
    return { kernel, origins: takeIndices(inner) };
  });
  return { modelName, tensors, bindings, symbols, nodeOrigins, origins, notes };
}

/** One number an instruction of the whole program, as runs of equal ones: length, then the step from the run before. */
export function putTags(sink: ByteSink, program: Program, tag: "note" | "symbol"): void {
  const runs = byteSink();
  let before = 0;
  let value = 0;
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    putVarint(runs, length);
    putSigned(runs, value - before);
    before = value;
  };
  for (const chip of program.chips) {
    for (const queue of chip.queues) {
      for (const instruction of queue.instructions) {
        if (length > 0 && instruction[tag] === value) {
          length++;
          continue;
        }
        flush();
        value = instruction[tag];
        length = 1;
      }
    }
  }
  flush();
  putBytes(sink, written(runs));
}

export interface TagReader {
  readonly next: () => number;
  /** To be called after the last instruction: the runs must end there. */
  readonly finish: () => void;
}

/** Reads the tags back, one a call. */
export function tagReader(cursor: Cursor): TagReader {
  let value = 0;
  let left = 0;
  let first = true;
  const next = (): number => {
    if (left === 0) {
      left = takeVarint(cursor);
      const step = takeSigned(cursor);
      if (left === 0 || (step === 0 && !first)) reject(cursor, "a run of instructions is empty or cut in two");
      first = false;
      value += step;
    }
    left = Math.max(0, left - 1);
    return value;
  };
  const finish = (): void => {
    if (left !== 0) reject(cursor, `${left} more instructions are announced than there are`);
  };
  return { next, finish };
}
