// Arbitrary transfer problems over connected topologies.
import fc from "fast-check";
import type { RouteLink, RouteProblem, RouteTransfer } from "../../passes/route/problem.ts";

const links = (chips: number): fc.Arbitrary<RouteLink[]> =>
  fc
    .tuple(
      fc.array(
        fc.record({ cyclesPerVector: fc.integer({ min: 1, max: 9 }), latency: fc.integer({ min: 1, max: 60 }) }),
        {
          minLength: chips,
          maxLength: chips,
        },
      ),
      fc.array(
        fc.record({
          from: fc.nat(chips - 1),
          to: fc.nat(chips - 1),
          cyclesPerVector: fc.integer({ min: 1, max: 9 }),
          latency: fc.integer({ min: 1, max: 60 }),
        }),
        { maxLength: 10 },
      ),
    )
    .map(([ring, more]) => [
      ...ring.map((link, chip) => ({ from: chip, to: (chip + 1) % chips, ...link })),
      ...more.filter(({ from, to }) => from !== to),
    ]);

const transfers = (chips: number): fc.Arbitrary<RouteTransfer[]> =>
  fc.array(
    fc
      .record({
        name: fc.string({ maxLength: 4 }),
        source: fc.nat(chips - 1),
        others: fc.uniqueArray(fc.integer({ min: 1, max: chips - 1 }), { minLength: 1, maxLength: 3 }),
        vectors: fc.integer({ min: 1, max: 40 }),
        earliest: fc.nat(200),
        readyEvery: fc.nat(4),
        latest: fc.option(fc.nat(900), { nil: undefined }),
      })
      .map(({ others, ...rest }) => ({ ...rest, destinations: others.map((step) => (rest.source + step) % chips) })),
    { minLength: 1, maxLength: 12 },
  );

/** Any problem that can be solved: a ring and more links, no limit on buffers, no repetition. */
export const routeProblems: fc.Arbitrary<RouteProblem> = fc.integer({ min: 2, max: 7 }).chain((chips) =>
  fc.record({
    chips: fc.constant(chips),
    links: links(chips),
    transfers: transfers(chips),
    forwarding: fc.constantFrom("cut-through" as const, "store-and-forward" as const),
    forwardCycles: fc.nat(20),
    bufferVectors: fc.constant(undefined),
    intervalCycles: fc.constant(undefined),
  }),
);
