// `inspect --section critical-path`: stretches that follow one another from cycle 0 to the last write, and the waits in them.
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { criticalPath } from "../src/report/critical-path.ts";
import { cycleOf, dependencesOf } from "../src/report/dependences.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { compileForTest } from "./whole-line.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const adder = join(root, "models", "adder.onnx");

describe.each([
  { chips: 1, target: "groqchip1" },
  { chips: 4, target: "lpu-nvlink" },
])("the adder on $chips of $target", ({ chips, target }) => {
  const { program } = compileForTest(adder, { chips, target, precision: "fp16" });
  const path = criticalPath(program);

  test("goes from cycle 0 to the last write without gaps", () => {
    expect(path[0]?.fromCycle).toBe(0);
    path.forEach((stretch, i) => {
      if (i > 0) expect(stretch.fromCycle).toBe(path[i - 1]?.untilCycle);
      expect(stretch.waitCycles).toBeGreaterThanOrEqual(0);
      expect(stretch.waitCycles).toBeLessThanOrEqual(stretch.untilCycle - stretch.fromCycle);
    });
    expect(path.at(-1)?.untilCycle).toBe(program.latencyCycles - program.target.verticalRipple);
  });

  test("goes through every layer, and through every chip by its transfers", () => {
    const nodes = path.flatMap((stretch) => stretch.nodes).join(" ");
    for (let layer = 0; layer < 4; layer++) expect(nodes).toContain(`/blocks.${layer}/`);
    expect([...new Set(path.map(({ chip }) => chip))]).toEqual(Array.from({ length: chips }, (_, chip) => chip));
    const transfers = path.filter(({ kernel }) => kernel.startsWith("transfer"));
    expect(transfers.length).toBeGreaterThanOrEqual(chips - 1);
    const isOneWay = transfers.every(
      ({ fromCycle, untilCycle }, i) =>
        fromCycle < untilCycle && (transfers[i + 1]?.fromCycle ?? untilCycle) >= untilCycle,
    );
    expect(isOneWay).toBe(true);
  });

  test("every operand comes from somewhere, and never from later", () => {
    const dependences = dependencesOf(program);
    let found = 0;
    for (const site of dependences.sites) {
      for (const repetition of new Set([0, site.ins.count - 1])) {
        const issue = { site, repetition };
        const on = dependences.of(issue);
        found += on.length;
        for (const dependence of on) {
          expect(dependence.wait).toBeGreaterThanOrEqual(0);
          expect(cycleOf(dependence.on) + dependence.wait).toBeLessThanOrEqual(cycleOf(issue));
        }
        if (["write", "acc", "abc", "lw", "iw", "permute", "send", "receive"].includes(site.ins.op))
          expect([site.ins.op, on.length]).not.toEqual([site.ins.op, 0]);
      }
    }
    expect(found).toBeGreaterThan(1000);
  });
});

test("a wait that is put into a program shows", () => {
  const { program, timeline, chipOf } = compileForTest(adder, { chips: 2, precision: "fp16" });
  // Chip 1 begins later, when all that was sent to it has arrived and its streams are empty.
  const first = timeline.blockStart[chipOf.indexOf(1)] as number;
  const delay = 1000;
  const late = {
    ...program,
    chips: program.chips.map((chip, c) => ({
      ...chip,
      queues: chip.queues.map((queue) => ({
        ...queue,
        instructions: queue.instructions.map((ins) =>
          c === 1 && ins.cycle >= first ? { ...ins, cycle: ins.cycle + delay } : ins,
        ),
      })),
    })),
  };
  const waits = (path: ReturnType<typeof criticalPath>): number =>
    path.reduce((sum, { waitCycles }) => sum + waitCycles, 0);
  const [before, after] = [criticalPath(program), criticalPath(late)];
  expect((after.at(-1)?.untilCycle ?? 0) - (before.at(-1)?.untilCycle ?? 0)).toBe(delay);
  expect(waits(after) - waits(before)).toBe(delay);
});

test("inspect prints it", async () => {
  const file = scratch.path("adder.lpu");
  await lpuc("compile", adder, "-o", file, "-q");
  const ran = await lpuc("inspect", file, "--section", "critical-path");
  expect(ran.status).toBe(0);
  expect(ran.stdout).toMatch(/^ *from +until +waits +chip +kernel +nodes\n +0 /);
  expect(ran.stdout).toMatch(/\n[\d,]+ cycles, in [\d,]+ of them the data was there and waited\n$/);
});
