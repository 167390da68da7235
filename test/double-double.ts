// A small double-double arithmetic (about 31 digits) and elementary functions on it: the reference that tests hold ir/numeric against.
// Written independently of it: other series, other reductions.

/** The unevaluated sum high + low. */
export type Pair = readonly [number, number];

const twoSum = (a: number, b: number): Pair => {
  const s = a + b;
  const part = s - a;
  return [s, a - (s - part) + (b - part)];
};

const twoProduct = (a: number, b: number): Pair => {
  const p = a * b;
  const aBig = 134217729 * a;
  const aHigh = aBig - (aBig - a);
  const aLow = a - aHigh;
  const bBig = 134217729 * b;
  const bHigh = bBig - (bBig - b);
  const bLow = b - bHigh;
  return [p, aHigh * bHigh - p + aHigh * bLow + aLow * bHigh + aLow * bLow];
};

const add = (a: Pair, b: Pair): Pair => {
  const [s, e] = twoSum(a[0], b[0]);
  const low = e + a[1] + b[1];
  return twoSum(s, low);
};

const multiply = (a: Pair, b: Pair): Pair => {
  const [p, e] = twoProduct(a[0], b[0]);
  return twoSum(p, e + (a[0] * b[1] + a[1] * b[0]));
};

const divide = (a: Pair, b: Pair): Pair => {
  const q = a[0] / b[0];
  const rest = add(a, multiply([-q, 0], b));
  return twoSum(q, (rest[0] + rest[1]) / b[0]);
};

const LN2: Pair = [Math.LN2, 2.3190468138462996e-17];

const inverseFactorials: readonly Pair[] = (() => {
  const list: Pair[] = [[1, 0]];
  for (let k = 1; k <= 30; k += 1) list.push(divide(list[k - 1] as Pair, [k, 0]));
  return list;
})();

/** e^r - 1 by its Taylor series, |r| <= 0.36. */
const expm1Small = (r: Pair): Pair => {
  let sum: Pair = [0, 0];
  const terms = Math.abs(r[0]) < 1e-3 ? 10 : 24;
  for (let k = terms; k >= 1; k -= 1) sum = multiply(add(sum, inverseFactorials[k] as Pair), r);
  return sum;
};

/** 2^x. */
export const exp2 = (x: number): Pair => {
  const n = Math.round(x);
  const e = add(expm1Small(multiply([x - n, 0], LN2)), [1, 0]);
  const scale = 2 ** n;
  return [e[0] * scale, e[1] * scale];
};

/** e^x - 1 for |x| < 700. */
export const expm1 = (x: Pair): Pair => {
  const n = Math.round(x[0] / LN2[0]);
  const r = add(x, multiply([-n, 0], LN2));
  const small = expm1Small(r);
  if (n === 0) return small;
  const scale = 2 ** n;
  return add([small[0] * scale, small[1] * scale], [scale - 1, 0]);
};

/** Hyperbolic tangent, |x| < 300. */
export const tanh = (x: number): Pair => {
  const t = expm1([2 * x, 0]);
  return divide(t, add(t, [2, 0]));
};

/** 1 / sqrt(x), x > 0. */
export const rsqrt = (x: number): Pair => {
  const y = 1 / Math.sqrt(x);
  const rest = add([1, 0], multiply(multiply([-x, 0], [y, 0]), [y, 0]));
  return twoSum(y, (y * (rest[0] + rest[1])) / 2);
};

/** Spacing of binary32 numbers around x. */
export const ulp32 = (x: number): number => 2 ** Math.max(Math.floor(Math.log2(Math.abs(x))) - 23, -149);
