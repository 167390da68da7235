// `lpuc explore`: the Pareto front by its definition, figures that are those of compile, the same document whatever the threads, points that fail
// and do not end the sweep, budgets that filter.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { paretoFront } from "../src/explore.ts";
import { lpuc, lpucProcess } from "./cli-runner.ts";

const adder = "models/adder.onnx";

interface Row {
  readonly point: { readonly target: string; readonly chips: string; readonly precision: string };
  readonly chips: number;
  readonly latencyCycles: number;
  readonly latencySeconds: number;
  readonly throughputPerSecond: number;
  readonly meets: boolean;
  readonly pareto: boolean;
}
interface Document {
  readonly rows: readonly Row[];
  readonly failures: readonly { readonly code: string; readonly message: string }[];
  readonly problems?: readonly { readonly code: string }[];
}

async function explored(...words: readonly string[]): Promise<Document & { readonly status: number }> {
  const ran = await lpuc("explore", adder, ...words, "--json");
  return { ...(JSON.parse(ran.stdout) as Document), status: ran.status };
}

describe("the Pareto front", () => {
  const small = fc.integer({ min: 0, max: 5 });
  const costs = [0, 1, 2].map((i) => (row: readonly number[]) => row[i] ?? 0);
  const beats = (a: readonly number[], b: readonly number[]): boolean =>
    a.every((x, i) => x <= (b[i] ?? 0)) && a.some((x, i) => x < (b[i] ?? 0));

  test("has all that nothing beats, and something on it beats everything else", () => {
    const property = (rows: readonly (readonly number[])[]): void => {
      const front = paretoFront(rows, costs);
      const onFront = rows.filter((_, i) => front[i]);
      for (const [i, row] of rows.entries()) expect(onFront.some((other) => beats(other, row))).toBe(!front[i]);
    };
    fc.assert(fc.property(fc.array(fc.tuple(small, small, small), { maxLength: 12 }), property), { seed: 5 });
  });
});

describe("a sweep", () => {
  test("has compile's figures, in the order of its lists", async () => {
    const { rows, failures } = await explored("--target", "groqchip1,lpu-nvlink", "--chips", "2,1");
    expect(failures).toEqual([]);
    const order = rows.map(({ point }) => `${point.target} ${point.chips}`);
    expect(order).toEqual(["groqchip1 2", "groqchip1 1", "lpu-nvlink 2", "lpu-nvlink 1"]);
    const compiled = await lpuc("compile", adder, "--chips", "2", "--shapes-only", "--json");
    const { latencyCycles, throughputPerSecond } = JSON.parse(compiled.stdout) as Row;
    expect(rows[2]).toMatchObject({ latencyCycles, throughputPerSecond });
  });

  test("is the same on two threads", async () => {
    const words = ["explore", adder, "--chips", "1-3,200", "--precision", "fp16,int8", "--json"];
    const [one, two] = await Promise.all([lpucProcess(...words), lpucProcess(...words, "--jobs", "2")]);
    expect(two).toEqual(one);
    expect((JSON.parse(one.stdout) as Document).rows.length).toBeGreaterThan(5);
  });

  test("lists points that fail and goes on", async () => {
    const { rows, failures, status } = await explored(
      "--target",
      "nowhere,ftlpu32",
      "--chips",
      "1",
      "--set",
      "clockHz=1e9",
    );
    expect([rows.length, failures.length, status]).toEqual([1, 1, 0]);
    expect(failures[0]).toMatchObject({ code: "LPU3001", message: "there is no target 'nowhere'" });
  });

  test("ends with the code of the first where no point has a program", async () => {
    const { failures, status, problems } = await explored("--chips", "1,2", "--set", "link.latancy=5");
    expect([failures.length, status, problems?.map(({ code }) => code)]).toEqual([2, 2, ["LPU3003"]]);
  });

  test("changes the numbers it is told to", async () => {
    const { rows } = await explored("--chips", "2", "--set", "link.latency=100,450");
    const cycles = rows.map(({ latencyCycles }) => latencyCycles);
    expect((cycles[1] ?? 0) - (cycles[0] ?? 0)).toBe(350);
    const clocks = (await explored("--chips", "1", "--set", "clockHz=9e8,1.8e9")).rows;
    expect(clocks[0]?.latencySeconds).toBe(2 * (clocks[1]?.latencySeconds ?? 0));
  });

  test("leaves points outside the budgets off the front, and fails with 6 where all are", async () => {
    const { rows } = await explored("--chips", "1,2,4", "--assert", "throughput_per_second>=200000");
    expect(rows.map(({ meets }) => meets)).toEqual([false, true, true]);
    expect(rows.filter(({ pareto, meets }) => pareto && !meets)).toEqual([]);
    const text = (await lpuc("explore", adder, "--chips", "4,2,1", "--assert", "throughput_per_second>=200000")).stdout;
    expect(text).toMatch(/^fewest chips +lpu-nvlink, 2 chips, fp16, pipeline$/m);
    const none = await explored("--chips", "1", "--assert", "latency_us<=1");
    expect([none.status, none.rows[0]?.meets, none.problems?.[0]?.code]).toEqual([6, false, "LPU6004"]);
  });

  test("writes comma-separated values: a line for each point, the same number of cells in each", async () => {
    const words = ["--chips", "1", "--target", "nowhere,lpu-nvlink", "--format", "csv"];
    const lines = (await lpuc("explore", adder, ...words)).stdout.trimEnd().split("\n");
    expect(lines.map((line) => line.split(",").length)).toEqual([16, 16, 16]);
  });

  test.each([
    [["--chips", "1,x"], "'x' is no number of chips"],
    [["--chips", "5-2"], "'5-2' is no number of chips"],
    [["--precision", "fp61"], "did you mean 'fp16'"],
    [["--parallel", "both"], "'both' is none of pipeline, tensor, auto"],
    [["--set", "clockHz"], "does not have the form"],
    [["--set", "clockHz=1e9,x"], "does not have the form"],
    [["--set", "clockHz=1e9", "--set", "clockHz=2e9"], "set twice"],
    [["--chips", "1-9999", "--precision", "fp16,fp32"], "at most 10000 are explored"],
  ])("refuses %j", async (words, message) => {
    const ran = await lpuc("explore", adder, ...words);
    expect([ran.status, ran.stdout]).toEqual([2, ""]);
    expect(ran.stderr).toContain("error[LPU0002]");
    expect(ran.stderr).toContain(message);
  });

  test("a model that cannot be read is one problem, not many points", async () => {
    const ran = await lpuc("explore", "models/absent.onnx", "--chips", "1-4");
    expect([ran.status, ran.stdout, ran.stderr.match(/error\[/g)?.length]).toEqual([7, "", 1]);
  });
});
