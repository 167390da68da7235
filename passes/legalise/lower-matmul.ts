// Matrix products: operands brought to equal ranks, shared weights applied to one flat matrix, Gemm's and FusedMatMul's transposes and factors as
// views and scalar products, Einsum as transposes around one product.
import { numberOf, optionalNumber } from "../../ir/graph/attr.ts";
import { elementCount, type TensorId } from "../../ir/graph/graph.ts";
import { add, broadcastShape, mul, reduce, toFloat, toInt } from "./arith.ts";
import { type CoreDraft, constantOf, emitCore, float, isFloat, isMadeOfConstants, shapeOf } from "./core-draft.ts";
import { groupedOperands } from "./shared-heads.ts";
import { hasInput, type Lowered, type LoweringTable, outputType, refuse, type Site } from "./site.ts";
import { expand, reshape, slice, swapLast, transpose, withRank } from "./views.ts";

/** One product of operands of equal rank. */
function product(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const [left, right] = [shapeOf(d, a), shapeOf(d, b)];
  const batch = broadcastShape([left.slice(0, -2), right.slice(0, -2)]);
  const shape = [...batch, left.at(-2) ?? 1, right.at(-1) ?? 1];
  const bytes = d.tensors[a]?.dtype === "int8" || d.tensors[a]?.dtype === "uint8";
  if (left.at(-1) === 0) return expand(d, bytes ? constantOf(d, [0], [], "int32") : float(d, 0), shape);
  if (!bytes && isThin(d, a, b)) return reshape(d, sumOfProducts(d, a, b), shape);
  return emitCore(d, "matmul", [a, b], { precision: bytes ? "int8" : d.precision }, bytes ? "int32" : "float32", shape);
}

/**
 * Most numbers of the left matrix of a thin product, how many times as many columns there are at least, and how often a column would fit into the lanes
 * side by side with others: only where it is so short are caches kept with their rows along the lanes.
 */
const THIN_NUMBERS = 128;
const THIN_COLUMNS = 4;
const THIN_IN_LANES = 4;

/**
 * A few numbers against a long list of short columns, none of which is constant: scores of one token over a cache. The matrix unit would take a row of
 * its tile for every column, most of it empty; in the vector unit each number meets as many columns at a time as there are lanes.
 */
function isThin(d: CoreDraft, a: TensorId, b: TensorId): boolean {
  const [m = 1, k = 1] = shapeOf(d, a).slice(-2);
  const columns = shapeOf(d, b).at(-1) ?? 1;
  return (
    !isMadeOfConstants(d, b) && k * THIN_IN_LANES <= d.lanes && m * k <= THIN_NUMBERS && m * k * THIN_COLUMNS <= columns
  );
}

/** Products of [..., M, K, 1] and [..., 1, K, N], added up along K. */
function sumOfProducts(d: CoreDraft, x: TensorId, y: TensorId): TensorId {
  const column = reshape(d, x, [...shapeOf(d, x), 1]);
  const row = reshape(d, y, [...shapeOf(d, y).slice(0, -2), 1, ...shapeOf(d, y).slice(-2)]);
  return reduce(d, "reduceSum", mul(d, column, row), [shapeOf(d, x).length - 1]);
}

/** Product over the last two dimensions with broadcasting in front; float32 or byte operands. */
export function matmul(d: CoreDraft, a: TensorId, b: TensorId): TensorId {
  const rank = Math.max(shapeOf(d, a).length, shapeOf(d, b).length);
  const [left, right] = [withRank(d, a, rank), withRank(d, b, rank)];
  const [leftShape, rightShape] = [shapeOf(d, left), shapeOf(d, right)];
  const [m = 1, k = 1] = leftShape.slice(-2);
  const n = rightShape.at(-1) ?? 1;
  if (rank > 2 && elementCount(rightShape.slice(0, -2)) === 1) {
    const rows = elementCount(leftShape.slice(0, -2)) * m;
    const flat = product(d, reshape(d, left, [rows, k]), reshape(d, right, [k, n]));
    return reshape(d, flat, [...leftShape.slice(0, -2), m, n]);
  }
  const grouped = groupedOperands(d, left, right);
  if (grouped === undefined) return product(d, left, right);
  const made = product(d, ...grouped);
  return reshape(d, made, [...shapeOf(d, made).slice(0, -3), leftShape.at(-3) ?? 1, m, n]);
}

/** MatMul's treatment of vectors. */
function matmulAnyRank(d: CoreDraft, a: TensorId, b: TensorId, shape: readonly number[]): TensorId {
  const left = shapeOf(d, a).length === 1 ? reshape(d, a, [1, ...shapeOf(d, a)]) : a;
  const right = shapeOf(d, b).length === 1 ? reshape(d, b, [...shapeOf(d, b), 1]) : b;
  return reshape(d, matmul(d, left, right), shape);
}

/** Whole numbers as products and sums, for what the matrix unit has no type for. */
function integerMatmul(d: CoreDraft, a: TensorId, b: TensorId, shape: readonly number[]): TensorId {
  const left = shapeOf(d, a).length === 1 ? reshape(d, a, [1, ...shapeOf(d, a)]) : a;
  const right = shapeOf(d, b).length === 1 ? reshape(d, b, [...shapeOf(d, b), 1]) : b;
  const rank = Math.max(shapeOf(d, left).length, shapeOf(d, right).length);
  const [x, y] = [withRank(d, left, rank), withRank(d, right, rank)];
  return reshape(d, sumOfProducts(d, x, y), shape);
}

export function matmulOf(d: CoreDraft, site: Site): TensorId {
  const [a, b] = [site.input(0), site.input(1)];
  const { shape } = outputType(site);
  return isFloat(d, a) ? matmulAnyRank(d, a, b, shape) : integerMatmul(d, a, b, shape);
}

const factor = (d: CoreDraft, x: TensorId, value: number): TensorId => {
  if (value === 1) return x;
  return isFloat(d, x) ? mul(d, x, float(d, value)) : toInt(d, mul(d, toFloat(d, x), float(d, value)), "trunc");
};

export function gemm(d: CoreDraft, site: Site): TensorId {
  const a = numberOf(site.attrs, "transA") === 1 ? swapLast(d, site.input(0)) : site.input(0);
  const b = numberOf(site.attrs, "transB") === 1 ? swapLast(d, site.input(1)) : site.input(1);
  const { shape } = outputType(site);
  return afterGemm(d, site, isFloat(d, a) ? matmul(d, a, b) : integerMatmul(d, a, b, shape));
}

/** What Gemm does with the product: factors and the third operand. */
export function afterGemm(d: CoreDraft, site: Site, whole: TensorId): TensorId {
  const scaled = factor(d, whole, numberOf(site.attrs, "alpha"));
  const beta = numberOf(site.attrs, "beta");
  return hasInput(site, 2) && beta !== 0 ? add(d, scaled, factor(d, site.input(2), beta)) : scaled;
}

/** The first matrix dimension moved behind the batch, as FusedMatMul's transBatch options want it. */
function batchBehind(d: CoreDraft, x: TensorId): TensorId {
  const shape = shapeOf(d, x);
  const rank = shape.length;
  const perm = [...Array.from({ length: rank - 2 }, (_, dim) => dim + 1), 0, rank - 1];
  const moved = perm.map((dim) => shape[dim] ?? 1);
  return emitCore(d, "transpose", [x], { perm }, "float32", moved);
}

function fusedMatMul(d: CoreDraft, site: Site): TensorId {
  const side = (index: number, trans: string, transBatch: string): TensorId => {
    const x = site.input(index);
    const moved =
      (optionalNumber(site.attrs, transBatch) ?? 0) === 1 && shapeOf(d, x).length > 2 ? batchBehind(d, x) : x;
    const flips = numberOf(site.attrs, trans) === 1 && shapeOf(d, moved).length > 1;
    return flips ? swapLast(d, moved) : moved;
  };
  const a = side(0, "transA", "transBatchA");
  const b = side(1, "transB", "transBatchB");
  return factor(d, matmulAnyRank(d, a, b, outputType(site).shape), numberOf(site.attrs, "alpha"));
}

interface Term {
  readonly id: TensorId;
  readonly letters: string;
}

/** Dimensions of a term put into an order of letters that includes its own; missing ones get size 1. */
function arrange(d: CoreDraft, term: Term, letters: string): TensorId {
  const present = [...letters].filter((letter) => term.letters.includes(letter));
  const perm = present.map((letter) => term.letters.indexOf(letter));
  const shape = shapeOf(d, term.id);
  const moved = perm.map((dim) => shape[dim] ?? 1);
  const sorted = perm.every((dim, index) => dim === index)
    ? term.id
    : emitCore(d, "transpose", [term.id], { perm }, isFloat(d, term.id) ? "float32" : "int32", moved);
  const full = [...letters].map((letter) =>
    term.letters.includes(letter) ? (shape[term.letters.indexOf(letter)] ?? 1) : 1,
  );
  return reshape(d, sorted, full);
}

/** Sum over letters that no other term and no result needs. */
function withoutLetters(d: CoreDraft, term: Term, kept: string): Term {
  const axes = [...term.letters].flatMap((letter, dim) => (kept.includes(letter) ? [] : [dim]));
  if (axes.length === 0) return term;
  const letters = [...term.letters].filter((letter) => kept.includes(letter)).join("");
  const shape = [...term.letters].flatMap((letter, dim) =>
    kept.includes(letter) ? [shapeOf(d, term.id)[dim] ?? 1] : [],
  );
  return { id: reshape(d, reduce(d, "reduceSum", term.id, axes), shape), letters };
}

/** Two terms into one: shared kept letters are batch, shared summed ones are the inner dimension. */
function contract(d: CoreDraft, first: Term, second: Term, kept: string): Term {
  const a = withoutLetters(d, first, kept + second.letters);
  const b = withoutLetters(d, second, kept + a.letters);
  const both = [...a.letters].filter((letter) => b.letters.includes(letter));
  const batch = both.filter((letter) => kept.includes(letter)).join("");
  const inner = both.filter((letter) => !kept.includes(letter)).join("");
  const rows = [...a.letters].filter((letter) => !b.letters.includes(letter)).join("");
  const columns = [...b.letters].filter((letter) => !a.letters.includes(letter)).join("");
  const letters = batch + rows + columns;
  if (inner === "" || !isFloat(d, a.id)) {
    const all = batch + rows + columns + inner;
    const whole = { id: mul(d, arrange(d, a, all), arrange(d, b, all)), letters: all };
    return withoutLetters(d, whole, letters);
  }
  const sizes = (term: Term, list: string): number[] =>
    [...list].map((letter) => shapeOf(d, term.id)[term.letters.indexOf(letter)] ?? 1);
  const lead = broadcastShape([sizes(a, batch), sizes(b, batch)]);
  const left = reshape(d, arrange(d, a, batch + rows + inner), [
    ...sizes(a, batch),
    elementCount(sizes(a, rows)),
    elementCount(sizes(a, inner)),
  ]);
  const right = reshape(d, arrange(d, b, batch + inner + columns), [
    ...sizes(b, batch),
    elementCount(sizes(b, inner)),
    elementCount(sizes(b, columns)),
  ]);
  const result = matmul(d, left, right);
  return { id: reshape(d, result, [...lead, ...sizes(a, rows), ...sizes(b, columns)]), letters };
}

/** A term whose repeated letters are taken once: n x n places in a row, of which every (n + 1)th is on the diagonal. */
function diagonal(d: CoreDraft, term: Term): Term {
  const letters = [...term.letters];
  const again = letters.findIndex((letter, at) => letters.indexOf(letter) < at);
  if (again < 0) return term;
  const first = letters.indexOf(letters[again] ?? "");
  const shape = shapeOf(d, term.id);
  const dims = shape.map((_, dim) => dim).filter((dim) => dim !== again);
  const size = Math.max(shape[first] ?? 1, shape[again] ?? 1);
  const square = shape.map((own, dim) => (dim === first || dim === again ? size : own));
  const moved = transpose(d, expand(d, term.id, square), dims.toSpliced(dims.indexOf(first) + 1, 0, again));
  const joined = dims.map((dim) => (dim === first ? size * size : (square[dim] ?? 1)));
  const row = reshape(d, moved, joined);
  const steps = dims.map((dim) => (dim === first ? size + 1 : 1));
  const counts = dims.map((dim) => square[dim] ?? 1);
  const starts = dims.map(() => 0);
  return diagonal(d, { id: slice(d, row, starts, steps, counts), letters: letters.toSpliced(again, 1).join("") });
}

/** An ellipsis becomes letters that no equation has. */
function parseEinsum(
  equation: string,
  ranks: readonly number[],
): { readonly terms: string[]; readonly result: string } {
  const [left = "", given] = equation.replaceAll(" ", "").split("->");
  const spread = "αβγδεζηθικ";
  const widths = left.split(",").map((text, index) => (ranks[index] ?? 0) - text.replace("...", "").length);
  const widest = Math.max(
    0,
    ...left.split(",").map((text, index) => (text.includes("...") ? (widths[index] ?? 0) : 0)),
  );
  const dots = (width: number): string => spread.slice(0, widest).slice(widest - width);
  const terms = left.split(",").map((text, index) => text.replace("...", dots(widths[index] ?? 0)));
  const all = terms.join("");
  const once = [...new Set(all)]
    .filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter) && !spread.includes(letter))
    .sort();
  return { terms, result: given === undefined ? dots(widest) + once.join("") : given.replace("...", dots(widest)) };
}

function einsum(d: CoreDraft, site: Site): Lowered {
  const inputs = site.types.map((_, index) => site.input(index));
  const parsed = parseEinsum(
    String(site.attrs.equation),
    inputs.map((id) => shapeOf(d, id).length),
  );
  const terms = inputs.map((id, index) => diagonal(d, { id, letters: parsed.terms[index] ?? "" }));
  let [result] = terms;
  if (result === undefined) return refuse("there is no operand");
  for (const [index, term] of terms.slice(1).entries()) {
    const later = terms
      .slice(index + 2)
      .map((other) => other.letters)
      .join("");
    result = contract(d, result, term, parsed.result + later);
  }
  const summed = withoutLetters(d, result, parsed.result);
  return expand(d, arrange(d, summed, parsed.result), outputType(site).shape);
}

export const matmulLowerings: LoweringTable = {
  MatMul: matmulOf,
  Gemm: gemm,
  Einsum: einsum,
  "com.microsoft.FusedMatMul": fusedMatMul,
};
