// A user's allocator in the compiler, through the public interface: its addresses are in the program, which is as right as ours; answers that are
// wrong, or need more than there is, are diagnostics.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type BankAllocator, compileModel, type ModelOptions, presetTarget, verifyProgram } from "../src/api.ts";

const path = join(import.meta.dirname, "..", "models", "adder.onnx");

function compile(allocator: BankAllocator, chips = 1) {
  const target = presetTarget("lpu-nvlink");
  if (target === undefined) throw new Error("no such target");
  const options: ModelOptions = { target, chips, dims: new Map(), shapes: new Map(), precision: "fp16", effort: 0 };
  return compileModel(path, { ...options, allocator });
}

/** Every buffer above all others of its banks, whenever they live. */
const stacking: BankAllocator = (buffers) => {
  const tops = new Map<string, number>();
  return buffers.map(({ size, banks }) => {
    const offset = Math.max(0, ...banks.map((bank) => tops.get(bank) ?? 0));
    for (const bank of banks) tops.set(bank, offset + size);
    return offset;
  });
};

const messages = (allocator: BankAllocator): readonly string[] => {
  const compiled = compile(allocator);
  return compiled.ok ? [] : compiled.diagnostics.map(({ code, message }) => `${code} ${message}`);
};

describe("an allocator of one's own", () => {
  test("places everything, on every chip, and the program is legal", () => {
    let asked = 0;
    const compiled = compile((buffers) => {
      asked++;
      return stacking(buffers);
    }, 2);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.diagnostics));
    expect(asked).toBeGreaterThanOrEqual(2);
    expect(verifyProgram(compiled.value.program).invariants.flatMap(({ violations }) => violations)).toEqual([]);
    const other = compile((buffers) => stacking(buffers.toReversed()).toReversed(), 2);
    if (!other.ok) throw new Error(JSON.stringify(other.diagnostics));
    expect(other.value.program.symbols.map(({ address }) => address)).not.toEqual(
      compiled.value.program.symbols.map(({ address }) => address),
    );
  });

  test.each<[string, BankAllocator, RegExp]>([
    ["all at one address", (buffers) => buffers.map(() => 0), /^LPU4006 chip 0: .* are both at 0 of bank [WE]\d+\/\d/],
    ["one offset too few", (buffers) => stacking(buffers).slice(1), /^LPU4006 chip 0: \d+ offsets for \d+ buffers/],
    [
      "no address",
      (buffers) => stacking(buffers).map((offset) => offset + 0.5),
      /^LPU4006 chip 0: .* is not an address/,
    ],
    ["beyond the bank", (buffers) => stacking(buffers).map((offset) => offset + 1e6), /^LPU4001 chip 0: the fullest/],
  ])("with %s is refused", (_, allocator, message) => {
    expect(messages(allocator)[0]).toMatch(message);
  });
});
