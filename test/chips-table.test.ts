// `lpuc partition MODEL`: the table of numbers of chips.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { lpuc, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const adder = "models/adder.onnx";

describe("a table of numbers of chips", () => {
  type Row = {
    readonly chips: number;
    readonly latencyCycles: number;
    readonly initiationIntervalCycles: number;
    readonly fullestChipBytes: number;
  };
  type Table = {
    readonly fewest: number;
    readonly fastest: number;
    readonly mostThroughput: number;
    readonly rows: readonly Row[];
    readonly refused: readonly { readonly chips: number }[];
  };
  const tableOf = async (...words: readonly string[]): Promise<Table> => {
    const ran = await lpuc("partition", adder, "--json", ...words);
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    const document: Table = JSON.parse(ran.stdout);
    const schema = JSON.parse(readFileSync("src/schemas/partition.json", "utf8")) as Readonly<Record<string, unknown>>;
    expect(schemaProblems(schema, document)).toEqual([]);
    return document;
  };

  test("has the figures of the programs that compile makes, and says which number is best for what", async () => {
    const { rows, fewest, fastest, mostThroughput } = await tableOf();
    expect(rows.map(({ chips }) => chips)).toEqual([1, 2, 3, 4, 5, 6]);
    const best = (read: (row: Row) => number) => rows.find((row) => read(row) === Math.min(...rows.map(read)))?.chips;
    expect([fewest, fastest, mostThroughput]).toEqual([
      1,
      best(({ latencyCycles }) => latencyCycles),
      best(({ initiationIntervalCycles }) => initiationIntervalCycles),
    ]);
    const compiledTwo = await lpuc("compile", adder, "--chips", "3", "-o", scratch.path("three.lpu"), "--json");
    const three: Row = JSON.parse(compiledTwo.stdout);
    const { latencyCycles, initiationIntervalCycles } = three;
    expect(rows[2]).toMatchObject({ latencyCycles, initiationIntervalCycles });
    const text = await lpuc("partition", adder, "--chips", "3");
    expect(text.stdout).toMatch(/fewest chips +3\n/);
  });

  test("leaves out what does not fit, and heeds cuts", async () => {
    const target = scratch.path("table.json");
    let found = await tableOf();
    for (const wordsPerBank of [344, 336, 328, 320]) {
      writeFileSync(target, JSON.stringify({ extends: "lpu-nvlink", name: "table", mem: { wordsPerBank } }));
      found = await tableOf("--target", target);
      if (found.refused.length > 0) break;
    }
    const { rows, fewest, refused } = found;
    expect(fewest).toBeGreaterThan(1);
    expect(refused[0]?.chips).toBe(1);
    expect(rows.length + refused.length).toBe(6);
    const { refused: one } = await tableOf("--cut-after", "/blocks.1/Add");
    expect(one.map(({ chips }) => chips)).toEqual([1]);
  });

  test.each([
    { words: ["models/adder.onnx", "--capacity", "9"], says: "--capacity: a problem file has it" },
    { words: ["test/none.json", "--target", "lp30"], says: "--target: only a model (.onnx) has it" },
  ])("$words is refused", async ({ words, says }) => {
    const ran = await lpuc("partition", ...words);
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining(says)]);
  });
});
