// Elementary functions in binary64 with the same bits on every machine: only + - * /, Math.sqrt, Math.abs, Math.floor, integers and bit
// patterns, which IEEE 754 and ECMAScript fix. For the graph evaluator and constant folding, where Math.exp and its kin would differ between
// engines. Stated relative error: 1e-15 each (measured by test/numeric-real.test.ts). Special values are those of C Annex F.
export { exp, exp2, expm1, log, log1p, pow } from "./real-exp.ts";
export { acosh, asinh, atanh, cbrt, cosh, erf, sinh, tanh } from "./real-hyperbolic.ts";
export { acos, asin, atan, cos, sin, tan } from "./real-trig.ts";
