// The contract of the command line: exit codes, diagnostics, did-you-mean, what is refused, what goes to which stream.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import onnxProto from "onnx-proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvariantError } from "../ir/diag/diagnostic.ts";
import { bugDiagnostic } from "../src/commands/bug.ts";
import { longFlag, optionRows } from "../src/commands/options.ts";
import { commandRows } from "../src/commands/table.ts";
import { version } from "../src/version.ts";
import { lpuc, lpucProcess, root, scratchFolder } from "./cli-runner.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const adder = "models/adder.onnx";
const recorded = "models/adder.data/test_data_set_0";
const program = scratch.path("adder.lpu");
const broken = scratch.path("broken.lpu");

beforeAll(async () => {
  const compiled = await lpuc("compile", adder, "-o", program, "--chips", "2", "-q");
  expect(compiled).toEqual({ status: 0, stdout: "", stderr: "" });
  // A program that states one cycle too many: every command must notice in its own way.
  const text = (await lpuc("disasm", program)).stdout;
  const longer = text.replace(/"latencyCycles":(\d+)/, (_, cycles: string) => `"latencyCycles":${Number(cycles) + 1}`);
  expect(longer).not.toBe(text);
  writeFileSync(scratch.path("broken.lpasm"), longer);
  expect((await lpuc("asm", scratch.path("broken.lpasm"), "-o", broken)).status).toBe(0);
});

/** The first line of what is said where a file cannot be read or written. */
const cannot = (verb: "read" | "write", path: string, reason: string): string =>
  `error[LPU${verb === "read" ? 1001 : 1002}]: cannot ${verb} ${path}: ${reason}`;

/** A model of one node over `x` float32[2,3]. */
function modelFile(name: string, op: string): string {
  const { onnx } = onnxProto;
  const value = (tensor: string) => ({
    name: tensor,
    type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }, { dimParam: "width" }] } } },
  });
  const graph = {
    name: "one",
    input: [value("x")],
    output: [value("y")],
    node: [{ name: "only", opType: op, input: ["x"], output: ["y"] }],
  };
  const path = scratch.path(name);
  writeFileSync(
    path,
    onnx.ModelProto.encode({ irVersion: 8, opsetImport: [{ domain: "", version: 17 }], graph }).finish(),
  );
  return path;
}

describe("usage", () => {
  test.each([
    { words: ["compil", "x"], code: "LPU0001", help: "did you mean 'compile'?" },
    { words: ["compile"], code: "LPU0001", help: "lpuc --help" },
    { words: ["compile", adder, "extra"], code: "LPU0001", help: "lpuc --help" },
    { words: ["compile", adder, "--targt", "x"], code: "LPU0001", help: "did you mean '--target'?" },
    { words: ["compile", adder, "--target", "groqchip"], code: "LPU3001", help: "did you mean 'groqchip1'?" },
    { words: ["compile", adder, "--topology", "chian"], code: "LPU3011", help: "did you mean 'chain'?" },
    { words: ["compile", adder, "--dim", "batch"], code: "LPU0002", help: "NAME=SIZE" },
    { words: ["compile", adder, "--shape", "input_id=1x12"], code: "LPU2007", help: "did you mean 'input_ids'?" },
    { words: ["compile", adder, "--chips", "none"], code: "LPU0002", help: "whole number" },
    { words: ["compile", adder, "--precision", "fp61"], code: "LPU0002", help: "did you mean 'fp16'?" },
    { words: ["compile", adder, "--assert", "latencyus<=1"], code: "LPU0002", help: "did you mean 'latency_us'?" },
    { words: ["compile", adder, "--assert", "latency_us=1"], code: "LPU0002", help: "latency_us<=120" },
    { words: ["run", program], code: "LPU0004", help: "-i input_ids=@FILE.npy" },
    { words: ["run", program, "-i", "input_id=1x12xi64=0"], code: "LPU0004", help: "did you mean 'input_ids'?" },
    { words: ["run", program, "-i", "input_ids=1x12xf32=0"], code: "LPU0004", help: "int64[1x12]" },
    { words: ["run", program, "-i", "input_ids=1x12xi64=1,2"], code: "LPU0002", help: "12 elements" },
    { words: ["run", program, "--chips", "2"], code: "LPU0002", help: "compiled already" },
    {
      words: ["run", program, "--data-set", recorded, "-o", "logit=@x.npy"],
      code: "LPU0004",
      help: "did you mean 'logits'?",
    },
    { words: ["inspect", program, "--section", "layer"], code: "LPU0002", help: "did you mean 'layers'?" },
    { words: ["disasm", program, "--unit", "VMX"], code: "LPU0002", help: "VMX" },
    { words: ["disasm", program, "--cycles", "5"], code: "LPU0002", help: "A:B" },
    { words: ["explain", "LPU0099"], code: "LPU0002", help: "LPU0099" },
    { words: ["partition", join("test", "cli.test.ts")], code: "LPU1041", help: "not JSON", status: 1 },
  ])("lpuc $words", async ({ words, code, help, status = 2 }) => {
    const ran = await lpuc(...words);
    expect(ran.stderr).toContain(`error[${code}]`);
    expect(ran.stderr).toContain(help);
    expect([ran.status, ran.stdout]).toEqual([status, ""]);
  });

  test("help lists every command and option; the version is the package's", async () => {
    const help = await lpuc("--help");
    expect([help.status, help.stderr]).toEqual([0, ""]);
    for (const { name } of commandRows) expect(help.stdout).toContain(`  ${name} `);
    const run = (await lpuc("run", "--help")).stdout;
    for (const name of commandRows.find((row) => row.name === "run")?.options ?? []) {
      expect(run).toContain(longFlag(optionRows[name]));
    }
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(version).toBe(manifest.version);
    expect((await lpuc("--version")).stdout).toBe(`${version}\n`);
  });
});

describe("exit codes", () => {
  test("1: the model or program is invalid", async () => {
    const garbage = scratch.path("garbage.onnx");
    writeFileSync(garbage, "this is no model");
    expect((await lpuc("check", garbage)).status).toBe(1);
    expect((await lpuc("verify", garbage)).stderr).toContain("error[LPU5001]");
    writeFileSync(scratch.path("cut.lpu"), readFileSync(program).subarray(0, 5000));
    expect(await lpuc("inspect", scratch.path("cut.lpu"))).toMatchObject({ status: 1, stdout: "" });
    writeFileSync(scratch.path("bad.npy"), "not an array");
    const input = await lpuc("run", program, "-i", `input_ids=@${scratch.path("bad.npy")}`);
    expect([input.status, input.stderr.includes("LPU1040")]).toEqual([1, true]);
  });

  test("3: unsupported, with the node's name; and dimensions that nobody bound", async () => {
    const unknown = await lpuc("check", modelFile("unknown.onnx", "Frobnicate"), "--dim", "width=3");
    expect([unknown.status, unknown.stdout.includes("1 problem, 1 cause")]).toEqual([3, true]);
    expect(unknown.stderr).toMatch(/error\[LPU2001\]: .*Frobnicate/);
    expect(unknown.stderr).toContain("'only'");
    expect((await lpuc("check", modelFile("relu.onnx", "Relu"))).stderr).toContain("error[LPU2004]");
    expect((await lpuc("check", modelFile("relu.onnx", "Relu"), "--dim", "width=3")).status).toBe(0);
  });

  test("4: it does not fit", async () => {
    const tiny = scratch.path("tiny.json");
    writeFileSync(tiny, JSON.stringify({ extends: "groqchip1", name: "tiny", mem: { wordsPerBank: 8 } }));
    const ran = await lpuc("compile", adder, "--target", tiny, "--chips", "1", "-o", scratch.path("tiny.lpu"));
    expect([ran.status, existsSync(scratch.path("tiny.lpu"))]).toEqual([4, false]);
    expect(ran.stderr).toMatch(/error\[LPU400\d\]/);
  });

  test("5: verification, execution and comparison", async () => {
    const verified = await lpuc("verify", broken);
    expect([verified.status, verified.stderr.includes("error[LPU6001]")]).toEqual([5, true]);
    expect(verified.stdout).toContain("FAIL");
    const ran = await lpuc("run", broken, "--data-set", recorded);
    expect([ran.status, ran.stderr.includes("error[LPU6002]: latency")]).toEqual([5, true]);
    const other = await lpuc("run", program, "--data-set", recorded, "--against", "models/adder.data/test_data_set_1");
    expect([other.status, other.stderr.includes("error[LPU6003]")]).toEqual([5, true]);
  });

  test("6: a figure outside its bound; the program is written all the same", async () => {
    const file = scratch.path("asserted.lpu");
    const ran = await lpuc("compile", adder, "-o", file, "--assert", "latency_us<=1", "--assert", "chips>=1", "-q");
    expect([ran.status, ran.stdout, existsSync(file)]).toEqual([6, "", true]);
    expect(ran.stderr.match(/error\[LPU6004\]/g)).toHaveLength(1);
  });

  test("7: a file cannot be read or written, and nothing is left half written", async () => {
    expect((await lpuc("verify", scratch.path("absent.lpu"))).status).toBe(7);
    const folder = scratch.path("taken");
    mkdirSync(join(folder, "out.lpu", "full"), { recursive: true });
    const ran = await lpuc("asm", scratch.path("broken.lpasm"), "-o", join(folder, "out.lpu"));
    expect([ran.status, ran.stderr.includes("error[LPU1002]")]).toEqual([7, true]);
    expect(readdirSync(folder)).toEqual(["out.lpu"]);
  });

  test("7: says what is there instead, in words", async () => {
    const file = scratch.path("plain.txt");
    writeFileSync(file, "hello\n");
    const said = async (...words: readonly string[]) => {
      const ran = await lpuc(...words);
      return [ran.status, ran.stdout, ran.stderr.split("\n")[0]];
    };
    const absent = scratch.path("absent.onnx");
    expect(await said("check", absent)).toEqual([7, "", cannot("read", absent, "there is no such file or folder")]);
    expect(await said("conformance", file)).toEqual([7, "", cannot("read", file, "it is no folder")]);
    const below = join(file, "model.onnx");
    expect(await said("check", below)).toEqual([7, "", cannot("read", below, "a part of its path is no folder")]);
    expect(await said("compile", adder, "-o", scratch.path("")).then(([status]) => status)).toBe(7);
    expect(await said("compile", adder, "-q", "-o", join(file, "x.lpu"))).toEqual([
      7,
      "",
      cannot("write", join(file, "x.lpu"), "a part of its path is no folder"),
    ]);
  });

  test("folders of outputs are made; where the system makes none, that is said and no endless attempt", async () => {
    const deep = scratch.path("a/b/c.lpu");
    expect((await lpuc("compile", adder, "-q", "-o", deep)).status).toBe(0);
    expect(readdirSync(scratch.path("a/b"))).toEqual(["c.lpu"]);
    if (!existsSync("/proc/self")) return;
    const ran = await lpuc("compile", adder, "-q", "-o", "/proc/none/c.lpu");
    expect([ran.status, ran.stderr.includes("error[LPU1002]")]).toEqual([7, true]);
  });

  test("70: a bug says how to report it, with its stack only when asked", () => {
    const quiet = bugDiagnostic(new InvariantError("two and two"), false);
    expect(quiet).toMatchObject({ code: "LPU9001", message: "broken invariant: two and two" });
    expect([quiet.notes, quiet.help?.includes("--debug")]).toEqual([undefined, true]);
    expect(bugDiagnostic(new RangeError("deep"), true).notes?.[0]).toContain("cli.test.ts");
  });
});

test("colours only when asked for; results and messages on their own streams", async () => {
  const plain = await lpuc("verify", broken, "--color", "auto");
  expect(plain.stderr).not.toContain("\u001b[");
  const coloured = await lpuc("verify", broken, "--color", "always", "-q");
  expect([coloured.stdout, coloured.stderr.includes("\u001b[1;31merror[LPU6001]")]).toEqual(["", true]);
});

test("the process has the streams and exit codes of the command line", async () => {
  expect(await lpucProcess("explain", "LPU2004")).toEqual(await lpuc("explain", "LPU2004"));
  expect(await lpucProcess("verify", broken, "--json")).toEqual(await lpuc("verify", broken, "--json"));
  const bad = await lpucProcess("compile", adder, "--targt", "x");
  expect([bad.status, bad.stdout, bad.stderr.includes("did you mean '--target'?")]).toEqual([2, "", true]);
});

test("two compiles give the same bytes, whatever the number of threads, and asm(disasm(p)) is p", async () => {
  const again = scratch.path("again.lpu");
  await lpuc("compile", adder, "-o", again, "--chips", "2", "-q", "--jobs", "2");
  expect(readFileSync(again).equals(readFileSync(program))).toBe(true);
  const text = scratch.path("again.lpasm");
  await lpuc("disasm", program, "-o", text);
  await lpuc("asm", text, "-o", scratch.path("third.lpu"));
  expect(readFileSync(scratch.path("third.lpu")).equals(readFileSync(program))).toBe(true);
  expect(readdirSync(dirname(program)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
