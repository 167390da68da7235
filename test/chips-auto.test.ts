// `--chips auto` says what other numbers of chips would give, and they give it.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { programReport } from "../src/report/program-report.ts";
import { othersText } from "../src/report/program-text.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { compileForTest } from "./whole-line.ts";

const adder = join(root, "models", "adder.onnx");

describe.each(["chain", "all-to-all"] as const)("on a %s", (topology) => {
  const auto = compileForTest(adder, { chips: "auto", precision: "fp16", topology });

  test("the fewest chips are taken and every other number is timed", () => {
    expect(auto.program.chips.length).toBe(1);
    // Six blocks: a sixth chip may be of no use.
    const counts = auto.others.map(({ chips }) => chips);
    expect([2, 3, 4, 5, 6].slice(0, Math.max(4, counts.length))).toEqual(counts);
  });

  test.each([2, 5])("%i chips give nearly the latency that was said, and no longer interval", (chips) => {
    const { latencyCycles, initiationIntervalCycles } = compileForTest(adder, {
      chips,
      precision: "fp16",
      topology,
    }).program;
    const said = auto.others.find((other) => other.chips === chips);
    // What is said is for one inference by itself.
    expect(latencyCycles).toBeGreaterThanOrEqual(said?.latencyCycles ?? 0);
    expect(latencyCycles).toBeLessThan(1.05 * (said?.latencyCycles ?? 0));
    expect(initiationIntervalCycles).toBeLessThanOrEqual(said?.initiationIntervalCycles ?? 0);
  });
});

test("a number that was asked for is not argued with", () => {
  expect(compileForTest(adder, { chips: 2, precision: "fp16" }).others).toEqual([]);
});

describe("the text", () => {
  const report = {
    ...programReport(compileForTest(adder, { chips: 1, precision: "fp16" }).program),
    latencyCycles: 1000,
  };
  const timed = { ...report, initiationIntervalCycles: 1000, clockHz: 1e6 };

  test("names the number that is faster and the smallest that does nearly the most", () => {
    const others = [
      { chips: 2, latencyCycles: 900, initiationIntervalCycles: 500 },
      { chips: 3, latencyCycles: 950, initiationIntervalCycles: 201 },
      { chips: 4, latencyCycles: 960, initiationIntervalCycles: 200 },
    ];
    expect(othersText(timed, others)).toEqual([
      "2 chips: latency 900 cycles, 10.0 % less; 2000 a second, 2 times as many\n3 chips: latency 950 cycles, 5.0 % less; 4980 a second, 4.98 times as many",
    ]);
  });

  test("says so where none is faster, and nothing where there is none", () => {
    expect(othersText(timed, [{ chips: 2, latencyCycles: 1100, initiationIntervalCycles: 1000 }])).toEqual([
      "no other number up to 2 chips is faster",
    ]);
    expect(othersText(timed, [])).toEqual([]);
  });
});

test("compile prints it, and lists it in its document", async () => {
  const scratch = scratchFolder();
  const ran = await lpuc("compile", adder, "-o", scratch.path("adder.lpu"));
  const document = await lpuc("compile", adder, "-o", scratch.path("adder.lpu"), "--json");
  scratch.remove();
  expect(ran.stdout).toMatch(
    /^no other number up to 6 chips is faster\n\d chips: latency [\d,]+ cycles, [\d.]+ % more; /m,
  );
  expect((JSON.parse(document.stdout) as { others: unknown[] }).others).toHaveLength(5);
});
