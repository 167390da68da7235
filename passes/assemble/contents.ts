// Contents of persistent buffers: weight tiles and constants as bytes of each slice, made when they are read so that weights are never held twice.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import { storedTypes } from "../../ir/dtype.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { float16FromF32Bits } from "../../ir/numeric/float16.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Storage } from "../lower/kernel.ts";
import { dimOffsets, type Layout } from "../lower/layout.ts";
import { type Buffer, rowsPerCycle, type TileContent } from "../schedule/state.ts";

/** Raw 32-bit (or 8-bit) elements of the constant read last; consecutive buffers mostly hold pieces of one tensor. */
export interface ConstantReader {
  readonly elements: (id: TensorId) => Int32Array | Int8Array | Uint8Array;
}

export function newConstantReader(graph: Graph): ConstantReader {
  let lastId: TensorId | undefined;
  let last: Int32Array | Int8Array | Uint8Array = new Int32Array(0);
  return {
    elements: (id) => {
      if (id === lastId) return last;
      const tensor = graph.tensors[id];
      invariant(tensor?.data !== undefined, "a constant has contents");
      const bytes = tensor.data.read();
      const count = elementCount(tensor.shape);
      if (tensor.dtype === "int8") last = new Int8Array(bytes.buffer, bytes.byteOffset, count);
      else if (tensor.dtype === "uint8") last = new Uint8Array(bytes.buffer, bytes.byteOffset, count);
      else
        last =
          bytes.byteOffset % 4 === 0
            ? new Int32Array(bytes.buffer, bytes.byteOffset, count)
            : new Int32Array(bytes.slice().buffer, 0, count);
      lastId = id;
      return last;
    },
  };
}

/** Bits of an element (given as raw 32-bit or 8-bit value) in a stored type. */
function storedBits(raw: number, type: StoredType): number {
  return type === "f16" ? float16FromF32Bits(raw) : raw;
}

/** Bytes of every slice of a buffer, in slice order. */
export function bufferBytes(
  target: Target,
  buffer: Buffer,
  storage: Storage | undefined,
  reader: ConstantReader,
  instance: (id: TensorId) => TensorId,
  graph: Graph,
): Uint8Array[] {
  const planes = buffer.slices.map(() => new Uint8Array(buffer.words * target.lanes));
  if (buffer.content.kind === "tile") fillTile(target, planes, buffer.content.tile, reader, instance, graph);
  else if (storage?.content !== undefined)
    fillPart(target, planes, storage, buffer.content.part, reader, instance, graph);
  return planes;
}

function fillPart(
  target: Target,
  planes: readonly Uint8Array[],
  storage: Storage,
  part: number,
  reader: ConstantReader,
  instance: (id: TensorId) => TensorId,
  graph: Graph,
): void {
  const { lanes } = target;
  const first = part * storage.partVectors;
  const words = (planes[0] as Uint8Array).length / lanes;
  const put = (vector: number, lane: number, bits: number): void => {
    planes.forEach((plane, b) => {
      plane[vector * lanes + lane] = (bits >>> (8 * b)) & 0xff;
    });
  };
  const { content } = storage;
  invariant(content !== undefined, "only constants have contents");
  switch (content.kind) {
    case "identity":
      for (let v = 0; v < words; v++) put(v, first + v, 1);
      return;
    case "fill":
      for (let v = 0; v < words; v++) for (let lane = 0; lane < lanes; lane++) put(v, lane, content.bits);
      return;
    case "mask":
      for (let v = 0; v < words; v++) for (let lane = 0; lane < content.lanes; lane++) put(v, lane, content.bits);
      return;
    case "tensor": {
      const id = instance(content.tensor);
      const elements = reader.elements(id);
      forElements(content.layout, graph.tensors[id]?.shape ?? [], first, first + words, (vector, lane, element) => {
        const bits = storedBits(elements[element] as number, storage.type);
        if (!content.uniform) put(vector - first, lane, bits);
        else for (let each = 0; each < lanes; each++) put(vector - first, each, bits);
      });
    }
  }
}

/**
 * Calls `visit` for every element of a layout that stands in vectors [from, to), with the element of the tensor of `shape` that is there: a
 * dimension of size 1 is repeated. Parts of the layout that lie outside are passed over.
 */
function forElements(
  layout: Layout,
  shape: readonly number[],
  from: number,
  to: number,
  visit: (vector: number, lane: number, element: number) => void,
): void {
  const rank = layout.shape.length;
  const offsets = layout.shape.map((size, d) => dimOffsets(layout.dims[d] ?? [], size));
  const steps = new Array<number>(rank).fill(0);
  let step = 1;
  for (let d = rank - 1; d >= 0; d--) {
    if ((shape[d] ?? 1) > 1) steps[d] = step;
    step *= shape[d] ?? 1;
  }
  // Least and largest vector offset of the dimensions from d on.
  const least = new Array<number>(rank + 1).fill(0);
  const most = new Array<number>(rank + 1).fill(0);
  for (let d = rank - 1; d >= 0; d--) {
    const { low, high } = extremes(offsets[d]?.vectors ?? new Int32Array(1));
    least[d] = (least[d + 1] ?? 0) + low;
    most[d] = (most[d + 1] ?? 0) + high;
  }
  const go = (d: number, vector: number, lane: number, element: number): void => {
    if (vector + (most[d] ?? 0) < from || vector + (least[d] ?? 0) >= to) return;
    const own = offsets[d];
    if (own === undefined) {
      visit(vector, lane, element);
      return;
    }
    const by = steps[d] ?? 0;
    for (let i = 0; i < own.vectors.length; i++)
      go(d + 1, vector + (own.vectors[i] as number), lane + (own.lanes[i] as number), element + i * by);
  };
  go(0, layout.vector, layout.lane, 0);
}

function extremes(numbers: Int32Array): { readonly low: number; readonly high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const number of numbers) {
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  return { low, high };
}

const tileType = { fp16: "f16", fp32: "f32", int8: "i8" } as const;

function fillTile(
  target: Target,
  planes: readonly Uint8Array[],
  content: TileContent,
  reader: ConstantReader,
  instance: (id: TensorId) => TensorId,
  graph: Graph,
): void {
  const { lanes } = target;
  const pack = target.mxm.modes[content.mode]?.tileK ?? lanes;
  const type = tileType[content.mode];
  const bytes = storedTypes[type].bytes;
  // Byte b of an element: further lanes of the same slice (packed), or the same lane of the next slice (planar).
  const [laneStep, sliceStep] = content.bytes === 1 ? [pack, 0] : [0, 1];
  if (content.kind === "fill") {
    const bits = storedBits(content.bits, type);
    planes.forEach((plane, s) => {
      for (let k = 0; k < content.k; k++) {
        if (content.bytes > 1) plane[k] = (bits >>> (8 * (s % content.bytes))) & 0xff;
        else for (let b = 0; b < bytes; b++) plane[k + b * pack] = (bits >>> (8 * b)) & 0xff;
      }
    });
    return;
  }
  const { tile } = content;
  const perCycle = rowsPerCycle(content);
  const id = instance(tile.tensor);
  const shape = graph.tensors[id]?.shape ?? [];
  const [rows, columns] = [shape[shape.length - 2] as number, shape[shape.length - 1] as number];
  const elements = reader.elements(id);
  const base = tile.batch * rows * columns;
  const [rowStep, kStep] = tile.byRows ? [columns, 1] : [1, columns];
  for (let r = 0; r < tile.rows; r++) {
    const slice = (r % perCycle) * content.bytes;
    const word = Math.floor(r / perCycle) * lanes;
    for (let b = 0; b < bytes; b++) {
      const plane = planes[slice + b * sliceStep] as Uint8Array;
      const first = word + b * laneStep;
      let at = base + (tile.n0 + r) * rowStep + tile.k0 * kStep;
      for (let k = 0; k < tile.k; k++, at += kStep)
        plane[first + k] = (storedBits(elements[at] as number, type) >>> (8 * b)) & 0xff;
    }
  }
}
