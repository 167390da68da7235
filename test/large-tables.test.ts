// Tables that no bank holds: gathered from many parts, in float16 where nothing is lost, and answered row by row as they are.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { numbersOf, valueFromBigints } from "../ir/graph/values.ts";
import type { Target } from "../ir/target/target.ts";
import type { Compiled } from "../passes/compile/compile.ts";
import { compileModel } from "../src/compile-model.ts";
import { addNode, createDraft, finishOutput } from "../src/modelgen/graph-draft.ts";
import { encodeModel } from "../src/modelgen/model-bytes.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { scratchFolder } from "./cli-runner.ts";
import { execute, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const preset = presetTarget("lpu-nvlink");
if (preset === undefined) throw new Error("the default target exists");
const small: Target = { ...preset, mem: { ...preset.mem, wordsPerBank: 400 } };

interface Table {
  readonly rows: number;
  readonly width: number;
  readonly element: (index: number) => number;
}

const ids = [0, 699, 1, 350, 174, 175, -1, -300];

function compileGather(table: Table, precision: "fp16" | "fp32", target: Target): Compiled {
  const { rows, width, element } = table;
  const draft = createDraft("initialiser");
  draft.inputs.push({ name: "ids", type: "int64", dims: [ids.length] });
  const values = Array.from({ length: rows * width }, (_, i) => element(i));
  draft.tensors.push({ name: "table", type: "float32", dims: [rows, width], content: { kind: "values", values } });
  const rowsFound = addNode(draft, "", "Gather", ["table", "ids"]);
  finishOutput(draft, rowsFound, { name: "y", type: "float32", dims: [ids.length, width] });
  const path = scratch.path(`${rows}x${width}-${precision}.onnx`);
  writeFileSync(path, encodeModel(draft, { name: "gather", opset: 17, irVersion: 8 }));
  const compiled = compileModel(path, {
    target,
    chips: 1,
    dims: new Map(),
    shapes: new Map(),
    precision,
    effort: 0,
  });
  if (!compiled.ok) throw new Error(compiled.diagnostics.map(({ message }) => message).join("\n"));
  return compiled.value;
}

function gathered({ program }: Compiled): ArrayLike<number> {
  expect(violationsOf(program)).toEqual([]);
  const outputs = execute(program, new Map([["ids", valueFromBigints("int64", [ids.length], ids.map(BigInt))]]));
  const y = outputs.get("y");
  if (y === undefined) throw new Error("no output y");
  return numbersOf(y);
}

const expected = ({ rows, width, element }: Table): number[] =>
  ids.flatMap((id) =>
    Array.from({ length: width }, (_, i) => Math.fround(element((id < 0 ? id + rows : id) * width + i))),
  );

/** Types in which constants of more than one part are stored. */
const tableTypes = ({ blocks }: Compiled): string[] =>
  blocks.classes.flatMap(({ schedule }) =>
    schedule.state.storages.flatMap(({ content, type, vectors, partVectors }) =>
      content !== undefined && vectors > partVectors ? [type] : [],
    ),
  );

describe("a table larger than a bank", () => {
  it("is spread over columns and banks", () => {
    const table: Table = { rows: 5800, width: 24, element: (i) => Math.sin(i) };
    const compiled = compileGather(table, "fp32", small);
    expect(tableTypes(compiled)).toEqual(["f32"]);
    expect(Array.from(gathered(compiled))).toEqual(expected(table));
  });

  it("is kept in float16 where all its elements are float16 numbers, rows of several vectors too", () => {
    const table: Table = { rows: 1100, width: 400, element: (i) => ((i * 37) % 2048) / 512 - 2 };
    const compiled = compileGather(table, "fp32", small);
    expect(tableTypes(compiled)).toEqual(["f16"]);
    expect(Array.from(gathered(compiled))).toEqual(expected(table));
  });

  it("of a million elements is an embedding: fp16 programs keep it in float16", () => {
    const table: Table = { rows: 700, width: 1500, element: (i) => (i % 1000) / 1000 };
    const compiled = compileGather(table, "fp16", { ...preset, mem: { ...preset.mem, wordsPerBank: 512 } });
    expect(tableTypes(compiled)).toEqual(["f16"]);
    const [found, wanted] = [gathered(compiled), expected(table)];
    expect(wanted.every((x, i) => Math.abs((found[i] ?? 0) - x) <= x * 2 ** -11)).toBe(true);
    expect(wanted.some((x, i) => found[i] !== x)).toBe(true);
  });
});
