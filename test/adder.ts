// The shipped model that adds: prompts in, answers out, token by token.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TensorValue, valueFromBigints } from "../ir/graph/values.ts";
import type { Program } from "../ir/machine/program.ts";
import { argmaxRows, execute } from "./whole-line.ts";

const models = join(import.meta.dirname, "..", "models");
export const adderPath = join(models, "adder.onnx");

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

/** Sums that the model was not trained on, with the right answers. */
export const heldOutSums = (count: number): readonly { readonly prompt: string; readonly answer: string }[] => [
  { prompt: "123+456=", answer: "0579" },
  ...heldOut.slice(0, count),
];

/** What the program says to a prompt. */
export function answerOf(program: Program, prompt: string): string {
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
  return said;
}
