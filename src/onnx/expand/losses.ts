// Losses of classifiers, written out as gathers and sums.
import { type Attrs, int, optionalNumber, string, stringOf } from "../../../ir/graph/attr.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import type { Expansion, ExpansionTable, Made, Writer } from "./writer.ts";

const lossAttrs = { ignore_index: int(), reduction: string("mean") } as const;

/** Minus the log probability of each target, weighted, and its reduction. */
function negativeLogLikelihood(
  w: Writer,
  logs: Made,
  target: Made,
  weights: Made | null,
  attrs: Attrs,
): readonly Made[] | Problem {
  const reduction = stringOf(attrs, "reduction");
  if (!["none", "sum", "mean"].includes(reduction))
    return problem("attr", `reduction is ${reduction}, allowed: none, sum, mean`);
  if (w.shape(logs).length < 2) return problem("shape", `input has rank ${w.shape(logs).length}, needed: at least 2`);
  const ignored = optionalNumber(attrs, "ignore_index");
  const mask = ignored === undefined ? undefined : w.op("Equal", [target, w.like(target, ignored)]);
  const safe = mask === undefined ? target : w.op("Where", [mask, w.like(target, 0), target]);
  const picked = w.op("GatherElements", [logs, w.op("Unsqueeze", [safe, w.ints(1)])], { axis: 1 });
  const loss = w.op("Neg", [w.op("Squeeze", [picked, w.ints(1)])]);
  const each = weights === null ? w.like(logs, 1) : w.op("Gather", [weights, safe]);
  const share = mask === undefined ? each : w.op("Where", [mask, w.like(logs, 0), each]);
  const isWeighted = weights !== null || mask !== undefined;
  const weighted = isWeighted ? w.op("Mul", [loss, share]) : loss;
  if (reduction === "none") return [weighted];
  if (reduction === "mean" && !isWeighted) return [w.op("ReduceMean", [weighted], { keepdims: 0 })];
  const sum = w.op("ReduceSum", [weighted], { keepdims: 0 });
  return [reduction === "sum" ? sum : w.op("Div", [sum, w.op("ReduceSum", [share], { keepdims: 0 })])];
}

const lossInputs = (x: string, target: string, weights: string): readonly string[] => [
  `${x}: float`,
  `${target}: index`,
  `${weights}?: ${x}`,
];

const nll: Expansion = {
  summary: "minus the log probability of each target class, weighted",
  inputs: lossInputs("input", "target", "weight"),
  outputs: ["loss"],
  attrs: lossAttrs,
  expand: (w, { inputs: [x, target, weight = null], attrs }) =>
    negativeLogLikelihood(w, x ?? undefined, target ?? undefined, weight, attrs),
};

const crossEntropy: Expansion = {
  summary: "minus the logarithm of the softmax at each label, weighted",
  inputs: lossInputs("scores", "labels", "weights"),
  outputs: ["output", "log_prob?"],
  attrs: lossAttrs,
  expand: (w, { inputs: [x, target, weight = null], attrs }) => {
    const logs = w.op("LogSoftmax", [x], { axis: 1 });
    const loss = negativeLogLikelihood(w, logs, target ?? undefined, weight, attrs);
    return "problem" in loss ? loss : [...loss, logs];
  },
};

export const lossExpansions: ExpansionTable = {
  NegativeLogLikelihoodLoss: nll,
  SoftmaxCrossEntropyLoss: crossEntropy,
};
