// Shape arithmetic: axes, broadcasting, strides, and the walk over the elements of a strided view. Knows no operator.
import { type Problem, problem } from "./op-row.ts";
import { allocate, countOf, isBigData, setElement, type TensorValue, tensorValue } from "./values.ts";

export const shapeText = (shape: readonly number[]): string => `[${shape.join("x")}]`;

/** Axis counted from the front, or what is wrong with it. */
export function normaliseAxis(axis: number, rank: number, what = "axis"): number | Problem {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    return problem("attr", `${what} is ${axis}, allowed: ${-rank} to ${rank - 1}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Axes counted from the front, each once, in the order given. */
export function normaliseAxes(axes: readonly number[], rank: number): number[] | Problem {
  const list: number[] = [];
  for (const axis of axes) {
    const index = normaliseAxis(axis, rank, "an axis");
    if (typeof index !== "number") return index;
    if (list.includes(index)) return problem("attr", `axis ${axis} is named twice`);
    list.push(index);
  }
  return list;
}

/** An axis that inference has already accepted. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The common shape under numpy broadcasting. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] | Problem {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [i, size] of shape.entries()) {
      const at = rank - shape.length + i;
      const known = result[at] ?? 1;
      if (known !== 1 && size !== 1 && known !== size) {
        return problem("shape", `shapes ${shapes.map(shapeText).join(" and ")} do not broadcast together`);
      }
      if (known === 1) result[at] = size;
    }
  }
  return result;
}

/** Elements between neighbours along each dimension, row-major. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return strides;
}

/** Strides that read `shape` as if it had been broadcast to `target`: 0 along repeated dimensions. */
export function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const own = stridesOf(shape);
  const lead = target.length - shape.length;
  return target.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : (own[i - lead] ?? 0)));
}

/** For each element of a row-major `shape`: offset + sum of index x stride. */
export function stridedPositions(shape: readonly number[], strides: readonly number[], offset = 0): Int32Array {
  const positions = new Int32Array(countOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  const [run, step] = [shape.at(-1) ?? 1, strides.at(-1) ?? 0];
  let position = offset;
  for (let i = 0; i < positions.length; i += run) {
    for (let j = 0; j < run; j++) positions[i + j] = position + j * step;
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      position += strides[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        break;
      }
      position -= (strides[axis] ?? 0) * next;
      index[axis] = 0;
    }
  }
  return positions;
}

/** Elements of `source` at the given positions, as a tensor of `shape`. */
export function pick(source: TensorValue, shape: readonly number[], positions: ArrayLike<number>): TensorValue {
  const [from, data] = [source.data, allocate(source.dtype, positions.length)];
  if (isBigData(from) || isBigData(data)) {
    for (let i = 0; i < positions.length; i++) setElement(data, i, from[positions[i] ?? 0]);
  } else {
    for (let i = 0; i < positions.length; i++) data[i] = from[positions[i] ?? 0] ?? 0;
  }
  return tensorValue(source.dtype, shape, data);
}

export const pickStrided = (
  source: TensorValue,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): TensorValue => pick(source, shape, stridedPositions(shape, strides, offset));

/** `value` repeated to `shape`. */
export const broadcastTo = (value: TensorValue, shape: readonly number[]): TensorValue =>
  pickStrided(value, shape, broadcastStrides(value.shape, shape));

/** The shape seen as [before axis, axis, after axis]. */
export function aroundAxis(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [countOf(shape.slice(0, axis)), shape[axis] ?? 1, countOf(shape.slice(axis + 1))];
}
