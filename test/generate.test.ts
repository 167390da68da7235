// `lpuc generate`: tokenizers to the token, models with and without caches, and what is no such model.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readTokenizer, type Tokenizer } from "../src/formats/tokenizer.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";
import { sharedData } from "./shared-data.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const adder = "models/adder.onnx";
const adderTokens = "models/adder.json";

function tokenizerIn(value: unknown): Tokenizer {
  const read = readTokenizer(new TextEncoder().encode(JSON.stringify(value)));
  if (typeof read === "string") throw new Error(read);
  return read;
}

describe("tokenizers", () => {
  const bytePieces = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).padStart(2, "0").toUpperCase()}>`,
  );
  const pieces = ["<unk>", "<s>", "</s>", ...bytePieces, "a", "b", " ", "ab", " a", "aba", " ab"];
  // A pair's score is better the lower its place: the best pair is joined first.
  const scores = pieces.map((_, id) => (id < 262 ? 0 : 262 - id));
  const table = { pieces, scores, bos: 1, eos: 2, byteOffset: 3 };
  const id = (piece: string): number => pieces.indexOf(piece);

  test("joins the best pair first", () => {
    const { encode } = tokenizerIn(table);
    expect(encode("ab")).toEqual([1, id(" ab")]);
    expect(encode("b")).toEqual([1, id(" "), id("b")]);
    expect(encode("abab")).toEqual([1, id(" ab"), id("ab")]);
    expect(encode("aab")).toEqual([1, id(" a"), id("ab")]);
    expect(encode("")).toEqual([1]);
  });

  test("takes what has no piece as the bytes of UTF-8, and gives it back", () => {
    const { encode, decode } = tokenizerIn(table);
    const tokens = encode("aü€b");
    expect(tokens).toContain(3 + 0xc3);
    expect(decode(tokens as readonly number[])).toBe("aü€b");
    const { byteOffset, ...without } = table;
    expect(byteOffset).toBe(3);
    expect(tokenizerIn(without).encode("aü")).toBe("it has no token for 'ü'");
  });

  test("the binary form means the same", () => {
    const parts = pieces.map((piece, i) => {
      const text = Buffer.from(piece);
      const head = Buffer.alloc(8);
      head.writeFloatLE(scores[i] ?? 0, 0);
      head.writeUInt32LE(text.length, 4);
      return Buffer.concat([head, text]);
    });
    const file = new Uint8Array(Buffer.concat([Buffer.from([7, 0, 0, 0]), ...parts]));
    const read = readTokenizer(file);
    if (typeof read === "string") throw new Error(read);
    for (const text of ["abba", "a b", "xyz"]) expect(read.encode(text)).toEqual(tokenizerIn(table).encode(text));
    for (let length = 0; length < file.length; length += 37)
      expect(typeof readTokenizer(file.subarray(0, length))).not.toBe("undefined");
    expect(readTokenizer(file.subarray(0, 1000))).toMatch(/forms that lpuc reads|too few/);
  });

  test.each([{}, [], { pieces: ["a"], scores: [] }, { pieces: [1], scores: [1] }, { vocabulary: [] }])(
    "%j is refused",
    (value) => {
      expect(typeof readTokenizer(new TextEncoder().encode(JSON.stringify(value)))).toBe("string");
    },
  );
});

describe("without caches: the whole sequence goes in each time", () => {
  test("the adder adds, on two chips", async () => {
    const ran = await lpuc(
      "generate",
      adder,
      "--prompt",
      "123+456=",
      "--tokenizer",
      adderTokens,
      "-n",
      "4",
      "--chips",
      "2",
      "--json",
    );
    const document = JSON.parse(ran.stdout) as Readonly<Record<string, unknown>>;
    const schema = JSON.parse(readFileSync(join(root, "src", "schemas", "generate.json"), "utf8")) as object;
    expect(schemaProblems(schema as Readonly<Record<string, unknown>>, document)).toEqual([]);
    expect(document).toMatchObject({
      text: "123+456=0579",
      stopped: "count",
      executions: 4,
      chips: 2,
      cachesOnHost: 0,
    });
    expect(document.executedCycles).toBe(4 * (document.latencyCycles as number));
  });

  test("it stops where the model takes no more", async () => {
    const ran = await lpuc("generate", adder, "--prompt", "123+456=05", "--tokenizer", adderTokens);
    expect([ran.status, ran.stdout.startsWith("123+456=0579")]).toEqual([0, true]);
    expect(ran.stdout).toContain("as long as the model takes");
  });
});

describe("with caches: one token goes in at a time", () => {
  const stories = sharedData(join("models", "stories260K.decode-static", "model.onnx"));
  const tokenizer = sharedData(join("models", "stories260K", "tokenizer.json"));
  const golden = sharedData(join("models", "stories260K", "golden.json"));
  test.skipIf(golden === undefined)("the story goes on as recorded", async () => {
    const { greedyIds } = JSON.parse(readFileSync(golden ?? "", "utf8")) as { greedyIds: readonly number[] };
    const words = [
      "generate",
      stories ?? "",
      "--tokenizer",
      tokenizer ?? "",
      "-n",
      "6",
      "--precision",
      "fp32",
      "--json",
    ];
    const begun = JSON.parse((await lpuc(...words, "--prompt", "Once upon a")).stdout) as Readonly<
      Record<string, unknown>
    >;
    expect(begun.promptTokens).toEqual(greedyIds.slice(0, 4));
    expect(begun.tokens).toEqual(greedyIds.slice(4, 10));
    expect(begun).toMatchObject({ cachesInSram: 10, cachesOnHost: 0, executions: 9, stopped: "count" });
  });
});

test("what does not continue texts is refused, by its inputs; and a prompt that the tokenizer has not", async () => {
  const encoder = await lpuc("generate", "models/bert-mini.onnx", "--prompt", "1", "--tokenizer", adderTokens);
  expect([encoder.status, encoder.stderr.includes("token_type_ids")]).toEqual([3, true]);
  const odd = await lpuc("generate", adder, "--prompt", "x", "--tokenizer", adderTokens);
  expect([odd.status, odd.stderr.includes("no token for 'x'")]).toEqual([2, true]);
  const none = await lpuc("generate", adder, "--prompt", "", "--tokenizer", adderTokens);
  expect(none.status).toBe(2);
  writeFileSync(scratch.path("many.json"), JSON.stringify({ vocabulary: [..."0123456789+=abcdefghij"] }));
  const many = await lpuc("generate", adder, "--prompt", "1", "--tokenizer", scratch.path("many.json"));
  expect([many.status, many.stderr.includes("the tokenizer has 22 tokens")]).toEqual([2, true]);
});
