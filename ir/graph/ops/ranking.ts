// Positions and values of extreme elements along an axis. Equal elements: the lower index comes first.
import { int, numberOf } from "../attr.ts";
import {
  defineOp,
  type EvaluateContext,
  type InferContext,
  type Inferred,
  isProblem,
  type OnnxOpRow,
  problem,
} from "../op-row.ts";
import { aroundAxis, axisOf, pick } from "../shapes.ts";
import { bigintsOf, intsOf, is64Bit, numbersOf, type TensorValue, valueFromNumbers } from "../values.ts";
import { keptShape } from "./reduce.ts";
import { axisAttr, outputAt, typeAt, valueAt } from "./rules.ts";

const comparable = (x: TensorValue): ArrayLike<number | bigint> => (is64Bit(x.dtype) ? bigintsOf(x) : numbersOf(x));

function inferArg(ctx: InferContext): Inferred {
  const { shape } = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  if (shape[axis] === 0) return problem("shape", `axis ${axis} is empty`);
  return [{ dtype: "int64", shape: keptShape(shape, [axis], numberOf(ctx.attrs, "keepdims") === 1) }];
}

type Comparable = number | bigint;

function argExtreme(ctx: EvaluateContext, beats: (a: Comparable, b: Comparable) => boolean): TensorValue {
  const x = valueAt(ctx, 0);
  const last = numberOf(ctx.attrs, "select_last_index") === 1;
  const [outer, size, inner] = aroundAxis(x.shape, axisOf(numberOf(ctx.attrs, "axis"), x.shape.length));
  const source = comparable(x);
  const result = Array.from({ length: outer * inner }, (_, flat) => {
    const at = (j: number): Comparable => source[(Math.floor(flat / inner) * size + j) * inner + (flat % inner)] ?? 0;
    let best = 0;
    for (let j = 1; j < size; j++) if (beats(at(j), at(best)) || (last && at(j) === at(best))) best = j;
    return best;
  });
  const out = outputAt(ctx);
  return valueFromNumbers(out.dtype, out.shape, result);
}

const argRow = (summary: string, beats: (a: Comparable, b: Comparable) => boolean): OnnxOpRow =>
  defineOp({
    summary,
    inputs: ["data: number"],
    outputs: ["reduced"],
    attrs: { axis: int(0), keepdims: int(1), select_last_index: int(0) },
    infer: inferArg,
    evaluate: (ctx) => [argExtreme(ctx, beats)],
  });

function inferTopK(ctx: InferContext): Inferred {
  const { dtype, shape } = typeAt(ctx, 0);
  const axis = axisAttr(ctx);
  if (isProblem(axis)) return axis;
  const count = ctx.constant(1);
  if (count === undefined) return problem("constant", "input K is computed at run time, and the shape depends on it");
  const k = intsOf(count)[0] ?? 0;
  if (k < 0 || k > (shape[axis] ?? 0)) return problem("shape", `K is ${k}, axis ${axis} has ${shape[axis]} elements`);
  return [
    { dtype, shape: shape.with(axis, k) },
    { dtype: "int64", shape: shape.with(axis, k) },
  ];
}

/** The K first of each line in sorted order (also when sorted=0, which leaves the order open). NaN counts as the largest. */
function topK(ctx: EvaluateContext): TensorValue[] {
  const x = valueAt(ctx, 0);
  const out = outputAt(ctx);
  const sign = numberOf(ctx.attrs, "largest") === 1 ? -1 : 1;
  const axis = axisOf(numberOf(ctx.attrs, "axis"), x.shape.length);
  const [outer, size, inner] = aroundAxis(x.shape, axis);
  const k = out.shape[axis] ?? 0;
  const source = comparable(x);
  const positions = new Int32Array(outer * k * inner);
  const indices = new Int32Array(outer * k * inner);
  const order = (a: Comparable, b: Comparable): number => {
    const [noneA, noneB] = [Number.isNaN(Number(a)), Number.isNaN(Number(b))];
    if (noneA || noneB) return Number(noneA) - Number(noneB);
    return a < b ? -1 : a > b ? 1 : 0;
  };
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const at = (j: number): number => (o * size + j) * inner + i;
      const ranked = Array.from({ length: size }, (_, j) => j).sort(
        (a, b) => sign * order(source[at(a)] ?? 0, source[at(b)] ?? 0) || a - b,
      );
      for (const [r, j] of ranked.slice(0, k).entries()) {
        positions[(o * k + r) * inner + i] = at(j);
        indices[(o * k + r) * inner + i] = j;
      }
    }
  }
  return [pick(x, out.shape, positions), valueFromNumbers("int64", out.shape, indices)];
}

export const rankingOps = {
  ArgMax: argRow("index of the largest element along axis: the first one, or the last if asked", (a, b) => a > b),
  ArgMin: argRow("index of the smallest element along axis: the first one, or the last if asked", (a, b) => a < b),
  TopK: defineOp({
    summary: "the K largest or smallest elements along axis, in order, and their indices",
    inputs: ["X: number", "K: int64"],
    outputs: ["Values", "Indices"],
    attrs: { axis: int(-1), largest: int(1), sorted: int(1) },
    infer: inferTopK,
    evaluate: (ctx) => topK(ctx).slice(0, ctx.outputs.length),
  }),
} as const satisfies Record<string, OnnxOpRow>;
