// Laws of solvers: what must hold of every answer a scheduler gives, and between its answers to related problems. A law is given the scheduler, so
// that any can be held to it. Knows problems and invariants, no solver.
import fc from "fast-check";
import type { AllocProblem } from "../../passes/alloc/problem.ts";
import { allocProblems } from "./alloc-problems.ts";
import { allocationInvariants, brokenInvariants } from "./invariants.ts";

/** Offsets in the order of the buffers, or undefined where it finds none. */
export type Allocator = (problem: AllocProblem) => readonly number[] | undefined;

export interface AllocatorLaw {
  readonly name: string;
  readonly says: string;
  /** What shows that the law does not hold for this problem; undefined where it does. */
  readonly witness: (allocate: Allocator, problem: AllocProblem, salt: number) => string | undefined;
}

/** A permutation of 0 .. count - 1 that depends on `salt` alone. */
export function permutation(count: number, salt: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let state = (salt >>> 0) + 1;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

/** Room for every buffer by itself. */
const roomForAll = ({ buffers }: AllocProblem): number =>
  buffers.reduce((sum, { size, alignment = 1 }) => Math.ceil(sum / alignment) * alignment + size, 0);

export const allocatorLaws: readonly AllocatorLaw[] = [
  {
    name: "legal",
    says: "no invariant of allocations is broken",
    witness: (allocate, problem) => {
      const offsets = allocate(problem);
      if (offsets === undefined) return undefined;
      const [broken] = brokenInvariants(allocationInvariants, problem, offsets);
      return broken && `${broken.invariant}: ${broken.message}`;
    },
  },
  {
    name: "ample",
    says: "offsets are found where there is room for every buffer by itself",
    witness: (allocate, problem) => {
      const capacity = 2 * roomForAll(problem);
      return allocate({ ...problem, capacity }) === undefined ? `nothing found in ${capacity}` : undefined;
    },
  },
  {
    name: "monotone",
    says: "what fits a capacity fits a larger one",
    witness: (allocate, problem, salt) => {
      if (allocate(problem) === undefined) return undefined;
      const capacity = problem.capacity + 1 + (salt % 7);
      return allocate({ ...problem, capacity }) === undefined
        ? `fits ${problem.capacity} and not ${capacity}`
        : undefined;
    },
  },
  {
    name: "order",
    says: "the order of the buffers makes no difference",
    witness: (allocate, problem, salt) => {
      const order = permutation(problem.buffers.length, salt);
      const one = allocate(problem);
      const other = allocate({ ...problem, buffers: order.flatMap((index) => problem.buffers[index] ?? []) });
      if ((one === undefined) !== (other === undefined)) return `an answer depends on the order ${order.join(",")}`;
      const moved = order.findIndex((index, i) => one?.[index] !== other?.[i]);
      if (moved < 0) return undefined;
      const id = problem.buffers[order[moved] ?? 0]?.id;
      return `buffer ${id} goes elsewhere in the order ${order.join(",")}`;
    },
  },
];

/** The property that a law holds for drawn problems, for `fc.assert`. */
export function allocatorProperty(
  law: AllocatorLaw,
  allocate: Allocator,
  problems: fc.Arbitrary<AllocProblem> = allocProblems(),
): fc.IProperty<[AllocProblem, number]> {
  return fc.property(problems, fc.nat(), (problem, salt) => {
    const witness = law.witness(allocate, problem, salt);
    if (witness !== undefined) throw new Error(`${law.name} (${law.says}): ${witness}`);
  });
}
