// Contents of persistent buffers: weight tiles and constants as bytes of each slice, made when they are read so that weights are never held twice.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { StoredType } from "../../ir/dtype.ts";
import { storedTypes } from "../../ir/dtype.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { float16FromF32Bits } from "../../ir/numeric/float16.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Storage } from "../lower/kernel.ts";
import { flatPositions } from "../lower/movement.ts";
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
      const positions = flatPositions(content.layout);
      const indices = repeatedIndices(graph.tensors[id]?.shape ?? [], content.layout.shape);
      for (let e = 0; e < positions.vectors.length; e++) {
        const vector = (positions.vectors[e] as number) - first;
        if (vector < 0 || vector >= words) continue;
        const bits = storedBits(elements[indices[e] as number] as number, storage.type);
        if (!content.uniform) put(vector, positions.lanes[e] as number, bits);
        else for (let lane = 0; lane < lanes; lane++) put(vector, lane, bits);
      }
    }
  }
}

/** Element of a tensor for every element of the shape its size-1 dims are repeated to. */
function repeatedIndices(shape: readonly number[], repeated: readonly number[]): Int32Array {
  let step = 1;
  const dims = shape.map(() => [] as { size: number; vector: number; lane: number }[]);
  for (let d = shape.length - 1; d >= 0; d--) {
    dims[d] = [{ size: repeated[d] as number, vector: shape[d] === 1 ? 0 : step, lane: 0 }];
    step *= shape[d] as number;
  }
  return flatPositions({ shape: repeated, dims, vector: 0, lane: 0 }).vectors;
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
