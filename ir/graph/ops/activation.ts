// Activation functions. Computed in double, rounded once.
import { erf, exp, expm1, log1p, tanh } from "../../numeric/real.ts";
import { type AttrSpec, type Attrs, float, numberOf, string, stringOf } from "../attr.ts";
import { defineOp, type EvaluateContext, isProblem, type OnnxOpRow, problem } from "../op-row.ts";
import { broadcastShapes, shapeText } from "../shapes.ts";
import type { TensorValue } from "../values.ts";
import { inferSame, mapNumbers, mapPair, outputAt, typeAt, valueAt } from "./rules.ts";

type Attributes = Readonly<Record<string, AttrSpec>>;

const activation = (
  summary: string,
  attrs: Attributes,
  f: (x: number, attr: (name: string) => number) => number,
  types = "float",
): OnnxOpRow =>
  defineOp({
    summary,
    inputs: [`X: ${types}`],
    outputs: ["Y"],
    attrs,
    infer: inferSame,
    evaluate: (ctx) => {
      const values = numericAttrs(ctx.attrs, attrs);
      const attr = (name: string): number => values.get(name) ?? 0;
      return [mapNumbers(valueAt(ctx, 0), outputAt(ctx), (x) => f(x, attr))];
    },
  });

function numericAttrs(attrs: Attrs, specs: Attributes): ReadonlyMap<string, number> {
  return new Map(Object.keys(specs).map((name) => [name, numberOf(attrs, name)]));
}

export const sigmoid = (x: number): number => {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
};
/** log(1 + e^x). */
const softplus = (x: number): number => (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
export const geluErf = (x: number): number => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
const SQRT_2_OVER_PI = 0.7978845608028654;
export const geluTanh = (x: number): number => 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
const clamp01 = (x: number): number => Math.max(0, Math.min(1, x));

function prelu(ctx: EvaluateContext): TensorValue {
  return mapPair(valueAt(ctx, 0), valueAt(ctx, 1), outputAt(ctx), {
    number: (x, slope) => (x < 0 ? slope * x : x),
    big: (x, slope) => (x < 0n ? slope * x : x),
  });
}

export const activationOps = {
  Relu: defineOp({
    summary: "max(X, 0)",
    inputs: ["X: signed"],
    outputs: ["Y"],
    attrs: {},
    infer: inferSame,
    evaluate: (ctx) => [mapNumbers(valueAt(ctx, 0), outputAt(ctx), (x) => Math.max(x, 0))],
  }),
  PRelu: defineOp({
    summary: "X where it is not negative, else slope * X",
    inputs: ["X: number", "slope: X"],
    outputs: ["Y"],
    attrs: {},
    infer: (ctx) => {
      const [x, slope] = [typeAt(ctx, 0), typeAt(ctx, 1)];
      const shape = broadcastShapes(x.shape, slope.shape);
      if (isProblem(shape)) return shape;
      if (shapeText(shape) === shapeText(x.shape)) return [x];
      return problem("shape", `slope ${shapeText(slope.shape)} does not broadcast to X ${shapeText(x.shape)}`);
    },
    evaluate: (ctx) => [prelu(ctx)],
  }),
  Sigmoid: activation("1 / (1 + e^-X)", {}, sigmoid),
  LeakyRelu: activation("X, or alpha * X where negative", { alpha: float(0.01) }, (x, attr) =>
    x < 0 ? attr("alpha") * x : x,
  ),
  ThresholdedRelu: activation("X where it exceeds alpha, else 0", { alpha: float(1) }, (x, attr) =>
    x > attr("alpha") ? x : 0,
  ),
  Elu: activation("X, or alpha * (e^X - 1) where negative", { alpha: float(1) }, (x, attr) =>
    x < 0 ? attr("alpha") * expm1(x) : x,
  ),
  Selu: activation(
    "gamma * X, or gamma * alpha * (e^X - 1) where not positive",
    { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) },
    (x, attr) => (x > 0 ? attr("gamma") * x : attr("gamma") * attr("alpha") * expm1(x)),
  ),
  Celu: activation(
    "max(0, X) + min(0, alpha * (e^(X / alpha) - 1))",
    { alpha: float(1) },
    (x, attr) => Math.max(0, x) + Math.min(0, attr("alpha") * expm1(x / attr("alpha"))),
  ),
  HardSigmoid: activation("alpha * X + beta limited to 0..1", { alpha: float(0.2), beta: float(0.5) }, (x, attr) =>
    clamp01(attr("alpha") * x + attr("beta")),
  ),
  HardSwish: activation("X * max(0, min(1, X / 6 + 1/2))", {}, (x) => x * clamp01(x / 6 + 0.5)),
  Softplus: activation("log(1 + e^X)", {}, softplus),
  Softsign: activation("X / (1 + |X|)", {}, (x) => x / (1 + Math.abs(x))),
  Mish: activation("X * tanh(log(1 + e^X))", {}, (x) => x * tanh(softplus(x))),
  Swish: activation("X / (1 + e^(-alpha X))", { alpha: float(1) }, (x, attr) => x * sigmoid(attr("alpha") * x)),
  Shrink: activation(
    "X + bias below -lambd, X - bias above lambd, else 0",
    { lambd: float(0.5), bias: float(0) },
    (x, attr) => (x < -attr("lambd") ? x + attr("bias") : x > attr("lambd") ? x - attr("bias") : 0),
    "number",
  ),
  Gelu: defineOp({
    summary: "X * P(standard normal <= X), by erf or by the tanh approximation",
    inputs: ["X: float"],
    outputs: ["Y"],
    attrs: { approximate: string("none") },
    infer: (ctx) => {
      const mode = stringOf(ctx.attrs, "approximate");
      if (mode === "none" || mode === "tanh") return [typeAt(ctx, 0)];
      return problem("attr", `approximate is "${mode}", allowed: none, tanh`);
    },
    evaluate: (ctx) => {
      const f = stringOf(ctx.attrs, "approximate") === "tanh" ? geluTanh : geluErf;
      return [mapNumbers(valueAt(ctx, 0), outputAt(ctx), f)];
    },
  }),
} as const satisfies Record<string, OnnxOpRow>;
