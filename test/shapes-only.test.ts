// --shapes-only: models whose weights are not there are scheduled, as they would be with their weights, and no program is written.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { externalTransformerModel } from "../src/modelgen/transformer-model.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const external = externalTransformerModel(
  { kind: "decoder", layers: 3, d: 64, heads: 4, ffn: 128, seq: 8, vocab: 50 },
  "weights.bin",
);
const model = scratch.path("model.onnx");
writeFileSync(model, external.model);

async function compiled(...words: readonly string[]): Promise<Record<string, unknown>> {
  const ran = await lpuc("compile", model, "--chips", "2", "--json", ...words);
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
  const document = JSON.parse(ran.stdout) as Record<string, unknown>;
  const schema = JSON.parse(readFileSync(join(root, "src", "schemas", "compile.json"), "utf8")) as Record<
    string,
    unknown
  >;
  expect(schemaProblems(schema, document)).toEqual([]);
  return document;
}

test("a model without its weights is scheduled as it is with them", async () => {
  const refused = await lpuc("compile", model, "-o", scratch.path("none.lpu"));
  expect([refused.status, refused.stderr.includes("error[LPU1025]")]).toEqual([7, true]);
  const absent = await compiled("--shapes-only");
  expect(absent).toMatchObject({ file: null, programBytes: null, programSha256: null });
  expect((await lpuc("check", model, "--shapes-only")).status).toBe(0);
  writeFileSync(scratch.path("weights.bin"), Buffer.concat([...external.chunks()]));
  const present = await compiled("-o", scratch.path("model.lpu"));
  expect(existsSync(scratch.path("model.lpu"))).toBe(true);
  const figures = ({ passes, file, programBytes, programSha256, ...rest }: Record<string, unknown>) => rest;
  expect(figures(absent)).toEqual(figures(present));
  // Weights that are there are not read either.
  expect(figures(await compiled("--shapes-only"))).toEqual(figures(absent));
});

test("no program is written or run without weights", async () => {
  const written = await lpuc("compile", model, "--shapes-only", "-o", scratch.path("never.lpu"));
  expect([written.status, existsSync(scratch.path("never.lpu"))]).toEqual([2, false]);
  expect(written.stderr).toContain("--output: with --shapes-only there is no program to write");
  const ran = await lpuc("run", model, "--shapes-only", "-i", "input_ids=1x8xi64=0");
  expect([ran.status, ran.stderr.includes("--shapes-only: a program without weights cannot be run")]).toEqual([
    2,
    true,
  ]);
});
