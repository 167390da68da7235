// Layout algebra: where the elements of a tensor stand, as mixed-radix digits per dimension. View operators (reshape, transpose, slice,
// expand) are arithmetic on digits; `undefined` means that no digits describe the result and the data has to be moved.
import type { LayoutDigit } from "../../ir/machine/program.ts";

/** Element (i0, i1, ...) is at vector `vector + sum of digit steps`, lane `lane + sum of digit steps`. */
export interface Layout {
  readonly shape: readonly number[];
  /** Digits of each dimension, outermost first. A dimension of size 1 has none. */
  readonly dims: readonly (readonly LayoutDigit[])[];
  readonly vector: number;
  readonly lane: number;
}

const digitProduct = (digits: readonly LayoutDigit[]): number =>
  digits.reduce((product, digit) => product * digit.size, 1);

/** Row-major over all dims but `laneDim`, which runs along the lanes in blocks; blocks are outermost. `laneDim` -1: nothing along lanes. */
export function makeLayout(
  shape: readonly number[],
  laneDim: number,
  lanes: number,
): { layout: Layout; vectors: number } {
  const dims: LayoutDigit[][] = shape.map(() => []);
  let rows = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] as number;
    if (d === laneDim || size === 1) continue;
    dims[d] = [{ size, vector: rows, lane: 0 }];
    rows *= size;
  }
  let vectors = rows;
  const laneSize = laneDim >= 0 ? (shape[laneDim] as number) : 1;
  if (laneSize > 1) {
    const blocks = Math.ceil(laneSize / lanes);
    const inner: LayoutDigit = { size: Math.min(laneSize, lanes), vector: 0, lane: 1 };
    dims[laneDim] = blocks === 1 ? [inner] : [{ size: blocks, vector: rows, lane: 0 }, inner];
    vectors = rows * blocks;
  }
  return { layout: { shape, dims, vector: 0, lane: 0 }, vectors };
}

/**
 * The layout of a choice: a dimension along the lanes, or `shape.length` for heads side by side: the last dimension, and as many indices of the
 * third last one as fit into the lanes.
 */
export function choiceLayout(
  shape: readonly number[],
  choice: number,
  lanes: number,
): { layout: Layout; vectors: number } {
  if (choice < shape.length) return makeLayout(shape, choice, lanes);
  if (!packsHeads(shape, lanes)) return makeLayout(shape, shape.length - 1, lanes);
  const rank = shape.length;
  const chunk = shape[rank - 1] as number;
  const heads = shape[rank - 3] as number;
  const perVector = Math.floor(lanes / chunk);
  const blocks = Math.ceil(heads / perVector);
  const dims: LayoutDigit[][] = shape.map(() => []);
  let rows = 1;
  for (let d = rank - 2; d >= 0; d--) {
    const size = shape[d] as number;
    if (d === rank - 3 || size === 1) continue;
    dims[d] = [{ size, vector: rows, lane: 0 }];
    rows *= size;
  }
  dims[rank - 1] = [{ size: chunk, vector: 0, lane: 1 }];
  const side: LayoutDigit = { size: Math.min(heads, perVector), vector: 0, lane: chunk };
  dims[rank - 3] = blocks === 1 ? [side] : [{ size: blocks, vector: rows, lane: 0 }, side];
  return { layout: { shape, dims, vector: 0, lane: 0 }, vectors: rows * blocks };
}

/** Whether heads side by side save vectors. */
export function packsHeads(shape: readonly number[], lanes: number): boolean {
  const rank = shape.length;
  return (
    rank >= 3 &&
    (shape[rank - 1] as number) > 1 &&
    (shape[rank - 1] as number) * 2 <= lanes &&
    (shape[rank - 3] as number) > 1
  );
}

/**
 * The layout of an operand of `shape` that is read along with a result of layout `out`. Lanes as in `out`; where the operand has size 1 in a
 * lane dimension while another one runs, its value stands in all the lanes of that dimension. `spread` is the layout over those repeated
 * lanes, `own` that of the operand itself; `uniform`: nothing of it runs along lanes.
 */
export function followLayout(
  shape: readonly number[],
  out: Layout,
): { own: Layout; spread: Layout; vectors: number; uniform: boolean } {
  const laneDims = out.dims.map((digits) => digits.some((digit) => digit.lane !== 0 && digit.size > 1));
  const uniform = !laneDims.some((runs, d) => runs && (shape[d] as number) > 1);
  const own: LayoutDigit[][] = shape.map(() => []);
  const spread: LayoutDigit[][] = shape.map(() => []);
  const spreadShape = shape.map((size, d) => (!uniform && laneDims[d] && size === 1 ? (out.shape[d] as number) : size));
  let vectors = 1;
  const number = (size: number): LayoutDigit => {
    const digit = { size, vector: vectors, lane: 0 };
    vectors *= size;
    return digit;
  };
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] as number;
    const digits = out.dims[d] ?? [];
    if (!uniform && laneDims[d] && size === 1) spread[d] = digits.map((digit) => ({ ...digit, vector: 0 }));
    else if (size > 1 && laneDims[d]) continue;
    else if (size > 1) {
      own[d] = [number(size)];
      spread[d] = own[d] as LayoutDigit[];
    }
  }
  for (let d = shape.length - 1; d >= 0; d--) {
    if (!laneDims[d] || (shape[d] as number) === 1) continue;
    own[d] = (out.dims[d] ?? []).map((digit) => (digit.lane !== 0 ? { ...digit, vector: 0 } : number(digit.size)));
    spread[d] = own[d] as LayoutDigit[];
  }
  return {
    own: { shape, dims: own, vector: 0, lane: 0 },
    spread: { shape: spreadShape, dims: spread, vector: 0, lane: 0 },
    vectors,
    uniform,
  };
}

export function transposeLayout(layout: Layout, perm: readonly number[]): Layout {
  return {
    ...layout,
    shape: perm.map((p) => layout.shape[p] as number),
    dims: perm.map((p) => layout.dims[p] as readonly LayoutDigit[]),
  };
}

export function expandLayout(layout: Layout, shape: readonly number[]): Layout {
  return {
    ...layout,
    shape,
    dims: shape.map((size, d) =>
      layout.shape[d] === size ? (layout.dims[d] as readonly LayoutDigit[]) : [{ size, vector: 0, lane: 0 }],
    ),
  };
}

interface SlicedDim {
  readonly digits: readonly LayoutDigit[];
  readonly vector: number;
  readonly lane: number;
}

function sliceDim(digits: readonly LayoutDigit[], start: number, step: number, count: number): SlicedDim | undefined {
  let vector = 0;
  let lane = 0;
  const addIndex = (list: readonly LayoutDigit[], index: number): void => {
    let rest = index;
    for (let i = list.length - 1; i >= 0; i--) {
      const digit = list[i] as LayoutDigit;
      const value = i === 0 ? rest : rest % digit.size;
      rest = Math.floor(rest / digit.size);
      vector += value * digit.vector;
      lane += value * digit.lane;
    }
  };
  if (count === 1) {
    addIndex(digits, start);
    return { digits: [], vector, lane };
  }
  const inner = digits[digits.length - 1];
  if (inner === undefined) return undefined;
  const strided = { size: count, vector: inner.vector * step, lane: inner.lane * step };
  const outer = digits.slice(0, -1);
  const within = start % inner.size;
  const last = within + (count - 1) * step;
  if (outer.length === 0 || (last >= 0 && last < inner.size)) {
    addIndex(digits, start);
    return { digits: [strided], vector, lane };
  }
  if (step !== 1 || within !== 0) return undefined;
  const rest = sliceDim(outer, start / inner.size, 1, Math.ceil(count / inner.size));
  return rest && { digits: [...rest.digits, inner], vector: rest.vector, lane: rest.lane };
}

/** `shape` is the result's; every step is not 0. */
export function sliceLayout(
  layout: Layout,
  starts: readonly number[],
  steps: readonly number[],
  shape: readonly number[],
): Layout | undefined {
  let { vector, lane } = layout;
  const dims: (readonly LayoutDigit[])[] = [];
  for (let d = 0; d < shape.length; d++) {
    const digits = layout.dims[d] as readonly LayoutDigit[];
    const whole = starts[d] === 0 && steps[d] === 1 && shape[d] === layout.shape[d];
    if (whole || layout.shape[d] === 1) {
      dims.push(digits);
      continue;
    }
    const sliced = sliceDim(digits, starts[d] as number, steps[d] as number, shape[d] as number);
    if (sliced === undefined) return undefined;
    vector += sliced.vector;
    lane += sliced.lane;
    dims.push(sliced.digits);
  }
  return { shape, dims, vector, lane };
}

/** Adjacent digits that step as one are joined. */
export function joinDigits(digits: readonly LayoutDigit[]): LayoutDigit[] {
  const joined: LayoutDigit[] = [];
  for (const digit of digits) {
    if (digit.size === 1 && digits.length > 1) continue;
    const before = joined[joined.length - 1];
    if (
      before !== undefined &&
      before.vector === digit.size * digit.vector &&
      before.lane === digit.size * digit.lane
    ) {
      joined[joined.length - 1] = { size: before.size * digit.size, vector: digit.vector, lane: digit.lane };
    } else joined.push(digit);
  }
  return joined;
}

/** Digits for one output dimension taken from the inner end of `pool`; false when `size` does not divide them. */
function takeDigits(pool: LayoutDigit[], size: number): LayoutDigit[] | undefined {
  const taken: LayoutDigit[] = [];
  let rest = size;
  while (rest > 1) {
    const digit = pool.pop();
    if (digit === undefined) return undefined;
    if (digit.size <= rest) {
      if (rest % digit.size !== 0) return undefined;
      taken.unshift(digit);
      rest /= digit.size;
      continue;
    }
    if (digit.size % rest !== 0) return undefined;
    taken.unshift({ size: rest, vector: digit.vector, lane: digit.lane });
    pool.push({ size: digit.size / rest, vector: digit.vector * rest, lane: digit.lane * rest });
    rest = 1;
  }
  return taken;
}

/** A padded dimension (digits reach beyond its size) may only be padded in lanes: every vector it names holds some element. */
function paddedInLanesOnly(digits: readonly LayoutDigit[], size: number): boolean {
  return digitProduct(digits) === size || digits.slice(1).every((digit) => digit.vector === 0);
}

export function reshapeLayout(layout: Layout, shape: readonly number[]): Layout | undefined {
  const dims: LayoutDigit[][] = shape.map(() => []);
  let i = 0;
  let o = 0;
  while (i < layout.shape.length || o < shape.length) {
    let inSize = 1;
    let outSize = 1;
    const inFirst = i;
    const outFirst = o;
    do {
      if (inSize <= outSize && i < layout.shape.length) inSize *= layout.shape[i++] as number;
      else if (o < shape.length) outSize *= shape[o++] as number;
      else return undefined;
    } while (inSize !== outSize);
    const pool: LayoutDigit[] = [];
    for (let d = inFirst; d < i; d++) {
      const digits = layout.dims[d] as readonly LayoutDigit[];
      if (pool.length > 0 && digitProduct(digits) !== layout.shape[d]) return undefined;
      pool.push(...digits);
    }
    let outermost = outFirst;
    while (outermost < o && shape[outermost] === 1) outermost++;
    for (let d = o - 1; d > outermost; d--) {
      const taken = takeDigits(pool, shape[d] as number);
      if (taken === undefined) return undefined;
      dims[d] = joinDigits(taken);
    }
    if (outermost < o) {
      dims[outermost] = joinDigits(pool);
      if (!paddedInLanesOnly(dims[outermost] as LayoutDigit[], shape[outermost] as number)) return undefined;
    }
  }
  return { shape, dims, vector: layout.vector, lane: layout.lane };
}

/** Vector and lane of every index of one dimension. */
export function dimOffsets(digits: readonly LayoutDigit[], size: number): { vectors: Int32Array; lanes: Int32Array } {
  const vectors = new Int32Array(size);
  const lanes = new Int32Array(size);
  for (let index = 0; index < size; index++) {
    let rest = index;
    for (let d = digits.length - 1; d >= 0; d--) {
      const digit = digits[d] as LayoutDigit;
      const value = d === 0 ? rest : rest % digit.size;
      rest = (rest - (rest % digit.size)) / digit.size;
      vectors[index] = (vectors[index] as number) + value * digit.vector;
      lanes[index] = (lanes[index] as number) + value * digit.lane;
    }
  }
  return { vectors, lanes };
}

/** Whether any digit of the dimension moves along lanes. */
export const runsAlongLanes = (digits: readonly LayoutDigit[]): boolean =>
  digits.some((digit) => digit.lane !== 0 && digit.size > 1);
