// How far a compilation goes and what it shows on the way: --pipeline, --stop-after, --dump-ir, and the text form of pipelines.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { passNames } from "../passes/compile/pass-names.ts";
import { stageRows } from "../src/docs/passes-page.ts";
import { parsePipeline, passText } from "../src/pipeline.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const adder = join(root, "models", "adder.onnx");

const schemaOf = (name: string): Readonly<Record<string, unknown>> =>
  JSON.parse(readFileSync(join(root, "src", "schemas", `${name}.json`), "utf8")) as Readonly<Record<string, unknown>>;

interface Stopped {
  readonly stoppedAfter: string;
  readonly made: readonly { readonly pass: string; readonly what: string }[];
  readonly dumps: readonly string[];
}

async function stoppedDocument(command: "compile" | "check", ...words: readonly string[]): Promise<Stopped> {
  const ran = await lpuc(command, adder, ...words, "--json");
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
  const document: unknown = JSON.parse(ran.stdout);
  const schema = words.includes("--stop-after") || words.includes("--pipeline") ? "stopped" : command;
  expect(schemaProblems(schemaOf(schema), document)).toEqual([]);
  return document as Stopped;
}

describe("pipeline texts", () => {
  const whole = passNames.join(",");

  test("are passes in their order, with settings, and may end early", () => {
    expect(parsePipeline(whole)).toEqual({ passes: passNames });
    expect(parsePipeline("import, legalise ,shard,blocks{layers=off},lower,schedule{effort=4}")).toEqual({
      passes: passNames.slice(0, 6),
      effort: 4,
      repeats: false,
    });
    expect(passNames.map(passText)).toContain("schedule{effort=0..100}");
  });

  test.each([
    ["", "there is no pass ''"],
    ["import,legalize", "there is no pass 'legalize'"],
    ["import,blocks", "expected legalise, found blocks"],
    ["legalise", "expected import, found legalise"],
    [`${whole},encode`, "nothing comes after encode"],
    ["import{", "does not have the form"],
    ["import,legalise,shard,blocks{layers=maybe}", "'maybe' is none of on, off"],
    ["import,legalise,shard,blocks{rows=1}", "blocks has no setting 'rows'"],
    ["import,legalise,shard,blocks,lower,schedule{effort=-1}", "'-1' is not a whole number from 0 to 100"],
  ])("%s is refused", (text, message) => {
    const found = parsePipeline(text);
    expect("problems" in found ? found.problems.map((problem) => problem.message).join() : "").toContain(message);
  });

  test("the documented passes are the passes", () => {
    expect(stageRows.map(({ name }) => name)).toEqual(passNames);
  });
});

describe("--dump-ir", () => {
  test("writes what every pass made, beside the program, the same every time", async () => {
    const texts = [];
    for (const name of ["one", "two"]) {
      const file = scratch.path(`${name}.lpu`);
      const ran = await lpuc("compile", adder, "--chips", "3", "-o", file, "--dump-ir", "all", "-q");
      expect([ran.status, ran.stderr, existsSync(file)]).toEqual([0, "", true]);
      const folder = scratch.path(`${name}.ir`);
      expect(readdirSync(folder)).toEqual(passNames.slice(0, -1).map((pass, i) => `${i + 1}.${pass}.lpir`));
      texts.push(readdirSync(folder).map((file_) => readFileSync(join(folder, file_), "utf8")));
    }
    expect(texts[0]).toEqual(texts[1]);
    const [imported, legal, shared, blocks, lowered, scheduled, placed, assembled] = texts[0] ?? [];
    expect(imported).toMatch(/^graph "[^"]*" form=onnx \{/);
    expect(legal).toMatch(/^graph "[^"]*" form=core \{/);
    expect(shared).toMatch(/^ranks 1\n/);
    expect(blocks?.match(/^block \d+ layer=\d+ form=1$/gm)).toHaveLength(4);
    expect(lowered).toContain("kernel 0 ");
    expect(scheduled).toMatch(/^ +\d+: MXM\d\.A abc /m);
    expect(placed).toContain("chip 0=0\n");
    expect(assembled).toMatch(/^lpasm \d+\n/);
  });

  test("of one pass writes one file; a pass that is not there, and a folder that cannot be, are said", async () => {
    const before = process.cwd();
    process.chdir(scratch.path("."));
    const { dumps } = await stoppedDocument("check", "--dump-ir", "legalise");
    process.chdir(before);
    expect(dumps).toEqual(["adder.ir/2.legalise.lpir"]);
    expect(readdirSync(scratch.path("adder.ir"))).toEqual(["2.legalise.lpir"]);
    const unknown = await lpuc("compile", adder, "--dump-ir", "legalize");
    expect([unknown.status, unknown.stderr.includes("did you mean 'legalise'?")]).toEqual([2, true]);
    writeFileSync(scratch.path("taken.ir"), "a file, not a folder");
    const ran = await lpuc("compile", adder, "-o", scratch.path("taken.lpu"), "--dump-ir", "blocks");
    expect([ran.status, ran.stdout, existsSync(scratch.path("taken.lpu"))]).toEqual([7, "", false]);
    expect(ran.stderr).toContain("error[LPU1002]");
  });
});

describe("--stop-after and --pipeline", () => {
  test.each(passNames.slice(0, -1))("a compilation ends after %s without a program", async (pass) => {
    const file = scratch.path("stopped.lpu");
    const stopped = await stoppedDocument("compile", "--stop-after", pass, "--chips", "2", "-o", file);
    const passes = passNames.slice(0, passNames.indexOf(pass) + 1);
    expect(stopped).toMatchObject({ stoppedAfter: pass, dumps: [] });
    expect(stopped.made.map((made) => made.pass)).toEqual(passes);
    expect(existsSync(file)).toBe(false);
    const byText = await stoppedDocument("compile", "--pipeline", passes.join(","), "--chips", "2");
    expect(byText.made).toEqual(stopped.made);
  });

  test("settings have their effect", async () => {
    const upTo = "import,legalise,shard,blocks{layers=off},lower";
    const { made } = await stoppedDocument("compile", "--pipeline", upTo);
    expect(made[3]?.what).toBe("1 blocks, 0 layers, 1 forms");
    const cycles = async (effort: number): Promise<string> => {
      const text = `import,legalise,shard,blocks,lower,schedule{effort=${effort}}`;
      return (await stoppedDocument("compile", "--pipeline", text)).made[5]?.what ?? "";
    };
    const [first, usual] = [await cycles(0), await cycles(1)].map((what) =>
      (/, ([\d, ]+) cycles/.exec(what)?.[1] ?? "").split(", ").map(Number),
    );
    expect(first?.length).toBe(3);
    // More effort keeps the first schedule unless it finds a shorter one.
    for (const [i, count] of (first ?? []).entries()) expect(usual?.[i]).toBeLessThanOrEqual(count);
  });

  test("check ends where it is told to; run needs a program", async () => {
    expect(await stoppedDocument("check", "--stop-after", "import")).toMatchObject({ stoppedAfter: "import" });
    const ran = await lpuc("run", adder, "--stop-after", "blocks", "-i", "input_ids=1x12xi64=0");
    expect([ran.status, ran.stdout]).toEqual([2, ""]);
    expect(ran.stderr).toContain("--stop-after: the pipeline ends after blocks");
    const whole = ["--pipeline", "import,legalise,shard,blocks,lower,schedule{effort=0},partition,assemble"];
    expect((await lpuc("run", adder, ...whole, "-i", "input_ids=1x12xi64=0", "-q")).status).toBe(0);
  });
});
