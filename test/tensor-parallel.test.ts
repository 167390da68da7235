// Layers shared by several chips, the whole way: compile, verify against the model's own graph, execute, compare. And what the command line makes of it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TensorValue, valueFromNumbers } from "../ir/graph/values.ts";
import { transformerModel } from "../src/modelgen/transformer-model.ts";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { isQuickSharing, sharingCases, testSharing } from "./sharing-models.ts";
import { compileForTest, execute, maxAbsError, violationsOf } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const models = join(import.meta.dirname, "..", "models");
const bert = join(models, "bert-mini.onnx");

testSharing(sharingCases.filter(isQuickSharing));

describe("a wide layer", () => {
  const wide = scratch.path("wide.onnx");
  const seq = 32;
  const d = 640;
  const inputs = new Map<string, TensorValue>([
    [
      "hidden_states",
      valueFromNumbers(
        "float32",
        [1, seq, d],
        Array.from({ length: seq * d }, (_, i) => ((i * 37) % 64) / 32 - 1),
      ),
    ],
  ]);
  beforeAll(() => {
    writeFileSync(
      wide,
      transformerModel({ kind: "encoder", layers: 1, d, heads: 8, ffn: 2560, seq, input: "hidden", output: "hidden" }),
    );
  });

  test("on four chips is faster than on one, has less of the weights on each, and computes the same", () => {
    const one = compileForTest(wide, { precision: "fp32" }).program;
    const four = compileForTest(wide, {
      precision: "fp32",
      chips: 4,
      tensorParallel: 4,
      topology: "all-to-all",
    }).program;
    expect(violationsOf(four)).toEqual([]);
    expect(four.latencyCycles).toBeLessThan(0.75 * one.latencyCycles);
    const [whole] = one.stages;
    for (const stage of four.stages) expect(stage.weightBytes).toBeLessThan(0.4 * (whole?.weightBytes ?? 0));
    const expected = execute(one, inputs).get("last_hidden_state") as TensorValue;
    expect(maxAbsError(execute(four, inputs).get("last_hidden_state"), expected)).toBeLessThan(1e-4);
  });

  test("on five chips is left to a group of four, as no size of group that divides them is faster", () => {
    const options = { precision: "fp32", chips: 5, tensorParallel: "auto", topology: "all-to-all" } as const;
    const { program, sharded } = compileForTest(wide, options);
    expect([sharded.ways, program.chips.length]).toEqual([4, 5]);
    expect(violationsOf(program)).toEqual([]);
    const [one, four] = [1, 4].map((ways) => compileForTest(wide, { ...options, chips: ways, tensorParallel: ways }));
    expect(program.latencyCycles).toBeLessThan(one?.program.latencyCycles ?? 0);
    expect(program.latencyCycles).toBeLessThanOrEqual(four?.program.latencyCycles ?? 0);
    const expected = execute(one?.program as typeof program, inputs).get("last_hidden_state") as TensorValue;
    expect(maxAbsError(execute(program, inputs).get("last_hidden_state"), expected)).toBeLessThan(1e-4);
  });

  test("that no chip has room for is held by groups that share it", async () => {
    const small = (wordsPerBank: number): string => {
      const path = scratch.path(`small-${wordsPerBank}.json`);
      writeFileSync(path, JSON.stringify({ extends: "lpu-nvlink", name: "small", mem: { wordsPerBank } }));
      return path;
    };
    const compile = (words: number, ...options: readonly string[]) =>
      lpuc("compile", wide, "-o", scratch.path("wide.lpu"), "--json", "--target", small(words), ...options);
    // The first of some shrinking memories that does not hold the layer, which is on one chip however many there are.
    const sizes = [448, 416, 400, 384, 368];
    let words: number | undefined;
    for (const size of sizes) if (words === undefined && (await compile(size)).status === 4) words = size;
    const shared = await compile(words ?? 0, "--parallel", "tensor", "--topology", "all-to-all");
    expect([shared.status, shared.stderr]).toEqual([0, ""]);
    expect(JSON.parse(shared.stdout)).toMatchObject({ topology: "all-to-all" });
    expect((await lpuc("verify", scratch.path("wide.lpu"), "-q")).status).toBe(0);
    // Left to itself the compiler finds the same.
    const found = await compile(words ?? 0, "--parallel", "auto", "--topology", "all-to-all");
    expect(JSON.parse(found.stdout).tensorParallel).toBeGreaterThan(1);
  });
});

describe("groups of a size that the compiler chooses", () => {
  const vit = join(models, "vit-mini.onnx");
  test.each([
    { chips: 3, topology: "all-to-all", sizes: [1, 3] },
    { chips: 6, topology: "chain", sizes: [1, 2, 3] },
  ] as const)("on $chips chips of a $topology are as fast as of any other size", ({ chips, topology, sizes }) => {
    const at = (tensorParallel: number | "auto") =>
      compileForTest(vit, { chips, topology, tensorParallel, precision: "fp16" });
    const auto = at("auto");
    const fixed = sizes.map((ways) => at(ways).program.latencyCycles);
    // Where the size is given, a little latency may be spent on a shorter interval.
    expect(auto.program.latencyCycles).toBeLessThanOrEqual(Math.min(...fixed));
    expect(sizes).toContain(auto.sharded.ways);
    expect(auto.sharded.ways).toBeGreaterThan(1);
  });
});

describe("the command line", () => {
  const compile = async (...words: readonly string[]) => {
    const ran = await lpuc("compile", bert, "-o", scratch.path("bert.lpu"), "--json", ...words);
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    const document: { tensorParallel: number; chips: number; latencyCycles: number; stages: readonly unknown[] } =
      JSON.parse(ran.stdout);
    return document;
  };

  test("--tensor-parallel makes every stage as many chips", async () => {
    const document = await compile("--tensor-parallel", "2");
    expect([document.tensorParallel, document.chips, document.stages.length]).toEqual([2, 2, 2]);
    expect(document.stages).toMatchObject([
      { chip: 0, firstLayer: 0, lastLayer: 1 },
      { chip: 1, firstLayer: 0, lastLayer: 1 },
    ]);
  });

  test("--parallel tensor takes all chips, auto what is fastest", async () => {
    expect(await compile("--parallel", "tensor", "--chips", "4")).toMatchObject({ tensorParallel: 4, chips: 4 });
    const auto = await compile("--parallel", "auto", "--chips", "2");
    const [pipeline, tensor] = [await compile("--chips", "2"), await compile("--tensor-parallel", "2")];
    expect(auto.latencyCycles).toBe(Math.min(pipeline.latencyCycles, tensor.latencyCycles));
  });

  test("a placement of groups is exported by their first chips and read back", async () => {
    const file = scratch.path("placement.json");
    const words = ["--tensor-parallel", "2", "--chips", "4"];
    const first = await compile(...words, "--emit-placement", file);
    expect(await compile("--tensor-parallel", "2", "--placement", file)).toMatchObject({ stages: first.stages });
  });

  test.each([
    { words: ["--chips", "3", "--tensor-parallel", "2"], code: "LPU4005", status: 2 },
    { words: ["--tensor-parallel", "11"], code: "LPU4004", status: 3 },
    { words: ["--tensor-parallel", "0"], code: "LPU0002", status: 2 },
    { words: ["--parallel", "auto", "--tensor-parallel", "2"], code: "LPU0002", status: 2 },
    { words: ["--parallel", "tensor", "--tensor-parallel", "2", "--chips", "4"], code: "LPU0002", status: 2 },
  ])("$words is refused with $code", async ({ words, code, status }) => {
    const ran = await lpuc("compile", bert, "-o", scratch.path("none.lpu"), ...words);
    expect([ran.status, ran.stderr]).toEqual([status, expect.stringContaining(`error[${code}]`)]);
  });
});
