// Results that nearly fill the memory, or do not fit: spread over all columns that have room, or refused before anything else is tried. Views that
// no digits describe are turned rather than put together element by element.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import type { Result } from "../ir/diag/diagnostic.ts";
import { numbersOf, valueFromNumbers } from "../ir/graph/values.ts";
import type { Target } from "../ir/target/target.ts";
import type { Compiled } from "../passes/compile/compile.ts";
import { compileModel } from "../src/compile-model.ts";
import {
  addNode,
  createDraft,
  finishOutput,
  type GraphDraft,
  intAttribute,
  intsAttribute,
} from "../src/modelgen/graph-draft.ts";
import { encodeModel } from "../src/modelgen/model-bytes.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { scratchFolder } from "./cli-runner.ts";
import { execute, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const preset = presetTarget("lpu-nvlink");
if (preset === undefined) throw new Error("the default target exists");
/** Seven columns a hemisphere, of small banks. */
const small: Target = { ...preset, mem: { ...preset.mem, slicesPerHemisphere: 28, wordsPerBank: 512 } };

type Outcome = Result<Compiled>;

/** Attention of many heads without a mask: scores, their exponentials and the quotients are all as large. */
function compileAttention(heads: number, length: number, target: Target, chips: number | "auto" = 1): Outcome {
  const depth = 16;
  const draft = createDraft("initialiser");
  const dims = [1, heads, length, depth];
  for (const name of ["q", "k", "v"]) draft.inputs.push({ name, type: "float32", dims });
  const turned = addNode(draft, "", "Transpose", ["k"], { perm: intsAttribute([0, 1, 3, 2]) });
  const scores = addNode(draft, "", "MatMul", ["q", turned]);
  const weights = addNode(draft, "", "Softmax", [scores], { axis: intAttribute(-1) });
  const mixed = addNode(draft, "", "MatMul", [weights, "v"]);
  finishOutput(draft, mixed, { name: "y", type: "float32", dims });
  return compileDraft(draft, `attention-${heads}x${length}`, target, chips);
}

function compileDraft(draft: GraphDraft, name: string, target: Target, chips: number | "auto" = 1): Outcome {
  const path = scratch.path(`${name}.onnx`);
  writeFileSync(path, encodeModel(draft, { name, opset: 17, irVersion: 8 }));
  return compileModel(path, { target, chips, dims: new Map(), shapes: new Map(), precision: "fp32", effort: 0 });
}

const made = (outcome: Outcome): Compiled => {
  if (!outcome.ok) throw new Error(outcome.diagnostics.map(({ message }) => message).join("\n"));
  return outcome.value;
};

const wave = (i: number): number => Math.sin(i * 0.37) + Math.cos(i * 0.11);

function attention(heads: number, length: number, q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>) {
  const depth = 16;
  const y = new Float64Array(heads * length * depth);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const at = (h * length + i) * depth;
      const weights = Array.from({ length }, (_, j) => {
        let sum = 0;
        for (let d = 0; d < depth; d++) sum += (q[at + d] ?? 0) * (k[(h * length + j) * depth + d] ?? 0);
        return sum;
      });
      const most = Math.max(...weights);
      const powers = weights.map((w) => Math.exp(w - most));
      const total = powers.reduce((sum, power) => sum + power, 0);
      powers.forEach((power, j) => {
        for (let d = 0; d < depth; d++)
          y[at + d] = (y[at + d] ?? 0) + (power / total) * (v[(h * length + j) * depth + d] ?? 0);
      });
    }
  }
  return y;
}

function expectRight(heads: number, length: number, { program }: Compiled): void {
  expect(violationsOf(program)).toEqual([]);
  const shape = [1, heads, length, 16];
  const values = ["q", "k", "v"].map((name, n) => {
    const numbers = Float32Array.from({ length: heads * length * 16 }, (_, i) => wave(i + 1000 * n) / 2);
    return [name, valueFromNumbers("float32", shape, numbers)] as const;
  });
  const y = execute(program, new Map(values)).get("y");
  if (y === undefined) throw new Error("no output y");
  const [q, k, v] = values.map(([, value]) => numbersOf(value));
  const wanted = attention(heads, length, q ?? [], k ?? [], v ?? []);
  const found = numbersOf(y);
  const furthest = wanted.reduce((most, x, i) => Math.max(most, Math.abs(x - (found[i] ?? Number.NaN))), 0);
  expect(furthest).toBeLessThan(1e-4);
}

describe("results that nearly fill the memory", () => {
  it("stand in any column that has room", () => {
    const heads = 8;
    expectRight(heads, 320, made(compileAttention(heads, 320, small)));
  });

  it("are refused by the scheduler where no bank has room, with demand and levers", () => {
    const outcome = compileAttention(32, 320, small);
    if (outcome.ok) throw new Error("it fits");
    const [{ code, message, notes = [] } = { code: "", message: "" }] = outcome.diagnostics;
    expect(code).toMatch(/^LPU400[12]$/);
    expect(message).toMatch(/no bank has room for the next part of '.+'.* results may take \d+/);
    expect(notes.join("\n")).toMatch(/the model needs \d+ bytes/);
  });
});

describe("an output that fills the banks of its columns", () => {
  it("is spread over the other columns, and weights go where it leaves room", () => {
    const [rows, depth, width] = [128, 64, 5120];
    const draft = createDraft("initialiser");
    draft.inputs.push({ name: "x", type: "float32", dims: [1, rows, depth] });
    const values = Array.from({ length: depth * width }, (_, i) => ((i * 7) % 17) - 8);
    draft.tensors.push({ name: "w", type: "float32", dims: [depth, width], content: { kind: "values", values } });
    const y = addNode(draft, "", "MatMul", ["x", "w"]);
    finishOutput(draft, y, { name: "y", type: "float32", dims: [1, rows, width] });
    const { program } = made(compileDraft(draft, "wide", small));
    expect(violationsOf(program)).toEqual([]);
    const x = Float32Array.from({ length: rows * depth }, (_, i) => (i % 5) - 2);
    const found = execute(program, new Map([["x", valueFromNumbers("float32", [1, rows, depth], x)]])).get("y");
    if (found === undefined) throw new Error("no output y");
    const numbers = numbersOf(found);
    for (let at = 0; at < rows * width; at += 97) {
      const [row, column] = [Math.floor(at / width), at % width];
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += (x[row * depth + k] ?? 0) * (values[k * width + column] ?? 0);
      expect(numbers[at]).toBe(sum);
    }
  });
});

describe("rows of a batch as one matrix", () => {
  it("are turned, not put together element by element", () => {
    const [batch, rows, depth] = [2, 350, 16];
    const draft = createDraft("initialiser");
    draft.inputs.push({ name: "x", type: "float32", dims: [batch, rows, depth] });
    const weights = Array.from({ length: depth * depth }, (_, i) => wave(i) / 4);
    draft.tensors.push({
      name: "w",
      type: "float32",
      dims: [depth, depth],
      content: { kind: "values", values: weights },
    });
    draft.tensors.push({
      name: "heads",
      type: "int64",
      dims: [4],
      content: { kind: "values", values: [batch, rows, 2, 8] },
    });
    const product = addNode(draft, "", "MatMul", ["x", "w"]);
    const split = addNode(draft, "", "Reshape", [product, "heads"]);
    const turned = addNode(draft, "", "Transpose", [split], { perm: intsAttribute([0, 2, 1, 3]) });
    const y = addNode(draft, "", "Mul", [turned, turned]);
    finishOutput(draft, y, { name: "y", type: "float32", dims: [batch, 2, rows, 8] });
    const { program } = made(compileDraft(draft, "rows", preset));
    expect(violationsOf(program)).toEqual([]);
    expect(program.latencyCycles).toBeLessThan(8_000);
    const x = Float32Array.from({ length: batch * rows * depth }, (_, i) => wave(i));
    const found = execute(program, new Map([["x", valueFromNumbers("float32", [batch, rows, depth], x)]])).get("y");
    if (found === undefined) throw new Error("no output y");
    const numbers = numbersOf(found);
    for (let i = 0; i < batch * rows; i += 7) {
      for (let n = 0; n < depth; n++) {
        let sum = 0;
        for (let k = 0; k < depth; k++) sum += (x[i * depth + k] ?? 0) * (weights[k * depth + n] ?? 0);
        const [b, row, head] = [Math.floor(i / rows), i % rows, Math.floor(n / 8)];
        expect(numbers[((b * 2 + head) * rows + row) * 8 + (n % 8)]).toBeCloseTo(sum * sum, 4);
      }
    }
  });
});
