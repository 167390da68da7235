// Cases of operators that are written out as others at import, in their forms.
import { constant, floats, i64, ints, listed, type OpCase } from "./op-models.ts";
import { one } from "./op-variations.ts";

const losses: readonly OpCase[] = ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"].flatMap((op) =>
  ["none", "sum", "mean"].flatMap((reduction) => {
    const [x, labels, weights] = [floats([3, 5], 1, -3, 0), ints("int64", [3], 0, 4), floats([5], 3, 0.1, 2)];
    const [deep, targets] = [floats([2, 3, 4], 2, -3, 0), ints("int64", [2, 4], 0, 2)];
    return [
      one(reduction, op, [x, labels], { reduction }),
      one(`${reduction} weighted`, op, [x, labels, weights], { reduction }),
      one(`${reduction} deep, some ignored`, op, [deep, targets], { reduction, ignore_index: 1n }),
      one(`${reduction} deep, weighted`, op, [deep, targets, floats([3], 3, 0.1, 2)], { reduction, ignore_index: 0n }),
    ];
  }),
);

const logProbabilities: readonly OpCase[] = [
  one(
    "with log_prob",
    "SoftmaxCrossEntropyLoss",
    [floats([3, 5], 1), ints("int64", [3], 0, 4)],
    {},
    {
      outputs: ["loss", "logs"],
    },
  ),
];

const norms: readonly OpCase[] = [
  one("default", "MeanVarianceNormalization", [floats([2, 3, 4, 5])]),
  one("axes", "MeanVarianceNormalization", [floats([2, 3, 4])], { axes: [1n, 2n] }),
  one("odd", "LRN", [floats([2, 5, 3, 3])], { size: 3n }),
  one("wide", "LRN", [floats([1, 5, 3, 3])], { size: 5n, alpha: 0.3, beta: 0.5, bias: 1.5 }),
];

const flags = (...numbers: number[]) => constant(listed("bool", [numbers.length], numbers));

const rearranging: readonly OpCase[] = [
  one("rows", "Compress", [floats([3, 2]), flags(0, 1, 1)], { axis: 0n }),
  one("columns", "Compress", [ints("int64", [3, 2], -9, 9), flags(0, 1)], { axis: -1n }),
  one("elements", "Compress", [floats([3, 2]), flags(0, 1, 0, 0, 1)]),
  one("crop and pad", "CenterCropPad", [floats([5, 4, 3]), constant(i64(2, 7, 3))], {}),
  one("axes", "CenterCropPad", [floats([5, 4, 3]), constant(i64(6, 2))], { axes: [0n, -1n] }),
  one("time first", "ReverseSequence", [floats([4, 3, 2]), i64(4, 1, 2)], { time_axis: 0n, batch_axis: 1n }),
  one("batch first", "ReverseSequence", [floats([2, 4]), constant(i64(3, 4))], { time_axis: 1n, batch_axis: 0n }),
];

/** Gathering by comparing places. */
const choosing: readonly OpCase[] = [
  one("one of each row", "GatherElements", [floats([6, 9]), ints("int64", [6, 1], -9, 8)], { axis: 1n }),
  one("fewer rows", "GatherElements", [ints("int32", [6, 9], -99, 99), ints("int64", [4, 3], 0, 5)], { axis: 0n }),
  one("middle", "GatherElements", [floats([2, 300, 3]), ints("int64", [2, 2, 3], 0, 299)], { axis: 1n }),
  one("list", "Gather", [floats([7]), ints("int64", [3, 4], -7, 6)]),
  one("list of int64", "Gather", [ints("int64", [7], -99, 99), ints("int32", [5], 0, 6)]),
];

export const functionCases: readonly OpCase[] = [...losses, ...logProbabilities, ...norms, ...rearranging, ...choosing];
