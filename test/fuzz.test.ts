// A few hundred inputs of every fuzz suite (`npm run fuzz` tries many more): none crashes, hangs or leaks; and the suites themselves are any good.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { damagedMessage, parseWire, printWire } from "../fuzz/protobuf.ts";
import { oddNumbers, randomOf } from "../fuzz/random.ts";
import { externalBytes, ownModels } from "../fuzz/sample-models.ts";
import { suites } from "../fuzz/suites.ts";
import { processorSeconds, usageNow } from "../fuzz/watch.ts";
import { bytesSource } from "../src/io.ts";
import { root } from "./cli-runner.ts";
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

describe("npm run fuzz", () => {
  const main = join(root, "dist", "fuzz", "main.js");
  const run = (...words: string[]) => spawnSync(process.execPath, [main, ...words], { encoding: "utf8" });

  test("says how it is used, and refuses what it does not know with one line each", () => {
    expect(run("--help")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("--seconds T") });
    const { status, stderr } = run("nothing", "--count", "x", "--from", "1.5");
    expect(status).toBe(2);
    expect(stderr.trim().split("\n")).toEqual([
      expect.stringContaining("there is no suite nothing; there are onnx"),
      "--count 'x' is not a whole number",
      "--from '1.5' is not a whole number",
      "npm run fuzz -- --help says how it is used",
    ]);
    expect(run("--nothing")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Unknown option '--nothing'"),
    });
  });

  test("runs as many as asked for, and can be interrupted", async () => {
    expect(run("npy", "--count", "20")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("ok     20 inputs"),
    });
    const running = spawn(process.execPath, [main, "line", "--seconds", "500"]);
    let text = "";
    running.stdout.on("data", (part) => {
      text += String(part);
    });
    setTimeout(() => running.kill("SIGINT"), 2500);
    const status = await new Promise((resolve) => running.on("close", resolve));
    expect(text).toMatch(/^line: interrupted at input \d+, 0 failures until then\n$/);
    expect(status).toBe(130);
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
