// Arithmetic of the data-flow proof: integers modulo a prime near 2^23, kept balanced around 0, so that a sum of 256 products is an exact
// double and is reduced once. Floats are embedded exactly as m * 2^e; infinities and NaN stand outside the field. Functions that are not
// polynomials are fixed pseudo-random functions. Knows nothing of programs.

export const prime = 8388593;
const half = (prime - 1) / 2;
/** Products that may be summed before a reduction. */
export const lazyTerms = 256;

// Outside [-half, half], in the order of the extended reals.
export const minusInfinity = -(2 ** 28);
export const plusInfinity = 2 ** 28;
export const notANumber = 2 ** 28 + 1;

export function isSpecial(x: number): boolean {
  return x > half || x < -half;
}

/** The balanced residue of an integer below 2^53. */
export function reduce(x: number): number {
  const r = x - prime * Math.round(x / prime);
  if (r > half) return r - prime;
  return r < -half ? r + prime : r;
}

function addSpecial(a: number, b: number): number {
  if (a === notANumber || b === notANumber) return notANumber;
  if (!isSpecial(a)) return b;
  return !isSpecial(b) || a === b ? a : notANumber;
}

export function addField(a: number, b: number): number {
  if (isSpecial(a) || isSpecial(b)) return addSpecial(a, b);
  const sum = a + b;
  if (sum > half) return sum - prime;
  return sum < -half ? sum + prime : sum;
}

export function negateField(a: number): number {
  return a === notANumber ? a : -a;
}

export function multiplyField(a: number, b: number): number {
  if (!isSpecial(a) && !isSpecial(b)) return reduce(a * b);
  if (a === notANumber || b === notANumber || a === 0 || b === 0) return notANumber;
  return a > 0 === b > 0 ? plusInfinity : minusInfinity;
}

let firstInOrder = -half;

/**
 * Turns the order in which values are smaller or larger by a share of the circle they stand on. A value that meets a constant is hidden by it or
 * not by where the constant stands: another place in every run, and what is hidden in one is seen in another.
 */
export function turnOrder(share: number): void {
  firstInOrder = reduce(Math.round(prime * share) - half);
}

const rankOf = (x: number): number => (x < firstInOrder ? x + prime : x);

/** Is `a` before `b`? The infinities are at the ends, wherever the order begins. */
const isBefore = (a: number, b: number): boolean => (isSpecial(a) || isSpecial(b) ? a < b : rankOf(a) < rankOf(b));

/** The earlier one in the order; NaN wins. Associative, commutative, idempotent, with the infinities as neutral elements. */
export function minField(a: number, b: number): number {
  if (a === notANumber || b === notANumber) return notANumber;
  return isBefore(a, b) ? a : b;
}

export function maxField(a: number, b: number): number {
  if (a === notANumber || b === notANumber) return notANumber;
  return isBefore(a, b) ? b : a;
}

export function power(base: number, exponent: number): number {
  let result = 1;
  let square = reduce(base);
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = reduce(result * square);
    square = reduce(square * square);
  }
  return result;
}

/** 2^e for e = -150..127, at index e + 150. */
function powersOfTwo(): Int32Array {
  const table = new Int32Array(278);
  let value = power((prime + 1) / 2, 150);
  for (let i = 0; i < table.length; i++) {
    table[i] = value;
    value = reduce(value * 2);
  }
  return table;
}
let twos: Int32Array | undefined;

/** Finite magnitudes from 2^96 on count as infinite: they are masks, absorbing in every sum that a float32 program makes. */
const absorbingExponent = 96 + 127;

/** The field element of a float32 pattern. */
export function embedFloat(bits: number): number {
  const exponent = (bits >>> 23) & 255;
  const fraction = bits & 0x7fffff;
  if (exponent === 255 && fraction !== 0) return notANumber;
  if (exponent >= absorbingExponent) return bits < 0 ? minusInfinity : plusInfinity;
  twos ??= powersOfTwo();
  const significand = exponent === 0 ? fraction : fraction | 0x800000;
  const scale = (exponent === 0 ? 1 : exponent) - 127 - 23 + 150;
  const magnitude = reduce(significand * (twos[scale] as number));
  return bits < 0 ? negateField(magnitude) : magnitude;
}

/**
 * Rounding to half precision: not linear, odd, and the identity on what is rounded already. So it matters where a program rounds, as it does in
 * numbers: multiples of 8 stand for the float16 values. (float32 roundings are not followed: sums may be taken in any order.)
 */
export function roundField(x: number): number {
  if (isSpecial(x)) return x;
  return x < 0 ? -(-x & ~7) : x & ~7;
}

/** The field element of an int32. */
export function embedInt(value: number): number {
  return value > half || value < -half ? reduce(value) : value;
}

/** A fixed pseudo-random function of (`salt`, `x`), as a field element. */
export function hash(salt: number, x: number): number {
  let h = Math.imul(x ^ Math.imul(salt + 1, 0x632be5ab), 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h + salt, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return ((h >>> 0) % prime) - half;
}

/** Pseudo-random function of two values in order. */
export function hashPair(salt: number, x: number, y: number): number {
  return hash(salt, (Math.imul(hash(salt + 101, x), 0x2545f491) + y) | 0);
}

// float32 <-> int32 reinterpretation is a bijection that keeps no algebra: cube and cube root (3 does not divide prime - 1).
const cubeRoot = 5592395;

export function floatAsInt(x: number): number {
  return isSpecial(x) ? hash(7, x) : power(x, 3);
}

export function intAsFloat(x: number): number {
  return isSpecial(x) ? hash(8, x) : power(x, cubeRoot);
}
