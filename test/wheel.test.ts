// What other inferences do on a chip, as a plan sees it: against every image, cycle by cycle.
import fc from "fast-check";
import { expect, test } from "vitest";
import { enter, newWheel, viewFrom } from "../passes/assemble/wheel.ts";

test("a view has the images of all stretches, before and after, and nothing else", () => {
  const stretch = fc.tuple(fc.integer({ min: -30, max: 200 }), fc.integer({ min: 1, max: 25 }));
  fc.assert(
    fc.property(
      fc.array(stretch, { maxLength: 6 }),
      fc.integer({ min: 5, max: 90 }),
      fc.integer({ min: -50, max: 300 }),
      (stretches, interval, origin) => {
        const until = 150;
        const wheel = newWheel(interval, 1);
        for (const [start, length] of stretches)
          enter(wheel, 3, { timelines: [{ starts: [start], ends: [start + length] }] }, 7);
        const { starts = [], ends = [] } = viewFrom(wheel, 3, origin, until).timelines[0] ?? {};
        const isTaken = (cycle: number): boolean =>
          stretches.some(([start, length]) => {
            const offset = (((origin + cycle - (start + 7)) % interval) + interval) % interval;
            return offset < length;
          });
        const isSeen = (cycle: number): boolean =>
          starts.some((start, i) => start <= cycle && cycle < (ends[i] as number));
        for (let cycle = 0; cycle < until; cycle++) expect([cycle, isSeen(cycle)]).toEqual([cycle, isTaken(cycle)]);
        for (let i = 1; i < starts.length; i++) expect(starts[i]).toBeGreaterThan(ends[i - 1] as number);
      },
    ),
  );
  expect(viewFrom(newWheel(10, 2), 0, 0, 10).timelines).toEqual([
    { starts: [], ends: [] },
    { starts: [], ends: [] },
  ]);
});
