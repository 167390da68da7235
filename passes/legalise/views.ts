// Views and moves of core tensors, simplified as they are made: nothing that changes nothing, one view where two would do.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { numbersAttr } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { type CoreDraft, constantOf, dtypeOf, emitCore, producedBy, shapeOf, uniform } from "./core-draft.ts";

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, dim) => size === b[dim]);

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

export function reshape(d: CoreDraft, x: TensorId, shape: readonly number[]): TensorId {
  if (sameShape(shapeOf(d, x), shape)) return x;
  invariant(elementCount(shape) === elementCount(shapeOf(d, x)), `reshape [${shapeOf(d, x)}] to [${shape}]`);
  const before = producedBy(d, x, "reshape")?.inputs[0];
  if (before !== undefined) return reshape(d, before, shape);
  return emitCore(d, "reshape", [x], {}, dtypeOf(d, x), shape);
}

/** Leading dimensions of size 1 until the rank is reached. */
export function withRank(d: CoreDraft, x: TensorId, rank: number): TensorId {
  const shape = shapeOf(d, x);
  return shape.length >= rank ? x : reshape(d, x, [...new Array<number>(rank - shape.length).fill(1), ...shape]);
}

export function transpose(d: CoreDraft, x: TensorId, perm: readonly number[]): TensorId {
  const shape = shapeOf(d, x);
  const out = perm.map((dim) => shape[dim] ?? 1);
  const moved = perm.filter((dim) => shape[dim] !== 1);
  if (moved.every((dim, index) => index === 0 || dim > (moved[index - 1] ?? 0))) return reshape(d, x, out);
  const before = producedBy(d, x, "transpose");
  const [source] = before?.inputs ?? [];
  if (before !== undefined && source !== undefined) {
    const inner = numbersAttr(before.attrs, "perm");
    return transpose(
      d,
      source,
      perm.map((dim) => inner[dim] ?? 0),
    );
  }
  return emitCore(d, "transpose", [x], { perm: [...perm] }, dtypeOf(d, x), out);
}

/** The last two dimensions swapped. */
export function swapLast(d: CoreDraft, x: TensorId): TensorId {
  const rank = shapeOf(d, x).length;
  return transpose(d, x, [...range(rank - 2), rank - 1, rank - 2]);
}

/** Size-1 dimensions repeated, missing leading ones added. */
export function expand(d: CoreDraft, x: TensorId, shape: readonly number[]): TensorId {
  const ranked = withRank(d, x, shape.length);
  if (sameShape(shapeOf(d, ranked), shape)) return ranked;
  const before = producedBy(d, ranked, "expand")?.inputs[0];
  return emitCore(d, "expand", [before ?? ranked], {}, dtypeOf(d, x), shape);
}

function composedSlice(
  d: CoreDraft,
  x: TensorId,
  starts: readonly number[],
  steps: readonly number[],
  out: readonly number[],
): TensorId | undefined {
  const before = producedBy(d, x, "slice");
  const [source] = before?.inputs ?? [];
  if (before === undefined || source === undefined) return undefined;
  const innerStarts = numbersAttr(before.attrs, "starts");
  const innerSteps = numbersAttr(before.attrs, "steps");
  const start = starts.map((value, dim) => (innerStarts[dim] ?? 0) + value * (innerSteps[dim] ?? 1));
  const step = steps.map((value, dim) => value * (innerSteps[dim] ?? 1));
  return slice(d, source, start, step, out);
}

/** A slice that lies inside one operand of a concat reads that operand. */
function sliceOfConcat(
  d: CoreDraft,
  x: TensorId,
  starts: readonly number[],
  steps: readonly number[],
  out: readonly number[],
): TensorId | undefined {
  const concatNode = producedBy(d, x, "concat");
  if (concatNode === undefined) return undefined;
  const axis = Number(concatNode.attrs.axis);
  const first = starts[axis] ?? 0;
  const last = first + ((out[axis] ?? 1) - 1) * (steps[axis] ?? 1);
  let offset = 0;
  for (const operand of concatNode.inputs) {
    const size = shapeOf(d, operand)[axis] ?? 1;
    if (Math.min(first, last) >= offset && Math.max(first, last) < offset + size) {
      return slice(
        d,
        operand,
        starts.map((start, dim) => (dim === axis ? start - offset : start)),
        steps,
        out,
      );
    }
    offset += size;
  }
  return undefined;
}

export function slice(
  d: CoreDraft,
  x: TensorId,
  starts: readonly number[],
  steps: readonly number[],
  out: readonly number[],
): TensorId {
  const shape = shapeOf(d, x);
  const plain = steps.map((step, dim) => ((out[dim] ?? 1) <= 1 ? 1 : step));
  if (sameShape(out, shape) && plain.every((step) => step === 1)) return x;
  if (elementCount(out) > 0) {
    const simpler = composedSlice(d, x, starts, plain, out) ?? sliceOfConcat(d, x, starts, plain, out);
    if (simpler !== undefined) return simpler;
  }
  return emitCore(d, "slice", [x], { starts: [...starts], steps: plain }, dtypeOf(d, x), out);
}

/** Elements start <= index < stop of one axis. */
export function sliceAxis(d: CoreDraft, x: TensorId, axis: number, start: number, stop: number): TensorId {
  const shape = shapeOf(d, x);
  const starts = shape.map((_, dim) => (dim === axis ? start : 0));
  const out = shape.map((size, dim) => (dim === axis ? stop - start : size));
  return slice(
    d,
    x,
    starts,
    shape.map(() => 1),
    out,
  );
}

/** Start of a unit-step slice of `source` along `axis` that keeps all other dimensions whole. */
function runOf(
  d: CoreDraft,
  x: TensorId,
  axis: number,
): { readonly source: TensorId; readonly start: number } | undefined {
  const node = producedBy(d, x, "slice");
  const [source] = node?.inputs ?? [];
  if (node === undefined || source === undefined) return undefined;
  const whole = shapeOf(d, source);
  const steps = numbersAttr(node.attrs, "steps");
  if (steps.some((step) => step !== 1)) return undefined;
  if (shapeOf(d, x).some((size, dim) => dim !== axis && size !== whole[dim])) return undefined;
  return { source, start: numbersAttr(node.attrs, "starts")[axis] ?? 0 };
}

/** Neighbouring slices of one tensor put together again. */
function joinRuns(d: CoreDraft, parts: readonly TensorId[], axis: number): TensorId[] {
  const joined: TensorId[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const before = last === undefined ? undefined : runOf(d, last, axis);
    const run = runOf(d, part, axis);
    if (last !== undefined && before !== undefined && run !== undefined && before.source === run.source) {
      const middle = before.start + (shapeOf(d, last)[axis] ?? 0);
      if (middle === run.start) {
        joined[joined.length - 1] = sliceAxis(
          d,
          run.source,
          axis,
          before.start,
          run.start + (shapeOf(d, part)[axis] ?? 0),
        );
        continue;
      }
    }
    joined.push(part);
  }
  return joined;
}

export function concat(d: CoreDraft, operands: readonly TensorId[], axis: number): TensorId {
  const flat = operands.flatMap((operand) => {
    if ((shapeOf(d, operand)[axis] ?? 0) === 0) return [];
    const inner = producedBy(d, operand, "concat");
    return inner !== undefined && inner.attrs.axis === axis ? inner.inputs : [operand];
  });
  const parts = joinRuns(d, flat, axis);
  const [first] = parts.length === 0 ? operands : parts;
  invariant(first !== undefined, "concat of nothing");
  if (parts.length <= 1) return first;
  const total = parts.reduce((sum, part) => sum + (shapeOf(d, part)[axis] ?? 0), 0);
  const out = shapeOf(d, first).map((size, dim) => (dim === axis ? total : size));
  return emitCore(d, "concat", parts, { axis }, dtypeOf(d, first), out);
}

export function pad(
  d: CoreDraft,
  x: TensorId,
  before: readonly number[],
  after: readonly number[],
  value: number,
): TensorId {
  if ([...before, ...after].every((count) => count === 0)) return x;
  const out = shapeOf(d, x).map((size, dim) => size + (before[dim] ?? 0) + (after[dim] ?? 0));
  if (elementCount(shapeOf(d, x)) === 0) return full(d, out, value, dtypeOf(d, x) === "float32" ? "float32" : "int32");
  return emitCore(d, "pad", [x], { before: [...before], after: [...after], value }, dtypeOf(d, x), out);
}

/** `pad` with a value that may be computed at run time, of one element. */
export function padWith(
  d: CoreDraft,
  x: TensorId,
  before: readonly number[],
  after: readonly number[],
  value: TensorId,
): TensorId {
  const known = uniform(d, value);
  const bytes = dtypeOf(d, x) === "int8" || dtypeOf(d, x) === "uint8";
  if (known !== undefined && (!bytes || known === 0)) return pad(d, x, before, after, known);
  let result = x;
  for (const axis of shapeOf(d, x).keys()) {
    const shape = shapeOf(d, result);
    const block = (count: number): TensorId =>
      expand(
        d,
        reshape(
          d,
          value,
          shape.map(() => 1),
        ),
        shape.map((size, dim) => (dim === axis ? count : size)),
      );
    const parts = [block(before[axis] ?? 0), result, block(after[axis] ?? 0)];
    result = concat(d, parts, axis);
  }
  return result;
}

/** A constant of one number, repeated to a shape. */
export function full(
  d: CoreDraft,
  shape: readonly number[],
  value: number,
  dtype: "float32" | "int32" = "float32",
): TensorId {
  return expand(d, constantOf(d, [value], new Array<number>(shape.length).fill(1), dtype), shape);
}

/** Rows along `axis` at run-time indices, which are inside the axis already. */
export function gather(d: CoreDraft, data: TensorId, indices: TensorId, axis: number): TensorId {
  const shape = shapeOf(d, data);
  const out = [...shape.slice(0, axis), ...shapeOf(d, indices), ...shape.slice(axis + 1)];
  return emitCore(d, "gather", [data, indices], { axis }, dtypeOf(d, data), out);
}

/** Dimensions of size 1 put in so that they stand at `axes` of the result. */
export function unsqueeze(d: CoreDraft, x: TensorId, axes: readonly number[]): TensorId {
  const rank = shapeOf(d, x).length + axes.length;
  const rest = [...shapeOf(d, x)];
  return reshape(
    d,
    x,
    range(rank).map((dim) => (axes.includes(dim) ? 1 : (rest.shift() ?? 1))),
  );
}
