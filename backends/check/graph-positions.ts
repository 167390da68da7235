// Where the elements of a tensor stand: strides, broadcasts, walks over positions. For the evaluation of the embedded graph.
import { type Lanes, lanesOf, mixedLanes } from "./lanes.ts";

export type Shape = readonly number[];

export const countOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

export interface Operand {
  readonly value: Lanes;
  readonly shape: Shape;
}

export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = (strides[d + 1] as number) * (shape[d + 1] as number);
  return strides;
}

/** Row-major walk over `shape`: flat source position of every element, given the source's start and its step along each dimension. */
export function positions(shape: Shape, steps: readonly number[], start = 0): Int32Array {
  const out = new Int32Array(countOf(shape));
  const rank = shape.length;
  const index = new Array<number>(rank).fill(0);
  let at = start;
  for (let i = 0; i < out.length; i++) {
    out[i] = at;
    for (let d = rank - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      at += steps[d] as number;
      if ((index[d] as number) < (shape[d] as number)) break;
      at -= (index[d] as number) * (steps[d] as number);
      index[d] = 0;
    }
  }
  return out;
}

export function pick(source: Lanes, order: Int32Array): Lanes {
  const x = new Int32Array(order.length);
  for (let i = 0; i < x.length; i++) x[i] = source.x[order[i] as number] as number;
  if (source.kinds === undefined) return lanesOf(x, source.kind);
  const kinds = new Uint8Array(order.length);
  for (let i = 0; i < kinds.length; i++) kinds[i] = source.kinds[order[i] as number] as number;
  return mixedLanes(x, kinds);
}

/** Steps that repeat dimensions of size 1. */
export function broadcastSteps(from: Shape): number[] {
  return stridesOf(from).map((stride, d) => (from[d] === 1 ? 0 : stride));
}

export function broadcast(value: Lanes, from: Shape, to: Shape): Lanes {
  if (from.every((size, d) => size === to[d])) return value;
  return pick(value, positions(to, broadcastSteps(from)));
}

/** ALU operation with the meaning of an elementwise core op; `[float, int]` where it depends on the operands' type. */
