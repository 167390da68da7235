// `--json`: one document, as its schema in the package says, for every command; and the files that commands write.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto from "onnx-proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandRows } from "../src/commands/table.ts";
import { stageRows } from "../src/docs/passes-page.ts";
import { writeTensorProto } from "../src/onnx/tensor-file.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";

type Document = Readonly<Record<string, unknown>>;

const scratch = scratchFolder();
afterAll(scratch.remove);

const adder = "models/adder.onnx";
const recorded = "models/adder.data/test_data_set_0";
const program = scratch.path("adder.lpu");
const seen = new Set<string>();

const schemaOf = (name: string): Document =>
  JSON.parse(readFileSync(join(root, "src", "schemas", `${name}.json`), "utf8")) as Document;

/** Runs a command with --json and holds what it prints to the schema that it names. */
async function documentOf(expected: string, status: number, ...words: readonly string[]): Promise<Document> {
  const ran = await lpuc(...words, "--json");
  const document = JSON.parse(ran.stdout) as Document;
  expect([ran.status, document.schema]).toEqual([status, `lpuc.${expected}/1`]);
  expect(schemaProblems(schemaOf(expected), document)).toEqual([]);
  seen.add(expected);
  return document;
}

let compiled: Document = {};
beforeAll(async () => {
  compiled = await documentOf(
    "compile",
    0,
    "compile",
    adder,
    "-o",
    program,
    "--chips",
    "4",
    "--topology",
    "all-to-all",
  );
});

test("compile: the figures agree with each other and with the file", async () => {
  expect(compiled).toMatchObject({
    model: adder,
    target: "lpu-nvlink",
    chips: 4,
    precision: "fp16",
    topology: "all-to-all",
  });
  const { latencyCycles, latencySeconds, clockHz, lowerBound, stages, sram, programBytes, passes } = compiled as {
    latencyCycles: number;
    latencySeconds: number;
    clockHz: number;
    lowerBound: { cycles: number; perResource: Record<string, number> };
    stages: { weightBytes: number }[];
    sram: { weightBytes: number; capacityBytes: number }[];
    programBytes: number;
    passes: { name: string }[];
  };
  expect(latencySeconds).toBe(latencyCycles / clockHz);
  expect(lowerBound.cycles).toBeGreaterThanOrEqual(Math.max(...Object.values(lowerBound.perResource)));
  expect(lowerBound.cycles).toBeLessThanOrEqual(latencyCycles);
  expect([stages.length, sram.length]).toEqual([4, 4]);
  expect(sram.every(({ weightBytes, capacityBytes }) => weightBytes > 0 && weightBytes <= capacityBytes)).toBe(true);
  expect(programBytes).toBe(readFileSync(program).length);
  expect(passes.map(({ name }) => name)).toEqual(stageRows.map(({ name }) => name));
  expect(await documentOf("inspect", 0, "inspect", program, "--section", "stages")).toMatchObject({ stages });
});

describe("documents", () => {
  test("run: executed as predicted, near the recorded outputs, files written", async () => {
    const words = ["--data-set", recorded, "--against", recorded, "--output-dir", scratch.path("out")];
    const run = await documentOf("run", 0, "run", program, ...words);
    expect(run.executedCycles).toBe(compiled.latencyCycles);
    expect(run.predictedCycles).toBe(compiled.latencyCycles);
    const [output] = run.outputs as { maxAbs: number; cosine: number; argmaxAgreement: number; file: string }[];
    expect(output).toMatchObject({ name: "logits", shape: [1, 12, 12], dtype: "float32", argmaxAgreement: 1 });
    expect(output?.maxAbs).toBeGreaterThan(0);
    expect(readdirSync(scratch.path("out"))).toEqual(["logits.npy", "output_0.pb"]);
    // What was written compares as equal with what is computed again, in both forms.
    const again = await documentOf(
      "run",
      0,
      "run",
      program,
      "--data-set",
      recorded,
      "--against",
      scratch.path("out"),
      "--tolerance",
      "0",
    );
    expect(again.outputs).toMatchObject([{ maxAbs: 0, maxUlp: 0, cosine: 1, argmaxAgreement: 1 }]);
  });

  test("bisect: the first tensor beyond a tolerance that half precision cannot hold", async () => {
    const words = ["--data-set", recorded, "--tolerance", "1e-6", "--output-dir", scratch.path("bisect")];
    const found = await documentOf("bisect", 5, "bisect", adder, ...words);
    expect(found.first).toMatchObject({ exposed: true, nodes: [{ index: expect.any(Number) }] });
    expect(readdirSync(scratch.path("bisect"))).toEqual(["model.onnx", "test_data_set_0"]);
  });

  test("run MODEL: fp32, inputs from text, one output to a file, against onnxruntime", async () => {
    const ids = "input_ids=1x12xi64=1,2,3,10,4,5,6,11,0,0,0,0";
    const file = scratch.path("logits.npy");
    const words = [
      "-i",
      ids,
      "--precision",
      "fp32",
      "--against",
      "ort",
      "-o",
      `logits=@${file}`,
      "--assert",
      "chips==1",
    ];
    const run = await documentOf("run", 0, "run", adder, ...words);
    expect(run.outputs).toMatchObject([{ name: "logits", file, argmaxAgreement: 1 }]);
    const npy = readFileSync(file);
    expect(npy.subarray(1, 6).toString()).toBe("NUMPY");
    expect((npy.length - 4 * 144) % 64).toBe(0);
  });

  test("verify and check", async () => {
    const verify = await documentOf("verify", 0, "verify", program);
    expect(verify).toMatchObject({ ok: true });
    expect(await documentOf("check", 0, "check", "models/vit-mini.onnx", "--precision", "fp32")).toMatchObject({
      chipsAtLeast: 1,
    });
    const text = readFileSync(await disassembled(), "utf8").replace(/"latencyCycles":\d+/, '"latencyCycles":7');
    writeFileSync(scratch.path("short.lpasm"), text);
    await documentOf("asm", 0, "asm", scratch.path("short.lpasm"), "-o", scratch.path("short.lpu"));
    expect(await documentOf("verify", 5, "verify", scratch.path("short.lpu"))).toMatchObject({
      ok: false,
      problems: [{ code: "LPU6001" }],
    });
  });

  test("inspect, disasm and schedule", async () => {
    const inspect = await documentOf("inspect", 0, "inspect", program);
    expect(Object.keys(inspect)).toEqual(["schema", "program", "stages", "sram", "links"]);
    const { layers } = (await documentOf("inspect", 0, "inspect", program, "--section", "layers")) as {
      layers: { nodes: string[] }[];
    };
    expect(layers.some(({ nodes }) => nodes.some((node) => node.includes("MatMul")))).toBe(true);
    const listing = await documentOf("disasm", 0, "disasm", program, "--chip", "1", "--unit", "MXM");
    expect((listing.lines as string[]).slice(1).every((line) => /^ {2}\d+: MXM\d+\.[LAC] /.test(line))).toBe(true);
    await documentOf("disasm", 0, "disasm", program, "-o", scratch.path("text.lpasm"));
    const schedule = await documentOf("schedule", 0, "schedule", program);
    const bursts = schedule.bursts as { lastCycle: number }[];
    expect(bursts).toHaveLength(compiled.instructions as number);
    expect(Math.max(...bursts.map(({ lastCycle }) => lastCycle))).toBeLessThan(compiled.latencyCycles as number);
    await documentOf("schedule", 0, "schedule", program, "--format", "csv", "-o", scratch.path("s.csv"));
    const rows = readFileSync(scratch.path("s.csv"), "utf8").trimEnd().split("\n");
    expect(rows).toHaveLength(bursts.length + 1);
    const people = (await lpuc("schedule", program)).stdout.trimEnd().split("\n");
    expect(people).toHaveLength(bursts.length + 1);
  });

  test("targets, ops and explain", async () => {
    const { targets } = (await documentOf("targets", 0, "targets")) as { targets: { name: string }[] };
    expect(targets.map(({ name }) => name)).toEqual(["lpu-nvlink", "groqchip1", "lp30", "ftlpu32"]);
    await documentOf("targets", 0, "targets", "groqchip1");
    const { operators } = (await documentOf("ops", 0, "ops")) as { operators: { op: string; compiles: boolean }[] };
    expect(operators).toContainEqual(expect.objectContaining({ op: "MatMul", compiles: true }));
    expect(await documentOf("explain", 0, "explain", "LPU2004")).toMatchObject({ exit: 3 });
  });

  test("partition and alloc", async () => {
    const chain = scratch.path("chain.json");
    writeFileSync(
      chain,
      JSON.stringify({ weights_us: [3, 1, 4, 1, 5, 9, 2, 6], param_bytes: [1, 1, 1, 1, 1, 1, 1, 1] }),
    );
    expect(await documentOf("partition", 0, "partition", chain, "--chips", "3")).toMatchObject({
      fits: true,
      objective: 14,
    });
    expect(await documentOf("partition", 4, "partition", chain, "--chips", "3", "--capacity", "2")).toMatchObject({
      fits: false,
    });
    expect(await documentOf("error", 2, "partition", chain)).toMatchObject({ command: "partition" });
    const graph = scratch.path("graph.json");
    const node = (id: number) => ({
      id,
      fpgaLatency: id + 1,
      cpuLatency: 100,
      size: 10,
      colorClass: id,
      isBackwardNode: 0,
    });
    const nodes = [0, 1, 2, 3].map(node);
    const edges = [0, 1, 2].map((id) => ({ sourceId: id, destId: id + 1, cost: 1 }));
    writeFileSync(graph, JSON.stringify({ maxFPGAs: 2, maxCPUs: 0, maxSizePerFPGA: 100, nodes, edges }));
    expect(await documentOf("partition", 0, "partition", graph)).toMatchObject({ format: "placement", fits: true });
    const buffers = scratch.path("buffers.csv");
    writeFileSync(buffers, "id,lower,upper,size\na,0,2,4\nb,1,3,4\nc,2,4,4\n");
    const allocated = await documentOf(
      "alloc",
      0,
      "alloc",
      buffers,
      "--capacity",
      "8",
      "-o",
      scratch.path("placed.csv"),
    );
    expect(allocated).toMatchObject({ result: "fits", peak: 8 });
    expect(readFileSync(scratch.path("placed.csv"), "utf8")).toMatch(/^id,lower,upper,size,offset\n/);
    expect(await documentOf("alloc", 4, "alloc", buffers, "--capacity", "7")).toMatchObject({ result: "infeasible" });
  });

  test("route: a collective, and one that no link serves", async () => {
    const instance = (links: readonly (readonly number[])[]) =>
      JSON.stringify({
        topology: "pair",
        collective: "Allgather",
        links_dst_src: links,
        pre: [[0], [1]],
        post: [
          [0, 1],
          [0, 1],
        ],
      });
    const file = scratch.path("collective.json");
    writeFileSync(
      file,
      instance([
        [0, 1],
        [1, 0],
      ]),
    );
    expect(await documentOf("route", 0, "route", file)).toMatchObject({ routed: true, steps: 1 });
    writeFileSync(
      file,
      instance([
        [0, 0],
        [1, 0],
      ]),
    );
    expect(await documentOf("route", 4, "route", file)).toMatchObject({
      routed: false,
      problems: [{ code: "LPU4003" }],
    });
    writeFileSync(file, "{}");
    await documentOf("error", 1, "route", file);
  });

  test("conformance: passed, failed and unsupported, each with its reason", async () => {
    const node = (op: string) => ({ name: "only", opType: op, input: ["x"], output: ["y"] });
    writeCase(scratch.path("cases/relu"), node("Relu"), [-1, 2], [0, 2]);
    writeCase(scratch.path("cases/wrong"), node("Neg"), [-1, 2], [1, 2]);
    writeCase(scratch.path("cases/strange"), node("Frobnicate"), [-1, 2], [0, 0]);
    expect(await documentOf("conformance", 5, "conformance", scratch.path("cases"))).toMatchObject({
      passed: ["relu"],
      failed: [{ name: "wrong" }],
      unsupported: [{ name: "strange", op: "Frobnicate" }],
    });
    const words = [scratch.path("cases/relu"), scratch.path("cases/strange"), "--resume", scratch.path("results")];
    const first = await documentOf("conformance", 0, "conformance", ...words);
    // What is in the file is not run again, even if it would end otherwise.
    writeCase(scratch.path("cases/relu"), node("Relu"), [-1, 2], [5, 5]);
    expect(await documentOf("conformance", 0, "conformance", ...words)).toEqual(first);
    await documentOf("conformance", 5, "conformance", scratch.path("cases/relu"));
  });

  test("errors are documents too, and every schema has met an output", async () => {
    const error = await documentOf("error", 7, "compile", scratch.path("absent.onnx"));
    expect(error).toMatchObject({ command: "compile", exitCode: 7, diagnostics: [{ code: "LPU1001" }] });
    await documentOf("error", 2, "compile", adder, "--bogus");
    const schemas = readdirSync(join(root, "src", "schemas")).map((name) => name.replace(/\.json$/, ""));
    const tokens = ["--tokenizer", "models/adder.json", "-n", "1"];
    await documentOf("generate", 0, "generate", adder, "--prompt", "1+2", ...tokens);
    await documentOf("completion", 0, "completion", "zsh");
    await documentOf("compare", 0, "compare", adder);
    await documentOf("explore", 0, "explore", adder, "--chips", "1", "--set", "link.latency=450");
    expect(await documentOf("diff", 0, "diff", program, program)).toMatchObject({ identical: true });
    await documentOf("stopped", 0, "compile", adder, "--stop-after", "blocks");
    expect(schemas).toEqual([...commandRows.map(({ name }) => name), "error", "stopped"].sort());
    expect([...seen].sort()).toEqual(schemas);
  });
});

/** A folder of the backend tests' form: one node over float32[2]. */
function writeCase(folder: string, node: object, input: readonly number[], output: readonly number[]): void {
  const { onnx } = onnxProto;
  const value = (name: string) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }] } } } });
  const graph = { name: "one", input: [value("x")], output: [value("y")], node: [node] };
  const model = { irVersion: 8, opsetImport: [{ domain: "", version: 17 }], graph };
  const set = join(folder, "test_data_set_0");
  mkdirSync(set, { recursive: true });
  writeFileSync(join(folder, "model.onnx"), onnx.ModelProto.encode(model).finish());
  const tensor = (name: string, data: readonly number[]) =>
    writeTensorProto(name, { dtype: "float32", shape: [2], bytes: new Uint8Array(Float32Array.from(data).buffer) });
  writeFileSync(join(set, "input_0.pb"), tensor("x", input));
  writeFileSync(join(set, "output_0.pb"), tensor("y", output));
}

async function disassembled(): Promise<string> {
  const file = scratch.path("whole.lpasm");
  expect((await lpuc("disasm", program, "-o", file)).status).toBe(0);
  return file;
}

describe("the schema checker of these tests", () => {
  test("notices what is wrong", () => {
    const compile = schemaOf("compile");
    expect(schemaProblems(compile, compiled)).toEqual([]);
    const { chips: _, ...without } = compiled;
    expect(schemaProblems(compile, without)).toEqual(["$: lacks chips"]);
    expect(schemaProblems(compile, { ...compiled, more: 1 })).toEqual(["$: more is not in the schema"]);
    expect(schemaProblems(compile, { ...compiled, latencyCycles: -1 })).toEqual(["$.latencyCycles: -1 is less than 0"]);
    expect(schemaProblems({ format: "x" }, 1)).toEqual(["$: the checker does not know the keyword format"]);
  });
});
