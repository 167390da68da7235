// The shape of the project as a table: which folder may import which, which packages each may use, and what the pure folders never touch.
// To change the shape, change the table and write docs/adr/NNNN-*.md.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "./cli-runner.ts";

interface Row {
  readonly why: string;
  /** Folders or files (without `.ts`) whose files it may import, besides its own. */
  readonly imports: readonly string[];
  readonly packages?: readonly string[];
}

const irParts = ["ir/diag", "ir/dtype", "ir/graph", "ir/json", "ir/machine", "ir/numeric", "ir/target"];
const passParts = [
  "passes/alloc",
  "passes/assemble",
  "passes/blocks",
  "passes/compile",
  "passes/fold",
  "passes/interval",
  "passes/legalise",
  "passes/lower",
  "passes/partition",
  "passes/route",
  "passes/schedule",
  "passes/shard",
];
const backendParts = ["backends/check", "backends/encode", "backends/interp"];
const srcParts = [
  "src/compile-model",
  "src/dump",
  "src/formats",
  "src/io",
  "src/onnx",
  "src/pipeline",
  "src/render",
  "src/report",
  "src/targets",
  "src/tolerance",
  "src/version",
];

const conformanceParts = [
  ...irParts,
  ...passParts,
  ...backendParts,
  "src/compile-model",
  "src/io",
  "src/onnx",
  "src/report",
  "src/targets",
  "src/tolerance",
];

const allowed: Readonly<Record<string, Row>> = {
  "ir/diag": { why: "everything reports, so it knows nothing", imports: [] },
  "ir/dtype": { why: "element types are facts", imports: [] },
  "ir/json": { why: "readers of checked JSON", imports: ["ir/diag"] },
  "ir/numeric": { why: "the machine's arithmetic", imports: ["ir/dtype", "ir/machine", "ir/target"] },
  "ir/target": { why: "the machine as data", imports: ["ir/diag", "ir/json", "ir/machine"] },
  "ir/machine": { why: "programs as data", imports: ["ir/diag", "ir/dtype", "ir/graph", "ir/target"] },
  "ir/graph": { why: "graphs and what their operators mean", imports: ["ir/diag", "ir/dtype", "ir/numeric"] },
  "passes/fold": { why: "constants and shapes", imports: irParts },
  "passes/legalise": { why: "ONNX operators to core ops", imports: [...irParts, "passes/fold"] },
  "passes/blocks": { why: "repeated layers of a core graph", imports: irParts },
  "passes/lower": { why: "core ops to kernels", imports: irParts },
  "passes/schedule": { why: "kernels to cycles", imports: [...irParts, "passes/lower"] },
  "passes/shard": { why: "one rank's graph of a model that chips share", imports: [...irParts, "passes/blocks"] },
  "passes/alloc": { why: "a problem of its own, solved and checked alone", imports: irParts },
  "passes/partition": { why: "a problem of its own, solved and checked alone", imports: irParts },
  "passes/route": { why: "a problem of its own, solved and checked alone", imports: irParts },
  "passes/interval": { why: "a problem of its own, solved and checked alone", imports: irParts },
  "passes/assemble": {
    why: "scheduled blocks to programs",
    imports: [
      ...irParts,
      "passes/alloc",
      "passes/blocks",
      "passes/interval",
      "passes/lower",
      "passes/partition",
      "passes/route",
      "passes/schedule",
      "passes/shard",
    ],
  },
  "passes/compile": { why: "the order of the passes", imports: [...irParts, ...passParts] },
  "backends/encode": { why: "program files and texts", imports: irParts },
  "backends/interp": { why: "executes what was decoded; knows nothing of who wrote it", imports: irParts },
  "backends/check": { why: "judges programs; shares nothing with the scheduler or the interpreter", imports: irParts },
  "src/io": {
    why: "the only file that touches files and streams",
    imports: ["ir/diag"],
    packages: ["node:fs", "node:path"],
  },
  "src/tolerance": { why: "when outputs of recorded cases agree", imports: ["ir/dtype", "ir/graph"] },
  "src/render": { why: "the one renderer of diagnostics", imports: ["ir/diag"] },
  "src/annotations": { why: "diagnostics for other programs", imports: ["ir/diag", "src/render", "src/version"] },
  "src/version": { why: "a fact", imports: [] },
  "src/targets": { why: "the presets", imports: [...irParts] },
  "src/onnx": {
    why: "the only readers and writers of ONNX's protobuf",
    imports: [...irParts, "passes/fold", "backends/interp", "src/io"],
    packages: ["node:path", "onnx-proto", "protobufjs"],
  },
  "src/modelgen": { why: "writes models for tests and benchmarks", imports: [], packages: ["onnx-proto"] },
  "src/formats": {
    why: "interchange formats of tensors and of the passes alone",
    imports: [...irParts, "passes/alloc", "passes/partition", "passes/route", "backends/interp"],
    packages: ["node:zlib"],
  },
  "src/report": {
    why: "figures, texts and traces from programs",
    imports: [...irParts, ...backendParts],
    packages: ["protobufjs"],
  },
  "src/pipeline": { why: "pipelines as text", imports: ["ir/diag", "passes/compile"] },
  "src/dump": {
    why: "what each pass made, as text",
    imports: [...irParts, ...passParts, "backends/encode", "src/compile-model"],
  },
  "src/docs": {
    why: "pages from tables",
    imports: [
      ...irParts,
      ...passParts,
      ...srcParts,
      "backends/encode",
      "src/commands",
      "src/conformance",
      "src/conformance-run",
      "src/demo",
    ],
    packages: ["node:os"],
  },
  "src/compile-model": {
    why: "the whole line for a file",
    imports: [...irParts, ...passParts, "backends/encode", "src/io", "src/onnx"],
  },
  "src/bisect": {
    why: "the whole line for the tensors of a graph",
    imports: [...irParts, ...passParts, ...backendParts, "src/compile-model", "src/report"],
  },
  "src/generate": {
    why: "token by token through a program",
    imports: ["ir/diag", "ir/dtype", "ir/graph", "ir/machine", "backends/interp"],
  },
  "src/conformance": { why: "the whole line for a recorded case", imports: conformanceParts },
  "src/conformance-worker": {
    why: "recorded cases in a thread of their own",
    imports: [...conformanceParts, "src/conformance"],
    packages: ["node:worker_threads"],
  },
  "src/conformance-run": {
    why: "recorded cases over several threads",
    imports: [...conformanceParts, "src/conformance", "src/conformance-worker", "src/worker-pool"],
    packages: ["node:path"],
  },
  "src/worker-pool": { why: "threads that share a list of work", imports: [], packages: ["node:worker_threads"] },
  "src/devices": { why: "published figures of other machines", imports: ["ir/target"] },
  "src/explore": {
    why: "the whole line for one of many systems",
    imports: [...irParts, "src/compile-model", "src/report"],
  },
  "src/explore-worker": {
    why: "systems in a thread of their own",
    imports: ["src/explore"],
    packages: ["node:worker_threads"],
  },
  "src/explore-run": {
    why: "systems over several threads",
    imports: ["ir/diag", "src/explore", "src/explore-worker", "src/worker-pool"],
    packages: ["node:path"],
  },
  "src/commands": {
    why: "what each command does",
    imports: [
      ...irParts,
      ...passParts,
      ...backendParts,
      ...srcParts,
      "src/annotations",
      "src/bisect",
      "src/conformance",
      "src/conformance-run",
      "src/devices",
      "src/explore",
      "src/explore-run",
      "src/generate",
    ],
    packages: ["commander", "node:crypto", "node:path", "onnxruntime-node"],
  },
  "src/cli": { why: "the process", imports: ["ir/diag", "src/commands", "src/io", "src/render"] },
  "src/api": { why: "the library's interface", imports: [...irParts, ...backendParts, ...srcParts] },
  "src/testing": {
    why: "arbitraries and invariants for those who test schedulers",
    imports: [...irParts, ...passParts, ...backendParts],
    packages: ["fast-check"],
  },
  "src/demo": {
    why: "the README's main job",
    imports: [...irParts, ...backendParts, ...srcParts],
    packages: ["node:url"],
  },
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name))
    .sort();
}

const files = ["ir", "passes", "backends", "src"].flatMap(sourceFiles);
const textOf = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));

function importsOf(file: string): readonly Import[] {
  const statements = (textOf.get(file) ?? "").matchAll(
    /^(?:import|export)\s+(type\s+)?(?:[\w$*{},\s]+?\s+from\s+)?"([^"]+)"(?:;| with)|\bimport\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, type, static_, dynamic]) => {
    const to = static_ ?? dynamic ?? "";
    const path = to.startsWith(".") ? relative(root, join(root, dirname(file), to)) : to;
    return { from: file, to: path, isType: type !== undefined };
  });
}

const imports = files.flatMap(importsOf);

/** `passes/alloc/solve.ts` -> `passes/alloc`, `src/io.ts` -> `src/io`. */
const partOf = (file: string): string => {
  const [top = "", second = ""] = file.split("/");
  return `${top}/${second.replace(/\.ts$/, "")}`;
};

describe("imports", () => {
  test("every folder has its row", () => {
    expect([...new Set(files.map(partOf))].filter((part) => allowed[part] === undefined)).toEqual([]);
    expect(Object.keys(allowed).filter((part) => !files.some((file) => partOf(file) === part))).toEqual([]);
    expect(Object.values(allowed).filter(({ why }) => why === "")).toEqual([]);
  });

  test("only what the table allows", () => {
    expect(imports.length).toBeGreaterThan(1000);
    const wrong = imports.filter(({ from, to }) => {
      const row = allowed[partOf(from)];
      if (!/^(ir|passes|backends|src)\//.test(to)) return !(row?.packages ?? []).includes(to);
      return partOf(from) !== partOf(to) && !(row?.imports ?? []).includes(partOf(to));
    });
    expect(wrong).toEqual([]);
  });

  test("passes and backends do not meet, and neither knows the outside world", () => {
    const crosses = imports.filter(({ from, to }) => {
      const [a, b] = [from.split("/")[0], to.split("/")[0]];
      if (a === "ir") return b !== "ir";
      return (a === "passes" || a === "backends") && b !== a && b !== "ir";
    });
    expect(crosses).toEqual([]);
  });

  test("no cycles of imported values", () => {
    const next = new Map(
      files.map((file) => [file, imports.filter(({ from, isType }) => from === file && !isType).map(({ to }) => to)]),
    );
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
        return;
      }
      state.set(file, "open");
      for (const to of next.get(file) ?? []) visit(to, [...path, file]);
      state.set(file, "done");
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

/** Lines of code that match, without comments. */
function linesWith(pattern: RegExp, folders: readonly string[]): readonly string[] {
  return files
    .filter((file) => folders.some((folder) => file.startsWith(`${folder}/`)))
    .flatMap((file) =>
      (textOf.get(file) ?? "")
        .split("\n")
        .map((line, i) => ({ code: line.replace(/\/\/.*|^\s*\/?\*.*/, ""), at: `${file}:${i + 1}` }))
        .filter(({ code }) => pattern.test(code))
        .map(({ at, code }) => `${at}: ${code.trim()}`),
    );
}

const pure = ["ir", "passes", "backends"];

describe("what is never written", () => {
  test("functions whose last bits depend on the engine, clocks, randomness and processes in the pure folders", () => {
    // Math.sqrt is exact to the last bit, as addition is.
    const functions = /Math\.(exp|expm1|pow|log\w*|a?sinh?|a?cosh?|a?tanh?|atan2|cbrt|hypot|random)\b/;
    expect(linesWith(functions, pure)).toEqual([]);
    expect(linesWith(/\b(Date|performance|process|console|globalThis|setTimeout|crypto)\b[.(]/, pure)).toEqual([]);
    expect(linesWith(functions, ["ir"]).length + linesWith(/Math\.sqrt/, ["ir"]).length).toBeGreaterThan(0);
  });

  test("default exports and `export *`", () => {
    expect(linesWith(/^export (default|\*)/, ["ir", "passes", "backends", "src"])).toEqual([]);
    expect(files.filter((file) => file.endsWith("/index.ts"))).toEqual([]);
  });

  test("process streams outside src/io.ts", () => {
    expect(
      linesWith(/\bconsole\.|process\.std(out|err|in)\b/, ["src"]).filter((line) => !line.startsWith("src/io.ts")),
    ).toEqual([]);
  });

  test("files without a first line that says what they hold", () => {
    expect(files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(textOf.get(file) ?? ""))).toEqual([]);
  });
});
