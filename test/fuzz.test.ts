// A few hundred inputs of every fuzz suite (`npm run fuzz` tries many more): none crashes, hangs or leaks; and the suites themselves are any good.
import { describe, expect, test } from "vitest";
import { damagedMessage, parseWire, printWire } from "../fuzz/protobuf.ts";
import { oddNumbers, randomOf } from "../fuzz/random.ts";
import { externalBytes, ownModels } from "../fuzz/sample-models.ts";
import { suites } from "../fuzz/suites.ts";
import { processorSeconds, usageNow } from "../fuzz/watch.ts";
import { bytesSource } from "../src/io.ts";
import { good } from "./onnx-import.ts";

const INPUTS = 300;
const SEED = 2026;

describe.each(suites.map((suite) => [suite.name, suite] as const))("%s", (_, suite) => {
  const { run } = suite.prepare();
  const inputs = suite.testInputs ?? INPUTS;

  test(`${inputs} inputs: some valid, most refused, each in little time`, () => {
    let accepted = 0;
    const codes = new Set<string>();
    for (let index = 0; index < inputs; index++) {
      const from = process.cpuUsage();
      const verdict = run(randomOf(SEED, index));
      expect(processorSeconds(from), `input ${index}`).toBeLessThan(10);
      if (verdict.accepted) accepted++;
      for (const code of verdict.codes) codes.add(code);
    }
    expect(accepted).toBeGreaterThan(0);
    if (inputs < INPUTS) return;
    expect(accepted).toBeLessThan(INPUTS * 0.9);
    expect(codes.size).toBeGreaterThan(0);
  });

  test("an input can be made again", () => {
    expect(run(randomOf(SEED, 7))).toEqual(run(randomOf(SEED, 7)));
  });
});

describe("what the suites are made of", () => {
  test("the own models are valid before they are damaged", () => {
    for (const bytes of ownModels()) {
      const dims = Buffer.from(bytes).includes("local") ? new Map([["n", 2]]) : new Map<string, number>();
      good(bytes, { dims, external: () => ({ source: bytesSource(externalBytes) }) });
    }
  });

  test("messages survive being taken apart; damage changes most of them and keeps the wire format", () => {
    for (const bytes of ownModels()) {
      const wire = parseWire(bytes);
      if (wire === undefined) throw new Error("the model is no message");
      expect(printWire(wire)).toEqual(Uint8Array.from(bytes));
      const damaged = Array.from({ length: 50 }, (_, index) => damagedMessage(randomOf(1, index), wire, wire));
      expect(damaged.filter((changed) => Buffer.compare(changed, bytes) !== 0).length).toBeGreaterThan(35);
      expect(damaged.filter((changed) => parseWire(changed) === undefined).length).toBeLessThan(25);
    }
  });

  test("random choices depend on seed and index, and reach everything", () => {
    const words = (seed: number, index: number) => Array.from({ length: 4 }, randomOf(seed, index).word);
    expect(words(1, 1)).toEqual(words(1, 1));
    expect(words(1, 1)).not.toEqual(words(1, 2));
    expect(words(1, 1)).not.toEqual(words(2, 1));
    const random = randomOf(3, 4);
    expect(new Set(Array.from({ length: 2000 }, () => random.pick(oddNumbers))).size).toBe(oddNumbers.length);
    expect(usageNow().heapBytes).toBeGreaterThan(1e6);
  });
});
