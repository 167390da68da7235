// The bit-stable elementary functions: accuracy against the engine's own (which are good to an ulp or so, but differ between engines) and
// against double-double where exactness matters, special values, and a digest of result bits that must be the same on every machine.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import * as real from "../ir/numeric/real.ts";
import { exp2, expm1, type Pair, tanh } from "./double-double.ts";

let state = 12345;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return (state >>> 0) / 4294967296;
};
const sign = (): number => (random() < 0.5 ? -1 : 1);
/** Magnitudes spread evenly over decimal exponents. */
const spread = (from: number, to: number) => (): number => sign() * 10 ** (from + (to - from) * random());
const positive = (from: number, to: number) => (): number => Math.abs(spread(from, to)());
const within = (from: number, to: number) => (): number => from + (to - from) * random();

type Unary = (x: number) => number;
const cases: readonly (readonly [string, Unary, Unary, readonly (() => number)[]])[] = [
  ["exp", real.exp, Math.exp, [spread(-20, 2.84), within(-1, 1)]],
  ["exp2", real.exp2, (x) => 2 ** x, [spread(-20, 3), within(-1, 1)]],
  ["expm1", real.expm1, Math.expm1, [spread(-20, 2.84), within(-1, 1)]],
  ["log", real.log, Math.log, [positive(-320, 308), within(0.4, 2.4)]],
  ["log1p", real.log1p, Math.log1p, [positive(-20, 300), within(-1, 0), spread(-10, -0.1)]],
  ["sin", real.sin, Math.sin, [spread(-20, 5), spread(5, 300)]],
  ["cos", real.cos, Math.cos, [spread(-20, 5), spread(5, 300)]],
  ["tan", real.tan, Math.tan, [spread(-20, 5), spread(5, 20)]],
  ["asin", real.asin, Math.asin, [within(-1, 1), spread(-20, 0)]],
  ["acos", real.acos, Math.acos, [within(-1, 1), spread(-20, 0)]],
  ["atan", real.atan, Math.atan, [spread(-20, 20), within(-2, 2)]],
  ["sinh", real.sinh, Math.sinh, [spread(-20, 2.85)]],
  ["cosh", real.cosh, Math.cosh, [spread(-20, 2.85)]],
  ["tanh", real.tanh, Math.tanh, [spread(-20, 2)]],
  ["asinh", real.asinh, Math.asinh, [spread(-20, 300)]],
  ["acosh", real.acosh, Math.acosh, [() => 1 + positive(-10, 300)()]],
  ["atanh", real.atanh, Math.atanh, [within(-1, 1), spread(-20, 0)]],
  ["cbrt", real.cbrt, Math.cbrt, [spread(-320, 300)]],
];

it.each(cases)("%s agrees to 1e-15", (_name, f, reference, samples) => {
  let worst = 0;
  let at = 0;
  for (const sample of samples) {
    for (let i = 0; i < 40000; i += 1) {
      const x = sample();
      const [a, b] = [f(x), reference(x)];
      const error = Object.is(a, b) ? 0 : Math.abs(a - b) / Math.abs(b);
      if (!(error <= worst) && Math.abs(b) > 1e-300) [worst, at] = [error, x];
    }
  }
  expect(worst, `at ${at}`).toBeLessThan(1e-15);
});

it("pow agrees to 1e-15", () => {
  let worst = 0;
  for (let i = 0; i < 100000; i += 1) {
    const [x, y] = [positive(-10, 10)(), spread(-3, 2)()];
    const [a, b] = [real.pow(x, y), x ** y];
    const error = a === b ? 0 : Math.abs(a - b) / b;
    if (b > 1e-300 && !(error <= worst)) worst = error;
  }
  expect(worst).toBeLessThan(1e-15);
});

it("exp2, expm1 and tanh agree with double-double", () => {
  const error = (actual: number, [high, low]: Pair): number => Math.abs(actual - high - low) / Math.abs(high);
  let worst = 0;
  for (let i = 0; i < 20000; i += 1) {
    const x = spread(-6, 1.2)();
    worst = Math.max(
      worst,
      error(real.exp2(x), exp2(x)),
      error(real.expm1(x), expm1([x, 0])),
      error(real.tanh(x), tanh(x)),
    );
  }
  expect(worst).toBeLessThan(6e-16);
});

describe("erf", () => {
  /** erf by its alternating Taylor series in double-double would cancel; the integral by Simpson's rule does not. */
  const reference = (x: number): number => {
    const steps = 4000;
    const h = x / steps;
    let sum = 1 + Math.exp(-x * x);
    for (let i = 1; i < steps; i += 1) sum += (i % 2 === 1 ? 4 : 2) * Math.exp(-i * h * (i * h));
    return (2 / Math.sqrt(Math.PI)) * (h / 3) * sum;
  };
  it("is the integral", () => {
    for (let x = 0.05; x < 6.5; x += 0.05) expect(Math.abs(real.erf(x) - reference(x))).toBeLessThan(1e-13);
  });
  it("has known values", () => {
    // DLMF 7.3 / tables: erf(0.5), erf(1), erf(2), erf(3).
    expect(real.erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(real.erf(1)).toBeCloseTo(0.8427007929497149, 15);
    expect(real.erf(2)).toBeCloseTo(0.9953222650189527, 15);
    expect(real.erf(3)).toBeCloseTo(0.9999779095030014, 15);
    expect(real.erf(-1)).toBe(-real.erf(1));
    expect(real.erf(1e-12)).toBeCloseTo(1.1283791670955126e-12, 27);
    expect(real.erf(Infinity)).toBe(1);
    expect(real.erf(-9)).toBe(-1);
    expect(real.erf(Number.NaN)).toBeNaN();
  });
});

it("knows special values", () => {
  const same = (actual: number, expected: number): void => expect(Object.is(actual, expected), `${actual}`).toBe(true);
  const specials = [0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 2 ** -1074, -(2 ** -1074)];
  for (const [name, f, reference] of cases) {
    for (const x of specials) {
      const [a, b] = [f(x), reference(x)];
      if (Number.isFinite(b) && b !== 0)
        expect(Math.abs(a - b), `${name}(${x})`).toBeLessThanOrEqual(Math.abs(b) * 1e-15);
      else expect(Object.is(a, b), `${name}(${x}) = ${a}, not ${b}`).toBe(true);
    }
  }
  same(real.exp(710), Infinity);
  same(real.exp(-746), 0);
  same(real.exp(-745), 2 ** -1074);
  const bases = [0, -0, 1, -1, 2, -2, 0.5, -0.5, Infinity, -Infinity, Number.NaN];
  const exponents = [
    0,
    -0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    0.5,
    -0.5,
    2.5,
    1e300,
    -1e300,
    9007199254740992,
    Infinity,
    -Infinity,
    Number.NaN,
  ];
  for (const x of bases) {
    for (const y of exponents) {
      // ECMAScript departs from C for pow(1, NaN), pow(+-1, +-infinity).
      const unit = x === 1 || (x === -1 && Math.abs(y) === Infinity);
      if (unit) same(real.pow(x, y), 1);
      else if (Number.isFinite(x ** y) && x ** y !== 0) expect(real.pow(x, y), `${x} ^ ${y}`).toBeCloseTo(x ** y, 14);
      else expect(Object.is(real.pow(x, y), x ** y), `${x} ^ ${y} = ${real.pow(x, y)}`).toBe(true);
    }
  }
  for (let n = -1000; n <= 1000; n += 7) same(real.pow(2, n), 2 ** n);
});

it("has the recorded bits on every machine", () => {
  const hash = createHash("sha256");
  const row = new Float64Array(3 * cases.length);
  let seed = 1;
  for (let i = 0; i < 2000; i += 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    const x = seed / 1073741824;
    cases.forEach(([, f], k) => {
      const values = [f(x), f(x * 100), f(x * 1e9)];
      values.forEach((value, j) => {
        row[k * 3 + j] = Number.isNaN(value) ? 0 : value;
      });
    });
    hash.update(new Uint8Array(row.buffer));
  }
  expect(hash.digest("hex")).toBe("ba644be2e3606d4a6a22eee989d00a54b28f5271b6a9859fc03f3c8fc629300a");
});
