// com.microsoft's products with an activation behind them, as ONNX Runtime's optimiser writes them: the product, then the activation.
import { type Attrs, float, int, optionalNumber, optionalNumbers, string, stringOf } from "../../../ir/graph/attr.ts";
import type { OnnxOp } from "../../../ir/graph/onnx-ops.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { convAttrs } from "../../../ir/graph/ops/convolution.ts";
import type { Expansion, ExpansionTable, Made, Writer } from "./writer.ts";

/** Activations by name, with the attributes that their parameters are, in order. */
const activations: Readonly<Record<string, { readonly op: OnnxOp; readonly attrs: readonly string[] }>> = {
  Elu: { op: "Elu", attrs: ["alpha"] },
  HardSigmoid: { op: "HardSigmoid", attrs: ["alpha", "beta"] },
  LeakyRelu: { op: "LeakyRelu", attrs: ["alpha"] },
  Relu: { op: "Relu", attrs: [] },
  Sigmoid: { op: "Sigmoid", attrs: [] },
  Softplus: { op: "Softplus", attrs: [] },
  Softsign: { op: "Softsign", attrs: [] },
  Tanh: { op: "Tanh", attrs: [] },
  ThresholdedRelu: { op: "ThresholdedRelu", attrs: ["alpha"] },
};

/** The activation named in `activation`, none where it is empty. `parameters` as the file gives them; the operator has defaults. */
function activated(w: Writer, y: Made, attrs: Attrs, parameters: readonly (number | undefined)[]): Made | Problem {
  const name = stringOf(attrs, "activation");
  if (name === "") return y;
  if (name === "Clip") {
    const [low, high] = parameters;
    return w.op("Clip", [y, low === undefined ? null : w.like(y, low), high === undefined ? null : w.like(y, high)]);
  }
  const known = activations[name];
  if (known === undefined) return problem("unsupported", `activation ${name} is not among ${allowed}`);
  const given = known.attrs.flatMap((attr, i): [string, number][] => {
    const value = parameters[i];
    return value === undefined ? [] : [[attr, value]];
  });
  return w.op(known.op, [y], Object.fromEntries(given));
}

const allowed = [...Object.keys(activations), "Clip"].join(", ");

const gemm: Expansion = {
  summary: "Gemm, then the activation",
  inputs: ["A: float", "B: A", "C?: A"],
  outputs: ["Y"],
  attrs: {
    activation: string(""),
    activation_alpha: float(),
    activation_beta: float(),
    activation_gamma: float(),
    alpha: float(1),
    beta: float(1),
    transA: int(0),
    transB: int(0),
  },
  expand: (w, { inputs, attrs }) => {
    const { alpha = 1, beta = 1, transA = 0, transB = 0 } = attrs;
    const parameters = ["activation_alpha", "activation_beta"].map((name) => optionalNumber(attrs, name));
    const y = activated(w, w.op("Gemm", inputs, { alpha, beta, transA, transB }), attrs, parameters);
    return typeof y === "object" ? y : [y];
  },
};

const conv: Expansion = {
  summary: "Conv, Z added if there is one, then the activation",
  inputs: ["X: float", "W: X", "B?: X", "Z?: X"],
  outputs: ["Y"],
  attrs: { ...convAttrs, activation: string(""), activation_params: { type: "floats" } },
  expand: (w, { inputs: [x, weights, bias, addend], attrs }) => {
    const { activation: _, activation_params: __, ...own } = attrs;
    const product = w.op("Conv", [x, weights, bias ?? null], own);
    const sum = addend === null || addend === undefined ? product : w.op("Add", [product, addend]);
    const y = activated(w, sum, attrs, optionalNumbers(attrs, "activation_params") ?? []);
    return typeof y === "object" ? y : [y];
  },
};

export const fusedActivationExpansions: ExpansionTable = {
  "com.microsoft.FusedConv": conv,
  "com.microsoft.FusedGemm": gemm,
};
