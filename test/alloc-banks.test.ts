// Allocation over many banks: what is returned is right by the independent checker, as low as it says, and depends on the buffers alone;
// the checker names every way in which an answer can be wrong.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBanked, type BankedBuffer } from "../passes/alloc/banks.ts";
import { checkBanked } from "../passes/alloc/banks-check.ts";
import { permutation } from "../src/testing/laws.ts";

const end = 40;

/** What lasts stands in many banks, what passes in a few, some of it several times. */
const bankedBuffer = fc.oneof(
  fc.record({
    size: fc.nat(9),
    banks: fc.subarray(["a", "b", "c", "d", "e", "f"], { minLength: 1 }),
    live: fc.constant([{ lower: 0, upper: end }]),
  }),
  fc.record({
    size: fc.nat(12),
    banks: fc.constantFrom(["a", "b"], ["c", "d"], ["e"], ["f"], ["b", "c"]),
    live: fc
      .uniqueArray(fc.nat(end), { minLength: 2, maxLength: 6 })
      .map((times) => [...times].sort((a, b) => a - b))
      .map((times) =>
        times.flatMap((lower, i) =>
          i % 2 === 0 && times[i + 1] !== undefined ? [{ lower, upper: times[i + 1] ?? 0 }] : [],
        ),
      ),
  }),
);
const banked = fc
  .array(bankedBuffer, { maxLength: 24 })
  .map((list) => list.map((buffer, i): BankedBuffer => ({ id: `b${i}`, ...buffer })));

const anyCapacity = (): number => Number.MAX_SAFE_INTEGER;
const runs = { seed: 71, numRuns: 150 };

/** The most that is live in one bank at one time, by looking at every bank and time. */
function mostLive(buffers: readonly BankedBuffer[]): number {
  let most = 0;
  for (const bank of "abcdef") {
    for (let time = 0; time < end; time++) {
      const here = buffers.filter(
        ({ banks, live }) => banks.includes(bank) && live.some(({ lower, upper }) => lower <= time && time < upper),
      );
      most = Math.max(
        most,
        here.reduce((sum, { size }) => sum + size, 0),
      );
    }
  }
  return most;
}

describe("allocateBanked", () => {
  test("returns a solution that checks, between what is live and its own peak", () => {
    fc.assert(
      fc.property(banked, (buffers) => {
        const { offsets, groups } = allocateBanked(buffers, 500);
        const capacityOf = (bank: string): number => groups.find(({ banks }) => banks.includes(bank))?.peak ?? -1;
        expect(checkBanked(buffers, offsets, capacityOf)).toEqual([]);
        const peak = groups.reduce((most, group) => Math.max(most, group.peak), 0);
        const bound = groups.reduce((most, group) => Math.max(most, group.lowerBound), 0);
        const largest = buffers.reduce((most, { size }) => Math.max(most, size), 0);
        expect(bound).toBeGreaterThanOrEqual(Math.max(mostLive(buffers), largest));
        expect(peak).toBeGreaterThanOrEqual(bound);
      }),
      runs,
    );
  });

  test("does not depend on the order of the buffers", () => {
    fc.assert(
      fc.property(banked, fc.nat(), (buffers, salt) => {
        const order = permutation(buffers.length, salt);
        const permuted = order.flatMap((index) => buffers[index] ?? []);
        const { offsets } = allocateBanked(buffers, 500);
        expect(allocateBanked(permuted, 500).offsets).toEqual(order.map((index) => offsets[index]));
      }),
      runs,
    );
  });

  test("gives one address in all banks of a buffer, and lets others share the time between two lives", () => {
    const buffers: BankedBuffer[] = [
      { id: "wide", size: 4, banks: ["x", "y"], live: [{ lower: 0, upper: 9 }] },
      {
        id: "twice",
        size: 3,
        banks: ["y", "z"],
        live: [
          { lower: 0, upper: 3 },
          { lower: 6, upper: 9 },
        ],
      },
      { id: "between", size: 3, banks: ["z"], live: [{ lower: 3, upper: 6 }] },
      { id: "alone", size: 2, banks: ["q"], live: [{ lower: 0, upper: 9 }] },
    ];
    const { offsets, groups } = allocateBanked(buffers);
    expect(groups.map(({ banks, peak, lowerBound }) => ({ banks, peak, lowerBound }))).toEqual([
      { banks: ["q"], peak: 2, lowerBound: 2 },
      { banks: ["x", "y", "z"], peak: 7, lowerBound: 7 },
    ]);
    expect(checkBanked(buffers, offsets, anyCapacity)).toEqual([]);
  });

  test("puts everything together where layers would be higher", () => {
    // What lasts is 4 high in x and 2 in y, and can swap: the tall passing buffer of x needs the low part of both.
    const always = [{ lower: 0, upper: 10 }];
    const buffers: BankedBuffer[] = [
      { id: "shared", size: 2, banks: ["x", "y"], live: always },
      { id: "x only", size: 4, banks: ["x"], live: always },
      { id: "y only", size: 1, banks: ["y"], live: always },
      { id: "y passing", size: 3, banks: ["y"], live: [{ lower: 0, upper: 5 }] },
      { id: "y later", size: 3, banks: ["y"], live: [{ lower: 5, upper: 10 }] },
    ];
    const { groups } = allocateBanked(buffers);
    expect(groups).toMatchObject([{ peak: 6, lowerBound: 6 }]);
  });
});

describe("checkBanked", () => {
  const buffers: BankedBuffer[] = [
    { id: "p", size: 4, banks: ["x", "y"], live: [{ lower: 0, upper: 9 }] },
    {
      id: "q",
      size: 4,
      banks: ["y"],
      live: [
        { lower: 0, upper: 2 },
        { lower: 5, upper: 9 },
      ],
    },
    { id: "r", size: 4, banks: ["y"], live: [{ lower: 2, upper: 5 }] },
    { id: "s", size: 4, banks: ["x"], live: [{ lower: 8, upper: 9 }] },
  ];
  const good = [0, 4, 4, 4];
  const verdict = (offsets: readonly number[], capacity = 8) => checkBanked(buffers, offsets, () => capacity);

  test("accepts what is right", () => expect(verdict(good)).toEqual([]));

  test.each([
    { name: "an offset too few", offsets: [0, 4, 4], found: [{ rule: "count", buffers: 4, offsets: 3 }] },
    { name: "a negative offset", offsets: [-1, 4, 4, 4], found: [{ rule: "offset", buffer: "p", offset: -1 }] },
    { name: "half a word", offsets: [0, 4, 4, 4.5], found: [{ rule: "offset", buffer: "s", offset: 4.5 }] },
    {
      name: "a buffer beyond its bank",
      offsets: [0, 4, 4, 5],
      found: [{ rule: "capacity", buffer: "s", bank: "x", end: 9, capacity: 8 }],
    },
    {
      name: "two buffers in one bank",
      offsets: [0, 3, 4, 4],
      found: [{ rule: "overlap", buffers: ["p", "q"], bank: "y", time: 0, address: 3 }],
    },
    {
      name: "two buffers that meet late",
      offsets: [0, 4, 4, 3],
      found: [{ rule: "overlap", buffers: ["p", "s"], bank: "x", time: 8, address: 3 }],
    },
  ])("names $name", ({ offsets, found }) => expect(verdict(offsets)).toEqual(found));

  test("names a life that runs into another's", () => {
    const longer = buffers.map((b) => (b.id === "r" ? { ...b, live: [{ lower: 2, upper: 6 }] } : b));
    expect(checkBanked(longer, good, () => 8)).toEqual([
      { rule: "overlap", buffers: ["q", "r"], bank: "y", time: 5, address: 4 },
    ]);
  });

  test("agrees with looking at every bank, time and address", () => {
    fc.assert(
      fc.property(banked, fc.array(fc.nat(30), { minLength: 24, maxLength: 24 }), (list, offsets) => {
        const pairs = new Set<string>();
        list.forEach((one, i) => {
          list.slice(i + 1).forEach((other, j) => {
            const [a, b] = [offsets[i] ?? 0, offsets[i + 1 + j] ?? 0];
            if (Math.max(a, b) >= Math.min(a + one.size, b + other.size)) return;
            const meet = one.live.some((x) => other.live.some((y) => x.lower < y.upper && y.lower < x.upper));
            if (!meet) return;
            for (const bank of one.banks) if (other.banks.includes(bank)) pairs.add(`${bank} ${one.id} ${other.id}`);
          });
        });
        const found = checkBanked(list, offsets.slice(0, list.length), anyCapacity).flatMap((violation) =>
          violation.rule === "overlap" ? [`${violation.bank} ${violation.buffers.join(" ")}`] : [],
        );
        expect(found.sort()).toEqual([...pairs].sort());
      }),
      runs,
    );
  });
});
