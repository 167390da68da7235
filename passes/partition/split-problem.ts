// How the operators of one layer are split over a group of chips: each operator has ways to do its share, tensors stand whole on every
// chip, split over the chips, or as partial sums, and collectives lead from one to another. Must not know how it is solved or checked.

export type TensorLayout =
  /** On every chip. */
  | "whole"
  /** A share on each chip: of the features, or of the heads. */
  | "split"
  /** Every chip has a summand. */
  | "partial";

/** One way for the chips of the group to do an operator; figures are for each chip. */
export type SplitWay = {
  readonly name: string;
  readonly reads: "whole" | "split";
  readonly writes: TensorLayout;
  readonly computeCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
};

export const conversions = {
  slice: { from: "whole", to: "split" },
  allGather: { from: "split", to: "whole" },
  allReduce: { from: "partial", to: "whole" },
  reduceScatter: { from: "partial", to: "split" },
} as const satisfies Record<string, { from: TensorLayout; to: "whole" | "split" }>;

export type Conversion = keyof typeof conversions;
export const conversionNames = [
  "slice",
  "allGather",
  "allReduce",
  "reduceScatter",
] as const satisfies readonly Conversion[];

/** Cycles that each conversion of a tensor takes. */
export type ConversionCycles = Readonly<Record<Conversion, number>>;

export type SplitOp = {
  readonly name: string;
  /** Operators before it; `LAYER_INPUT` is what the layer reads, whole on every chip. All are read in the same layout. */
  readonly inputs: readonly number[];
  readonly ways: readonly SplitWay[];
  /** Of its output. */
  readonly cycles: ConversionCycles;
};

export const LAYER_INPUT = -1;

export type SplitProblem = {
  /** In an order in which each comes after its inputs; the last one's output leaves the layer and must be whole. */
  readonly ops: readonly SplitOp[];
  /** Of the layer's input. */
  readonly inputCycles: ConversionCycles;
  /** What to keep small first. */
  readonly objective: "cycles" | "bytes";
};

export type SplitSolution = {
  /** Index of the way of each operator. */
  readonly ways: readonly number[];
  /** In the order in which they happen; `op` made the tensor, or it is `LAYER_INPUT`. */
  readonly conversions: readonly { readonly op: number; readonly conversion: Conversion }[];
  readonly computeCycles: number;
  readonly collectiveCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** False where so many tensors are alive at once that states had to be dropped. */
  readonly isExact: boolean;
};

/** Everything that is wrong with the problem itself; a solver may assume that this is empty. */
export function verifySplitProblem({ ops, inputCycles }: SplitProblem): readonly string[] {
  const faults: string[] = [];
  if (ops.length === 0) faults.push("the layer has no operators");
  const checkNumbers = (where: string, numbers: Readonly<Record<string, number>>): void => {
    for (const [field, value] of Object.entries(numbers))
      if (!(Number.isFinite(value) && value >= 0)) faults.push(`${where}: ${field} is ${value}`);
  };
  checkNumbers("the layer's input", inputCycles);
  ops.forEach(({ name, inputs, ways, cycles }, i) => {
    checkNumbers(name, cycles);
    if (ways.length === 0) faults.push(`${name}: there is no way to do it`);
    for (const { name: way, computeCycles, weightBytes, stateBytes } of ways)
      checkNumbers(`${name}, ${way}`, { computeCycles, weightBytes, stateBytes });
    for (const input of inputs)
      if (!Number.isInteger(input) || input < LAYER_INPUT || input >= i)
        faults.push(`${name}: operator ${input} is not before it`);
  });
  return faults;
}
