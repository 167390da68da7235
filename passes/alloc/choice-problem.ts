// Allocation where a buffer may choose its banks: each choice is a set of banks, in all of which it then stands at one offset (a vector over
// neighbouring slices, say); some buffers must not share a bank, because they are accessed in the same cycles. Data and its structural verifier.
// Knows nothing of how it is solved, nor of machines and files.
import { type AllocBuffer, type ProblemFault, verifyAllocProblem } from "./problem.ts";

export type ChoiceBuffer = AllocBuffer & {
  /** Sets of banks; the buffer stands in all banks of one of them. */
  readonly choices: readonly (readonly string[])[];
  /** Ids of buffers with which it must not share a bank, whenever they are live; saying it on one side is enough. */
  readonly apart?: readonly string[];
};

/** `capacity` is that of every bank. */
export type ChoiceProblem = { readonly buffers: readonly ChoiceBuffer[]; readonly capacity: number };

/** Where a buffer stands: the banks of one of its choices, and the offset in each of them. */
export type ChoicePlace = { readonly banks: readonly string[]; readonly offset: number };

function choiceFaults(buffer: ChoiceBuffer, ids: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  if (buffer.choices.length === 0) faults.push("there is no bank to choose");
  for (const banks of buffer.choices) {
    if (banks.length === 0 || banks.includes("")) faults.push("a choice of banks has an empty name");
    else if (new Set(banks).size < banks.length) faults.push(`choice ${banks.join("+")} names a bank twice`);
  }
  for (const other of buffer.apart ?? []) {
    if (other === buffer.id) faults.push("it cannot be apart from itself");
    else if (!ids.has(other)) faults.push(`it must be apart from ${other}, which is not there`);
  }
  return faults;
}

/** Everything that is structurally wrong with a problem. The solver requires an empty answer. */
export function verifyChoiceProblem(problem: ChoiceProblem): readonly ProblemFault[] {
  const ids = new Set(problem.buffers.map(({ id }) => id));
  const own = problem.buffers.flatMap((buffer, index) =>
    choiceFaults(buffer, ids).map((message): ProblemFault => ({ buffer: index, message })),
  );
  return [...verifyAllocProblem(problem), ...own];
}
