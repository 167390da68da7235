// When outputs of conformance cases agree: each rule lets through what it should and nothing more.
import { describe, expect, it } from "vitest";
import type { DType } from "../ir/dtype.ts";
import { type TensorValue, valueFromNumbers } from "../ir/graph/values.ts";
import { allowanceOf, type CaseNumerics, difference, graphRule, suiteRule, toleranceFor } from "../src/tolerance.ts";

const tensor = (numbers: readonly number[], dtype: DType = "float32"): TensorValue =>
  valueFromNumbers(dtype, [numbers.length], numbers);
const fp32: CaseNumerics = { precision: "fp32", productsInChain: 1 };
const fp16: CaseNumerics = { precision: "fp16", productsInChain: 1 };

const agrees = (
  found: readonly number[],
  expected: readonly number[],
  rule = suiteRule,
  numerics = fp32,
  dtype: DType = "float32",
): boolean =>
  difference(tensor(found, dtype), tensor(expected, dtype), toleranceFor(rule, dtype, numerics)) === undefined;

describe("relative to the element", () => {
  it("is the suite's rule: 1e-3 of the element and 1e-7", () => {
    expect(agrees([1.0009, 100], [1, 100])).toBe(true);
    expect(agrees([1.0011, 100], [1, 100])).toBe(false);
    expect(agrees([0.00009e-3, 100], [0, 100])).toBe(true);
    expect(agrees([0.0002e-3, 100], [0, 100])).toBe(false);
  });

  it("gives bfloat16 two units in the last place", () => {
    expect(agrees([1.0078125], [1], suiteRule, fp32, "bfloat16")).toBe(true);
    expect(agrees([1.0234375], [1], suiteRule, fp32, "bfloat16")).toBe(false);
    expect(agrees([1.0078125], [1], suiteRule, fp32, "float16")).toBe(false);
  });

  it("takes no integer for another", () => {
    expect(agrees([1000], [1001], suiteRule, fp32, "int32")).toBe(false);
    expect(agrees([100], [101], suiteRule, fp16, "int8")).toBe(false);
    expect(agrees([100], [101], graphRule, fp32, "int32")).toBe(false);
  });

  it("adds the roundings of fp16 and no more", () => {
    const allowed = 100 * allowanceOf("fp16", 1);
    expect(agrees([0.9 * allowed, 100], [0, 100], suiteRule, fp16)).toBe(true);
    expect(agrees([1.1 * allowed, 100], [0, 100], suiteRule, fp16)).toBe(false);
    expect(allowanceOf("fp16", 60)).toBeLessThan(0.02);
  });
});

describe("relative to the scale", () => {
  it("is 1e-3 of the largest magnitude", () => {
    expect(agrees([0.09, 100], [0, 100], graphRule)).toBe(true);
    expect(agrees([0.11, 100], [0, 100], graphRule)).toBe(false);
  });

  it("lets 8-bit integers be one step off", () => {
    expect(agrees([100], [101], graphRule, fp32, "uint8")).toBe(true);
    expect(agrees([100], [102], graphRule, fp32, "uint8")).toBe(false);
  });

  it("gives float16 outputs the roundings of half precision", () => {
    expect(agrees([0.1875, 100], [0, 100], graphRule, fp32, "float16")).toBe(true);
    expect(agrees([0.25, 100], [0, 100], graphRule, fp32, "float16")).toBe(false);
  });
});

describe("whatever the rule", () => {
  it.each([suiteRule, graphRule])("special values and types agree with themselves only", (rule) => {
    const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
    expect(agrees([inf, nan], [inf, nan], rule, fp16)).toBe(true);
    expect(agrees([-inf], [inf], rule, fp16)).toBe(false);
    expect(agrees([1e30], [inf], rule, fp16)).toBe(false);
    expect(agrees([nan], [1], rule, fp16)).toBe(false);
    expect(agrees([1], [nan], rule, fp16)).toBe(false);
    const tolerance = toleranceFor(rule, "float32", fp16);
    expect(difference(tensor([1]), tensor([1, 1]), tolerance)).toContain("float32[1]");
    expect(difference(tensor([1], "int32"), tensor([1]), tolerance)).toContain("int32[1]");
  });
});
