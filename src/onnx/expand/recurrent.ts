// RNN, GRU and LSTM, a step a token: gates of the input are one product for all steps.
import {
  type Attrs,
  float,
  int,
  numberOf,
  optionalNumber,
  optionalNumbers,
  string,
  stringOf,
} from "../../../ir/graph/attr.ts";
import type { TensorId } from "../../../ir/graph/graph.ts";
import type { OnnxOp } from "../../../ir/graph/onnx-ops.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { shapeText } from "../../../ir/graph/shapes.ts";
import { sliceOf } from "./functions.ts";
import {
  type ExpandCall,
  type Expansion,
  type ExpansionTable,
  type Made,
  tooManySteps,
  type Writer,
} from "./writer.ts";

type Activation = (x: Made) => Made;

/** Operators that are activations by name; the scaled ones take the default factors of ONNX. */
const activationOps: Readonly<Record<string, { readonly op: OnnxOp; readonly factors: readonly string[] }>> = {
  relu: { op: "Relu", factors: [] },
  tanh: { op: "Tanh", factors: [] },
  sigmoid: { op: "Sigmoid", factors: [] },
  softsign: { op: "Softsign", factors: [] },
  softplus: { op: "Softplus", factors: [] },
  leakyrelu: { op: "LeakyRelu", factors: ["alpha"] },
  thresholdedrelu: { op: "ThresholdedRelu", factors: ["alpha"] },
  elu: { op: "Elu", factors: ["alpha"] },
  hardsigmoid: { op: "HardSigmoid", factors: ["alpha", "beta"] },
};

/** The activations of all directions in turn; factors are taken by those that have some. */
function activationsOf(w: Writer, attrs: Attrs, defaults: readonly string[]): readonly Activation[] | Problem {
  const names = Array.isArray(attrs.activations) ? attrs.activations.map(String) : defaults;
  if (names.length !== defaults.length)
    return problem("attr", `${names.length} activations, needed: ${defaults.length}`);
  const rest = {
    alpha: [...(optionalNumbers(attrs, "activation_alpha") ?? [])],
    beta: [...(optionalNumbers(attrs, "activation_beta") ?? [])],
  };
  const clip = optionalNumber(attrs, "clip");
  const made: Activation[] = [];
  for (const name of names) {
    const key = name.toLowerCase();
    const row = Object.hasOwn(activationOps, key) ? activationOps[key] : undefined;
    if (row === undefined) return problem("unsupported", `activation ${name}`);
    const factors: Record<string, number> = {};
    for (const factor of row.factors) {
      const value = (factor === "alpha" ? rest.alpha : rest.beta).shift();
      if (value !== undefined) factors[factor] = value;
    }
    made.push((x) => {
      const limited = clip === undefined ? x : w.op("Clip", [x, w.like(x, -clip), w.like(x, clip)]);
      return w.op(row.op, [limited], factors);
    });
  }
  return made;
}

/** What one direction works with; weights are [inner, gates * hidden]. */
interface Direction {
  readonly gates: Made;
  readonly recurrent: Made;
  /** Bias of the recurrent product, where it is added on its own. */
  readonly recurrentBias: Made;
  readonly peepholes: readonly Made[];
  readonly hidden: number;
  readonly activations: readonly Activation[];
  readonly attrs: Attrs;
}

interface State {
  readonly h: Made;
  readonly c: Made;
}

type Step = (w: Writer, direction: Direction, gates: Made, state: State) => State;

/** Parts of `hidden` columns each. */
const columns = (w: Writer, x: Made, hidden: number, count: number): readonly Made[] =>
  Array.from({ length: count }, (_, i) => sliceOf(w, x, 1, i * hidden, (i + 1) * hidden));

const identity: Activation = (x) => x;
const at = (list: readonly Activation[], index: number): Activation => list[index] ?? identity;
const sum = (w: Writer, a: Made, b: Made): Made => w.op("Add", [a, b]);
const times = (w: Writer, a: Made, b: Made): Made => w.op("Mul", [a, b]);

const rnnStep: Step = (w, { recurrent, recurrentBias, activations }, gates, { h, c }) => {
  const all = sum(w, gates, sum(w, w.op("MatMul", [h, recurrent]), recurrentBias));
  return { h: at(activations, 0)(all), c };
};

const gruStep: Step = (w, { recurrent, recurrentBias, hidden, activations, attrs }, gates, { h, c }) => {
  const [zx, rx, hx] = columns(w, gates, hidden, 3);
  const [zr, rr, hr] = columns(w, recurrent, hidden, 3);
  const [zb, rb, hb] = columns(w, recurrentBias, hidden, 3);
  const product = (x: Made, weights: Made, bias: Made): Made => sum(w, w.op("MatMul", [x, weights]), bias);
  const update = at(activations, 0)(sum(w, zx, product(h, zr, zb)));
  const reset = at(activations, 0)(sum(w, rx, product(h, rr, rb)));
  const after = numberOf(attrs, "linear_before_reset") !== 0;
  const inner = after ? times(w, reset, product(h, hr, hb)) : product(times(w, reset, h), hr, hb);
  const fresh = at(activations, 1)(sum(w, hx, inner));
  return { h: sum(w, fresh, times(w, update, w.op("Sub", [h, fresh]))), c };
};

const lstmStep: Step = (w, { recurrent, recurrentBias, peepholes, hidden, activations, attrs }, gates, { h, c }) => {
  const all = sum(w, gates, sum(w, w.op("MatMul", [h, recurrent]), recurrentBias));
  const [ix, ox, fx, cx] = columns(w, all, hidden, 4);
  const [pi, po, pf] = peepholes;
  const peeped = (x: Made, peephole: Made, cell: Made): Made =>
    peepholes.length === 0 ? x : sum(w, x, times(w, peephole, cell));
  const input = at(activations, 0)(peeped(ix, pi, c));
  const coupled = numberOf(attrs, "input_forget") !== 0;
  const forget = coupled ? w.op("Sub", [w.like(input, 1), input]) : at(activations, 0)(peeped(fx, pf, c));
  const cell = sum(w, times(w, forget, c), times(w, input, at(activations, 1)(cx)));
  const output = at(activations, 0)(peeped(ox, po, cell));
  return { h: times(w, output, at(activations, 2)(cell)), c: cell };
};

interface Kind {
  readonly gates: number;
  readonly activations: readonly string[];
  readonly step: Step;
}

interface Setting extends Kind {
  readonly length: number;
  readonly batch: number;
  readonly hidden: number;
  readonly directions: number;
  readonly batchFirst: boolean;
}

const directionCounts: Readonly<Record<string, number>> = { forward: 1, reverse: 1, bidirectional: 2 };

function settingOf(w: Writer, { inputs, attrs }: ExpandCall, kind: Kind): Setting | Problem {
  const [x, weights, recurrent] = [0, 1, 2].map((i) => w.shape(inputs[i]));
  const directions = directionCounts[stringOf(attrs, "direction")];
  if (directions === undefined) return problem("attr", `direction is ${stringOf(attrs, "direction")}`);
  const batchFirst = numberOf(attrs, "layout") === 1;
  const [first = 0, second = 0, width = 0] = x ?? [];
  const [length, batch] = batchFirst ? [second, first] : [first, second];
  const hidden = recurrent?.[2] ?? 0;
  const needed = [
    [directions, kind.gates * hidden, width],
    [directions, kind.gates * hidden, hidden],
  ];
  if (x?.length !== 3 || weights?.join() !== needed[0]?.join() || recurrent?.join() !== needed[1]?.join()) {
    const shapes = [x, weights, recurrent].map((shape) => shapeText(shape ?? [])).join(", ");
    return problem("shape", `X, W and R ${shapes} do not fit ${directions} directions of ${kind.gates} gates`);
  }
  const lengths = inputs[4] ?? null;
  if (lengths !== null && w.list(lengths)?.every((each) => each === length) !== true)
    return problem("unsupported", "sequence_lens other than the whole length");
  const many = tooManySteps(length, "tokens");
  if (many !== undefined) return many;
  return { ...kind, length, batch, hidden, directions, batchFirst };
}

/** The weights of one direction, and the gates of its inputs for all steps. */
function directionOf(w: Writer, call: ExpandCall, s: Setting, index: number, list: readonly Activation[]): Direction {
  const [x, weights, recurrent, bias, , , , peepholes] = call.inputs;
  const own = (value: TensorId | null | undefined): Made =>
    w.op("Squeeze", [sliceOf(w, value ?? undefined, 0, index, index + 1), w.ints(0)]);
  const turned = (value: TensorId | null | undefined): Made => w.op("Transpose", [own(value)], { perm: [1, 0] });
  const width = s.gates * s.hidden;
  const row = (start: number): Made =>
    bias
      ? w.op("Reshape", [sliceOf(w, own(bias), 0, start, start + width), w.ints(1, width)])
      : w.op("Expand", [w.like(x, 0), w.ints(1, width)]);
  const each = list.length / s.directions;
  const peeped = peepholes ? w.op("Reshape", [own(peepholes), w.ints(1, 3 * s.hidden)]) : undefined;
  const inTime = s.batchFirst ? w.op("Transpose", [x], { perm: [1, 0, 2] }) : x;
  return {
    gates: sum(w, w.op("MatMul", [inTime, turned(weights)]), row(0)),
    recurrent: turned(recurrent),
    recurrentBias: row(width),
    peepholes: peeped === undefined ? [] : columns(w, peeped, s.hidden, 3),
    hidden: s.hidden,
    activations: list.slice(index * each, (index + 1) * each),
    attrs: call.attrs,
  };
}

/** All states of one direction in order of time, and the last. */
function runDirection(
  w: Writer,
  call: ExpandCall,
  s: Setting,
  direction: Direction,
  index: number,
): { readonly ys: Made; readonly last: State } {
  const start = (input: TensorId | null | undefined): Made => {
    if (!input) return w.op("Expand", [w.like(call.inputs[0], 0), w.ints(s.batch, s.hidden)]);
    const axis = s.batchFirst ? 1 : 0;
    return w.op("Squeeze", [sliceOf(w, input, axis, index, index + 1), w.ints(axis)]);
  };
  let state: State = { h: start(call.inputs[5]), c: start(call.inputs[6]) };
  const backwards = stringOf(call.attrs, "direction") === "reverse" || index === 1;
  const ys: Made[] = [];
  for (let turn = 0; turn < s.length; turn += 1) {
    const t = backwards ? s.length - 1 - turn : turn;
    const gates = w.op("Squeeze", [sliceOf(w, direction.gates, 0, t, t + 1), w.ints(0)]);
    state = s.step(w, direction, gates, state);
    ys[t] = w.op("Unsqueeze", [state.h, w.ints(0, 1)]);
  }
  return { ys: w.op("Concat", ys, { axis: 0 }), last: state };
}

const expandRecurrent =
  (kind: Kind): Expansion["expand"] =>
  (w, call) => {
    const s = settingOf(w, call, kind);
    if ("problem" in s) return s;
    const defaults = Array.from({ length: s.directions }, () => kind.activations).flat();
    const list = activationsOf(w, call.attrs, defaults);
    if ("problem" in list) return list;
    const runs = Array.from({ length: s.directions }, (_, index) =>
      runDirection(w, call, s, directionOf(w, call, s, index, list), index),
    );
    const joined = w.op(
      "Concat",
      runs.map(({ ys }) => ys),
      { axis: 1 },
    );
    const y = s.batchFirst ? w.op("Transpose", [joined], { perm: [2, 0, 1, 3] }) : joined;
    const axis = s.batchFirst ? 1 : 0;
    const last = (part: (state: State) => Made): Made =>
      w.op(
        "Concat",
        runs.map((run) => w.op("Unsqueeze", [part(run.last), w.ints(axis)])),
        { axis },
      );
    return [y, last(({ h }) => h), ...(call.outputCount > 2 ? [last(({ c }) => c)] : [])];
  };

const shared = {
  activation_alpha: { type: "floats" },
  activation_beta: { type: "floats" },
  activations: { type: "strings" },
  clip: float(),
  direction: string("forward"),
  hidden_size: int(),
  layout: int(0),
} as const;
const inputs = ["X: float", "W: X", "R: X", "B?: X", "sequence_lens?: int32", "initial_h?: X"];

export const recurrentExpansions: ExpansionTable = {
  RNN: {
    summary: "a state that each token changes through one activation",
    inputs,
    outputs: ["Y?", "Y_h?"],
    attrs: shared,
    expand: expandRecurrent({ gates: 1, activations: ["Tanh"], step: rnnStep }),
  },
  GRU: {
    summary: "a state that each token changes through update and reset gates",
    inputs,
    outputs: ["Y?", "Y_h?"],
    attrs: { ...shared, linear_before_reset: int(0) },
    expand: expandRecurrent({ gates: 3, activations: ["Sigmoid", "Tanh"], step: gruStep }),
  },
  LSTM: {
    summary: "a state and a cell that each token changes through input, output and forget gates",
    inputs: [...inputs, "initial_c?: X", "P?: X"],
    outputs: ["Y?", "Y_h?", "Y_c?"],
    attrs: { ...shared, input_forget: int(0) },
    expand: expandRecurrent({ gates: 4, activations: ["Sigmoid", "Tanh", "Tanh"], step: lstmStep }),
  },
};
