// Arbitrary allocation problems: buffers of every kind, few enough to be checked at once.
import fc from "fast-check";
import type { ChoiceBuffer, ChoiceProblem } from "../../passes/alloc/choice-problem.ts";
import type { AllocBuffer, AllocGap, AllocProblem } from "../../passes/alloc/problem.ts";

type Shape = {
  readonly lower: number;
  readonly length: number;
  readonly size: number;
  readonly alignment: number;
  readonly cuts: readonly number[];
  readonly window: readonly [number, number] | undefined;
};

function gapsOf(shape: Shape): AllocGap[] {
  const inside = [...new Set(shape.cuts.map((cut) => shape.lower + (cut % (shape.length + 1))))].sort((a, b) => a - b);
  const gaps: AllocGap[] = [];
  for (let i = 0; i + 1 < inside.length; i += 2) {
    const lower = inside[i] ?? 0;
    const upper = inside[i + 1] ?? 0;
    if (shape.window === undefined) {
      gaps.push({ lower, upper });
      continue;
    }
    const [a, b] = shape.window.map((x) => x % (shape.size + 1));
    gaps.push({ lower, upper, window: { lower: Math.min(a ?? 0, b ?? 0), upper: Math.max(a ?? 0, b ?? 0) } });
  }
  return gaps;
}

function bufferOf(shape: Shape, index: number): AllocBuffer {
  const gaps = gapsOf(shape);
  return {
    id: `b${index}`,
    lower: shape.lower,
    upper: shape.lower + shape.length,
    size: shape.size,
    ...(shape.alignment === 1 ? {} : { alignment: shape.alignment }),
    ...(gaps.length === 0 ? {} : { gaps }),
  };
}

export type AllocProblemOptions = {
  readonly buffers?: number;
  readonly time?: number;
  readonly size?: number;
  readonly alignments?: readonly number[];
  readonly gaps?: boolean;
  readonly windows?: boolean;
};

export function allocProblems(options: AllocProblemOptions = {}): fc.Arbitrary<AllocProblem> {
  const { buffers = 12, time = 12, size = 20, alignments = [1], gaps = false, windows = false } = options;
  const shape = fc.record({
    lower: fc.nat(time),
    length: fc.nat(time),
    size: fc.nat(size),
    alignment: fc.constantFrom(...alignments),
    cuts: gaps ? fc.array(fc.nat(100), { maxLength: 4 }) : fc.constant([]),
    window: windows ? fc.option(fc.tuple(fc.nat(100), fc.nat(100)), { nil: undefined }) : fc.constant(undefined),
  });
  return fc
    .record({
      shapes: fc.array(shape, { maxLength: buffers }),
      capacity: fc.nat(buffers * size),
    })
    .map(({ shapes, capacity }) => ({ buffers: shapes.map(bufferOf), capacity }));
}

/** Up to 30 buffers of every kind. */
export const anyAllocProblem: fc.Arbitrary<AllocProblem> = fc.oneof(
  allocProblems({ buffers: 30, time: 40, size: 20, alignments: [1], gaps: false, windows: false }),
  allocProblems({ buffers: 30, time: 12, size: 20, alignments: [1, 1, 2, 3, 8], gaps: true, windows: false }),
  allocProblems({ buffers: 20, time: 12, size: 9, alignments: [1, 2], gaps: true, windows: true }),
);

/** Buffers that choose among the banks, one or two at a time, some of which must be apart from others. */
export function choiceProblems(
  problems: fc.Arbitrary<AllocProblem> = allocProblems({ buffers: 8, gaps: true, alignments: [1, 2] }),
  banks: readonly string[] = ["a", "b", "c"],
): fc.Arbitrary<ChoiceProblem> {
  const choice = fc.subarray([...banks], { minLength: 1, maxLength: 2 });
  return problems.chain(({ buffers, capacity }) =>
    fc
      .array(fc.record({ choices: fc.array(choice, { minLength: 1, maxLength: 3 }), apart: fc.option(fc.nat()) }), {
        minLength: buffers.length,
        maxLength: buffers.length,
      })
      .map((drawn) => ({
        capacity,
        buffers: buffers.map((buffer, i): ChoiceBuffer => {
          const { choices, apart } = drawn[i] ?? { choices: [[...banks]], apart: null };
          const other = apart === null ? buffer.id : (buffers[apart % buffers.length]?.id ?? buffer.id);
          return { ...buffer, choices, ...(other === buffer.id ? {} : { apart: [other] }) };
        }),
      })),
  );
}
