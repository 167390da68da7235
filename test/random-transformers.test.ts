// Random transformers the whole way against onnxruntime: two dozen of them, or as many as LPUC_TRANSFORMERS says, from LPUC_SEED on.
import { afterAll, expect, test } from "vitest";
import { graphRule } from "../src/tolerance.ts";
import { scratchFolder } from "./cli-runner.ts";
import { judgeModel } from "./op-models.ts";
import { randomTransformer } from "./random-transformers.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const count = Number(process.env.LPUC_TRANSFORMERS ?? 24);
const first = Number(process.env.LPUC_SEED ?? 0);

test("agree with onnxruntime", async () => {
  const wrong: string[] = [];
  let compared = 0;
  for (let seed = first; seed < first + count; seed++) {
    const model = randomTransformer(seed);
    const { result, noReference } = await judgeModel(scratch.path(`${seed}`), model, graphRule);
    if (noReference === undefined) compared += 1;
    if (result.status !== "passed" || noReference !== undefined)
      wrong.push(`seed ${seed}: ${result.reason || noReference}; ${JSON.stringify(model.options)} ${model.twists}`);
  }
  expect(wrong).toEqual([]);
  expect(compared).toBe(count);
});

test("a seed gives one model", () => {
  expect(Buffer.from(randomTransformer(7).bytes).equals(randomTransformer(7).bytes)).toBe(true);
  expect(Buffer.from(randomTransformer(7).bytes).equals(randomTransformer(8).bytes)).toBe(false);
});
