// Where a model goes, as people say it: pins, cuts, placement files, and what is said when it does not fit.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { lpuc, scratchFolder } from "./cli-runner.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const adder = "models/adder.onnx";
const recorded = "models/adder.data/test_data_set_0";

type Stage = { readonly chip: number; readonly lastNode: string };
type Placement = { readonly chips: number; readonly stages: readonly Stage[] };

/** Compiles the adder and gives the placement it chose. */
async function compiled(name: string, ...words: readonly string[]): Promise<Placement> {
  const file = scratch.path(`${name}.json`);
  const ran = await lpuc("compile", adder, "-o", scratch.path(`${name}.lpu`), "-q", "--emit-placement", file, ...words);
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  const placement: Placement = JSON.parse(readFileSync(file, "utf8"));
  return placement;
}

const refused = async (...words: readonly string[]) => {
  const ran = await lpuc("compile", adder, "-o", scratch.path("refused.lpu"), ...words);
  return { status: ran.status, text: ran.stderr };
};

describe("pins and cuts", () => {
  test("a cut within a layer gives two stages whose program is legal and answers as recorded", async () => {
    const placed = await compiled("cut", "--chips", "3", "--cut-after", "/blocks.1/Add", "--precision", "fp32");
    expect(placed.stages.map(({ lastNode }) => lastNode)).toContain("/blocks.1/Add");
    expect(placed.stages).toHaveLength(3);
    const program = scratch.path("cut.lpu");
    expect((await lpuc("verify", program, "-q")).status).toBe(0);
    const ran = await lpuc("run", program, "--data-set", recorded, "--against", recorded);
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
  });

  test("a pinned node is on its chip, by name or by number", async () => {
    const stageOf = (placed: Placement, layer: number) =>
      placed.stages.find(({ lastNode }) => lastNode >= `/blocks.${layer}/Add_1`)?.chip;
    const free = await compiled("free", "--chips", "4");
    expect(stageOf(free, 1)).toBe(1);
    const pinned = await compiled("pinned", "--chips", "4", "--pin", "/blocks.1/Add_1=2");
    expect(stageOf(pinned, 1)).toBe(2);
    const index = (await loadNodeIndex("/blocks.1/Add_1")).toString();
    expect(await compiled("numbered", "--chips", "4", "--pin", `#${index}=2`)).toEqual(pinned);
    // The fewest chips that hold it, and reach the pin.
    expect((await compiled("auto", "--pin", "/blocks.3/Add=2")).chips).toBe(3);
  });

  test.each([
    { words: ["--pin", "/blocks.0/Ad=1"], code: "LPU3020", says: "did you mean '/blocks.0/Add'?" },
    { words: ["--cut-after", "#9999"], code: "LPU3020", says: "there is no node '#9999'" },
    { words: ["--cut-after", "/blocks.0/Ad", "--pin", "/block.1/Add=0"], code: "LPU3020", says: "2 errors" },
    { words: ["--pin", "/blocks.0/Add"], code: "LPU0002", says: "NODE=CHIP" },
    { words: ["--chips", "2", "--pin", "/blocks.0/Add=2"], code: "LPU3021", says: "there are 2 chips" },
    {
      words: ["--chips", "3", "--pin", "/blocks.0/Add=1", "--pin", "/blocks.0/Add_1=2"],
      code: "LPU3021",
      says: "nothing parts them",
    },
    {
      words: ["--chips", "3", "--pin", "/blocks.0/Add=1", "--pin", "/blocks.1/Add=0"],
      code: "LPU3021",
      says: "data flows from lower to higher chips",
    },
    {
      words: ["--chips", "2", "--cut-after", "/blocks.0/Add_1", "--cut-after", "/blocks.1/Add_1"],
      code: "LPU3021",
      says: "3 chips would do",
    },
  ])("$words is refused with $code", async ({ words, code, says }) => {
    const { status, text } = await refused(...words);
    expect(status).toBe(2);
    expect(text).toContain(code);
    expect(text).toContain(says);
  });
});

/** Place of a node in the file's list. */
async function loadNodeIndex(name: string): Promise<number> {
  const { default: onnxProto } = await import("onnx-proto");
  const model = onnxProto.onnx.ModelProto.decode(readFileSync(adder));
  return (model.graph?.node ?? []).findIndex((node) => node.name === name);
}

describe("placement files", () => {
  test("what was written gives the same program again; what was edited another one", async () => {
    const first = await compiled("first", "--chips", "4", "--cut-after", "/blocks.2/Add");
    const again = await compiled("again", "--placement", scratch.path("first.json"));
    expect(again).toEqual(first);
    const isSame = readFileSync(scratch.path("again.lpu")).equals(readFileSync(scratch.path("first.lpu")));
    expect(isSame).toBe(true);
    const text = readFileSync(scratch.path("first.json"), "utf8").replace(
      "/blocks.2/Add",
      "/blocks.2/attention/Softmax",
    );
    writeFileSync(scratch.path("edited.json"), text);
    const edited = await compiled("moved", "--placement", scratch.path("edited.json"));
    expect(edited.stages.map(({ lastNode }) => lastNode)).toContain("/blocks.2/attention/Softmax");
    expect((await lpuc("verify", scratch.path("moved.lpu"), "-q")).status).toBe(0);
  });

  const good = {
    schema: "lpuc.placement/1",
    chips: 2,
    stages: [
      { chip: 0, lastNode: "/blocks.1/Add_1" },
      { chip: 1, lastNode: "/head/MatMul" },
    ],
  };
  const [one, two] = good.stages;
  test.each([
    { what: "no JSON", file: "{", code: "LPU3022", status: 1, says: "not JSON" },
    { what: "a list", file: [], code: "LPU3022", status: 1, says: "expected an object" },
    {
      what: "misspelt fields",
      file: { ...good, chip: 2, stages: [{ ...one, lastnode: "x" }, two] },
      code: "LPU3022",
      status: 1,
      says: "stages[0].lastnode: unknown field; did you mean 'lastNode'?",
    },
    { what: "no chips", file: { ...good, chips: 0 }, code: "LPU3022", status: 1, says: "0 is no number of chips" },
    {
      what: "bad chip",
      file: { ...good, stages: [{ ...one, chip: -1 }, two] },
      code: "LPU3022",
      status: 1,
      says: "-1",
    },
    {
      what: "an unknown node",
      file: { ...good, stages: [{ ...one, lastNode: "/blocks.1/Ad_1" }, two] },
      code: "LPU3020",
      status: 2,
      says: "did you mean '/blocks.1/Add_1'?",
    },
    {
      what: "wrong order",
      file: { ...good, stages: [two, one] },
      code: "LPU3021",
      status: 2,
      says: "chips must ascend",
    },
    { what: "an absent chip", file: { ...good, chips: 1 }, code: "LPU3021", status: 2, says: "there are 1 chips" },
    { what: "an early end", file: { ...good, stages: [one] }, code: "LPU3021", status: 2, says: "'/head/MatMul'" },
    { what: "no stages", file: { ...good, stages: [] }, code: "LPU3021", status: 2, says: "no stages" },
  ])("a file with $what is refused with $code", async ({ file, code, status, says }) => {
    const path = scratch.path("bad.json");
    writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file));
    const answer = await refused("--placement", path);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(code)]);
    expect(answer.text).toContain(says);
  });

  test("a file leaves nothing to other options", async () => {
    const path = scratch.path("good.json");
    writeFileSync(path, JSON.stringify(good));
    expect(await refused("--placement", path, "--pin", "/blocks.0/Add=0")).toMatchObject({ status: 2 });
    expect((await refused("--placement", path, "--chips", "3")).text).toContain("the placement file is for 2");
    expect((await compiled("good", "--placement", path, "--chips", "2")).stages).toMatchObject(good.stages);
  });
});

describe("what does not fit", () => {
  const smaller = (wordsPerBank: number) => {
    const path = scratch.path(`small-${wordsPerBank}.json`);
    const document = { extends: "lpu-nvlink", name: "small", mem: { wordsPerBank } };
    writeFileSync(path, JSON.stringify(document));
    return path;
  };
  const notesOf = async (...words: readonly string[]) => {
    const ran = await lpuc("compile", adder, "-o", scratch.path("none.lpu"), "--json", ...words);
    const document: {
      exitCode: number;
      diagnostics: readonly { code: string; message: string; notes: readonly string[]; help?: string }[];
    } = JSON.parse(ran.stdout);
    expect([ran.status, document.exitCode, document.diagnostics.length]).toEqual([4, 4, 1]);
    const [{ code = "", message = "", notes = [], help = "" } = {}] = document.diagnostics;
    return { code, message, notes, help, levers: notes.filter((note) => note.startsWith("lever ")) };
  };

  test("weights alone are too many: said before anything is scheduled", async () => {
    const { code, message, notes, levers } = await notesOf("--target", smaller(12), "--chips", "1");
    expect(code).toBe("LPU4001");
    expect(message).toMatch(/^the model needs \d+ bytes, 1 chip has 675840$/);
    const largest = notes.slice(0, 5).map((note) => /^(\d+) bytes: weight '.+', node '\/.+'$/.exec(note)?.[1]);
    // MLP matrices of 96 x 384, in fp16.
    expect(largest).toEqual(Array.from({ length: 5 }, () => `${96 * 384 * 2}`));
    expect(levers.some((lever) => lever.includes("matrix weights to int8"))).toBe(true);
    // Half of either MLP matrix, which are a part of their own when layers are shared, and the vectors of which each chip has all.
    const shared = levers.map((lever) => /tensor parallelism over 2 chips .+ leaves (\d+) of the/.exec(lever)?.[1]);
    const bytes = Number(shared.find((found) => found !== undefined));
    expect(bytes).toBeGreaterThan(96 * 384 * 2);
    expect(bytes).toBeLessThan(1.1 * 96 * 384 * 2);
  });

  test("the number of chips that would do is one that does", async () => {
    const { target, code, levers, help } = await tooSmall();
    expect(code).toBe("LPU4002");
    const chips = /^lever 1: (\d+) chips instead of 1/.exec(levers[0] ?? "")?.[1] ?? "";
    expect(help).toContain(`--chips ${chips}`);
    const output = scratch.path("enough.lpu");
    const enough = await lpuc("compile", adder, "-o", output, "-q", "--target", target, "--chips", chips);
    expect(enough).toEqual({ status: 0, stdout: "", stderr: "" });
    expect((await lpuc("verify", output, "-q")).status).toBe(0);
  });

  /** The first of some shrinking targets that one chip of does not do. */
  async function tooSmall() {
    for (const words of [344, 336, 328]) {
      const target = smaller(words);
      const ran = await lpuc(
        "compile",
        adder,
        "-o",
        scratch.path("none.lpu"),
        "-q",
        "--target",
        target,
        "--chips",
        "1",
      );
      if (ran.status === 4) return { target, ...(await notesOf("--target", target, "--chips", "1")) };
    }
    throw new Error("one chip of every target holds the model");
  }

  test("levers are ranked, those that suffice first, then by bytes", async () => {
    const { levers } = await notesOf("--target", smaller(12), "--chips", "1");
    const isEnough = levers.map((lever) => !lever.endsWith("not enough alone"));
    expect(isEnough).toEqual([...isEnough].sort((a, b) => Number(b) - Number(a)));
  });
});

describe("a shorter dimension", () => {
  test("is a lever with the bytes it saves", async () => {
    const model = await symbolicModel();
    const target = scratch.path("tiny.json");
    writeFileSync(target, JSON.stringify({ extends: "lpu-nvlink", name: "tiny", mem: { wordsPerBank: 8 } }));
    const ran = await lpuc("compile", model, "--dim", "length=4096", "--target", target, "--chips", "1");
    expect(ran.status).toBe(4);
    // The input, and the two results that are live at once: rows of 512 numbers of four bytes.
    const saved = 3 * 2048 * 512 * 4;
    expect(ran.stderr).toMatch(new RegExp(`lever \\d: --dim length=2048 instead of 4096 saves ${saved} bytes`));
  });

  async function symbolicModel(): Promise<string> {
    const { default: onnxProto } = await import("onnx-proto");
    const { onnx } = onnxProto;
    const value = (name: string) => ({
      name,
      type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "length" }, { dimValue: 512 }] } } },
    });
    const graph = {
      name: "long",
      input: [value("x")],
      output: [value("y")],
      node: [
        { name: "first", opType: "Relu", input: ["x"], output: ["h"] },
        { name: "second", opType: "Neg", input: ["h"], output: ["y"] },
      ],
    };
    const path = scratch.path("long.onnx");
    const model = { irVersion: 8, opsetImport: [{ domain: "", version: 17 }], graph };
    writeFileSync(path, onnx.ModelProto.encode(model).finish());
    return path;
  }
});

describe("links that differ", () => {
  test("make the border over few links the slow one, and the program is legal", async () => {
    const path = scratch.path("uneven.json");
    // Four links between chips 1 and 2, one between the others.
    const edges = [[0, 1], ...Array.from({ length: 4 }, () => [1, 2]), [2, 3]];
    const topology = { kind: "edges", linksPerPair: 1, edges };
    writeFileSync(path, JSON.stringify({ extends: "lpu-nvlink", name: "uneven", topology }));
    const program = scratch.path("uneven.lpu");
    const words = ["compile", adder, "--target", path, "--chips", "4", "-o", program, "-q", "--dump-ir", "partition"];
    expect(await lpuc(...words)).toMatchObject({ status: 0, stderr: "" });
    const folder = scratch.path("uneven.ir");
    const [dump = ""] = readdirSync(folder).filter((name) => name.includes("partition"));
    const borders = readFileSync(join(folder, dump), "utf8").matchAll(/^border (\d) ([\d.]+),(\d+)$/gm);
    const factors = [...borders].map(([, , factor = ""]) => Number(factor));
    expect(factors).toHaveLength(3);
    expect(factors[1]).toBe(1);
    expect(factors[0]).toBeGreaterThan(1.5);
    expect(factors[2]).toBe(factors[0]);
    expect((await lpuc("verify", program, "-q")).status).toBe(0);
  });
});

describe("a model without repeated layers", () => {
  test("is cut where little crosses when no chip holds it, and computes the same", async () => {
    const model = await threeProducts();
    const target = scratch.path("narrow.json");
    writeFileSync(target, JSON.stringify({ extends: "lpu-nvlink", name: "narrow", mem: { wordsPerBank: 88 } }));
    const outputs = async (name: string, ...words: readonly string[]) => {
      const program = scratch.path(`${name}.lpu`);
      const placement = scratch.path(`${name}.json`);
      const made = await lpuc("compile", model, "-o", program, "-q", "--emit-placement", placement, ...words);
      expect(made).toEqual({ status: 0, stdout: "", stderr: "" });
      expect((await lpuc("verify", program, "-q")).status).toBe(0);
      const folder = scratch.path(`${name}.out`);
      const ran = await lpuc("run", program, "-i", "x=4x1024xf32=0.25", "--output-dir", folder, "-q");
      expect([ran.status, ran.stderr]).toEqual([0, ""]);
      const { stages }: Placement = JSON.parse(readFileSync(placement, "utf8"));
      return { stages, bytes: readFileSync(join(folder, "y.npy")) };
    };
    const roomy = await outputs("roomy");
    expect(roomy.stages).toHaveLength(1);
    const narrow = await outputs("narrow", "--target", target);
    // Each product has more than half of what a chip holds; what crosses is least after the narrowest of them.
    expect(narrow.stages.map(({ lastNode }) => lastNode)).toEqual(["relu0", "relu1", "product2"]);
    expect(narrow.bytes.equals(roomy.bytes)).toBe(true);
  });

  /** Three products with matrices of different sizes, a relu between them. */
  async function threeProducts(): Promise<string> {
    const { default: onnxProto } = await import("onnx-proto");
    const { onnx } = onnxProto;
    const sizes = [1024, 1040, 1056, 1024];
    const value = (name: string, width: number) => ({
      name,
      type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 4 }, { dimValue: width }] } } },
    });
    const initializer = [0, 1, 2].map((i) => {
      const [rows = 0, columns = 0] = sizes.slice(i, i + 2);
      const numbers = Float32Array.from({ length: rows * columns }, (_, at) => (((at * 7919) % 63) - 31) / 1024);
      return { name: `w${i}`, dataType: 1, dims: [rows, columns], rawData: new Uint8Array(numbers.buffer) };
    });
    const graph = {
      name: "products",
      input: [value("x", 1024)],
      output: [value("y", 1024)],
      initializer,
      node: [
        { name: "product0", opType: "MatMul", input: ["x", "w0"], output: ["a"] },
        { name: "relu0", opType: "Relu", input: ["a"], output: ["b"] },
        { name: "product1", opType: "MatMul", input: ["b", "w1"], output: ["c"] },
        { name: "relu1", opType: "Relu", input: ["c"], output: ["d"] },
        { name: "product2", opType: "MatMul", input: ["d", "w2"], output: ["y"] },
      ],
    };
    const path = scratch.path("products.onnx");
    const model = { irVersion: 8, opsetImport: [{ domain: "", version: 17 }], graph };
    writeFileSync(path, onnx.ModelProto.encode(model).finish());
    return path;
  }
});
