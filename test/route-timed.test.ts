// Collectives in cycles on random links of different speeds: what is put on the links is right when it is played, and no bound is above it.
import fc from "fast-check";
import { expect, it } from "vitest";
import { collectiveKinds } from "../passes/route/collective-problem.ts";
import { type CollectiveTask, solveTimedCollective } from "../passes/route/collective-timing.ts";
import { checkTimedCollective } from "../passes/route/collective-timing-check.ts";

/** A ring in one direction, and more links between any two chips. */
const tasks: fc.Arbitrary<CollectiveTask> = fc.integer({ min: 2, max: 6 }).chain((chips) => {
  const speed = { cyclesPerVector: fc.integer({ min: 1, max: 9 }), latency: fc.integer({ min: 1, max: 80 }) };
  const more = fc.record({ from: fc.nat(chips - 1), to: fc.nat(chips - 1), ...speed });
  return fc.record({
    kind: fc.constantFrom(...collectiveKinds),
    chips: fc.constant(chips),
    links: fc
      .tuple(fc.array(fc.record(speed), { minLength: chips, maxLength: chips }), fc.array(more, { maxLength: 12 }))
      .map(([ring, others]) => [
        ...ring.map((link, from) => ({ from, to: (from + 1) % chips, ...link })),
        ...others.filter(({ from, to }) => from !== to),
      ]),
    root: fc.nat(chips - 1),
    vectors: fc.integer({ min: 1, max: 60 }),
    forwardCycles: fc.nat(20),
    addCycles: fc.nat(20),
    forwarding: fc.constantFrom("cut-through" as const, "store-and-forward" as const),
    bufferVectors: fc.constant(undefined),
  });
});

it("every timed collective is right, and not below its bound", () => {
  fc.assert(
    fc.property(tasks, (task) => {
      const timed = solveTimedCollective(task, 200_000);
      if (timed.kind !== "timed") throw new Error("a ring reaches everybody");
      expect(checkTimedCollective(task, timed)).toEqual([]);
    }),
    { numRuns: 80 },
  );
});
