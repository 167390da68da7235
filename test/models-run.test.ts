// The shipped models the whole way: compile, verify, execute, compare. The systems left out here are in matrix-models.test.ts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type TensorValue, valueFromBigints } from "../ir/graph/values.ts";
import { isQuick, shippedCases, testShipped } from "./shipped-models.ts";
import { argmaxRows, compileForTest, execute } from "./whole-line.ts";

const models = join(import.meta.dirname, "..", "models");
testShipped(shippedCases.filter(isQuick));

describe("adder", () => {
  const facts = JSON.parse(readFileSync(join(models, "adder.json"), "utf8")) as {
    vocabulary: readonly string[];
    sequenceLength: number;
    fillToken: number;
    answerLength: number;
  };
  const heldOut = JSON.parse(readFileSync(join(models, "adder.heldout.json"), "utf8")) as readonly {
    prompt: string;
    answer: string;
  }[];

  test("answers held-out sums on 4 chips", () => {
    const { program } = compileForTest(join(models, "adder.onnx"), { chips: 4, precision: "fp16" });
    const pairs = heldOut.slice(0, 4);
    for (const { prompt, answer } of [{ prompt: "123+456=", answer: "0579" }, ...pairs]) {
      const tokens = [...prompt].map((character) => facts.vocabulary.indexOf(character));
      let said = "";
      while (said.length < facts.answerLength) {
        const ids = Array.from({ length: facts.sequenceLength }, (_, i) => BigInt(tokens[i] ?? facts.fillToken));
        const inputs = new Map<string, TensorValue>([
          ["input_ids", valueFromBigints("int64", [1, facts.sequenceLength], ids)],
        ]);
        const next = argmaxRows(execute(program, inputs).get("logits") as TensorValue)[tokens.length - 1] as number;
        tokens.push(next);
        said += facts.vocabulary[next];
      }
      expect(said).toBe(answer);
    }
  });
});
