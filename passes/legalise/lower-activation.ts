// Activation functions in core ops.
import { numberOf, stringOf } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { abs, add, lt, max, min, mul, polynomial, select, toFloat, toInt, unary } from "./arith.ts";
import { type CoreDraft, float, int, isFloat } from "./core-draft.ts";
import { divide, rsqrt, sigmoid } from "./divide.ts";
import { clamp, erf, exp, expm1, softplus } from "./functions.ts";
import type { Lowering, LoweringTable, Site } from "./site.ts";
import { outputType, wrapTo } from "./site.ts";

type Activation = (d: CoreDraft, x: TensorId, attr: (name: string) => number) => TensorId;

const activation =
  (f: Activation): Lowering =>
  (d, site) =>
    f(d, site.input(0), (name) => numberOf(site.attrs, name));

const positivePart = (d: CoreDraft, x: TensorId): TensorId => max(d, x, isFloat(d, x) ? float(d, 0) : int(d, 0));
const isNegative = (d: CoreDraft, x: TensorId): TensorId => lt(d, x, isFloat(d, x) ? float(d, 0) : int(d, 0));

/** x / 2 * (1 + erf(x / sqrt 2)). */
export function geluErf(d: CoreDraft, x: TensorId): TensorId {
  const half = mul(d, x, float(d, 0.5));
  return add(d, mul(d, half, erf(d, mul(d, x, float(d, Math.SQRT1_2)))), half);
}

const SQRT_2_OVER_PI = 0.7978845608028654;

/** x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
export function geluTanh(d: CoreDraft, x: TensorId): TensorId {
  const half = mul(d, x, float(d, 0.5));
  const inner = mul(d, x, polynomial(d, mul(d, x, x), [SQRT_2_OVER_PI, SQRT_2_OVER_PI * 0.044715]));
  return add(d, mul(d, half, unary(d, "tanh", inner)), half);
}

export const swish = (d: CoreDraft, x: TensorId, alpha: number): TensorId =>
  mul(d, x, sigmoid(d, mul(d, x, float(d, alpha))));

function leakyRelu(d: CoreDraft, x: TensorId, alpha: number): TensorId {
  const scaled = mul(d, x, float(d, alpha));
  if (alpha >= 0 && alpha <= 1) return max(d, x, scaled);
  return select(d, isNegative(d, x), scaled, x);
}

function prelu(d: CoreDraft, site: Site): TensorId {
  const [x, slope] = [site.input(0), site.input(1)];
  return wrapTo(d, select(d, isNegative(d, x), mul(d, slope, x), x), outputType(site).dtype);
}

/** 1 / (1 + e^-x) where its logarithm or its inverse is taken next: small values keep their digits. */
function preciseSigmoid(d: CoreDraft, x: TensorId): TensorId {
  const root = rsqrt(d, add(d, exp(d, mul(d, x, float(d, -1))), float(d, 1)));
  return mul(d, root, root);
}

function sigmoidOf(d: CoreDraft, site: Site): TensorId {
  const small = site.readers.has("Log") || site.readers.has("Reciprocal");
  return small ? preciseSigmoid(d, site.input(0)) : sigmoid(d, site.input(0));
}

function shrink(d: CoreDraft, x: TensorId, attr: (name: string) => number): TensorId {
  const [limit, bias] = [attr("lambd"), attr("bias")];
  const above = select(d, lt(d, float(d, limit), x), add(d, x, float(d, -bias)), float(d, 0));
  return select(d, lt(d, x, float(d, -limit)), add(d, x, float(d, bias)), above);
}

export const activationLowerings: LoweringTable = {
  Relu: (d, site) => positivePart(d, site.input(0)),
  PRelu: prelu,
  Sigmoid: sigmoidOf,
  LeakyRelu: activation((d, x, attr) => leakyRelu(d, x, attr("alpha"))),
  ThresholdedRelu: activation((d, x, attr) => select(d, lt(d, float(d, attr("alpha")), x), x, float(d, 0))),
  Elu: activation((d, x, attr) => select(d, isNegative(d, x), mul(d, expm1(d, x), float(d, attr("alpha"))), x)),
  Selu: activation((d, x, attr) => {
    const below = mul(d, expm1(d, x), float(d, attr("alpha") * attr("gamma")));
    return select(d, lt(d, float(d, 0), x), mul(d, x, float(d, attr("gamma"))), below);
  }),
  Celu: activation((d, x, attr) => {
    const alpha = float(d, attr("alpha"));
    return add(d, positivePart(d, x), min(d, float(d, 0), mul(d, expm1(d, divide(d, x, alpha)), alpha)));
  }),
  HardSigmoid: activation((d, x, attr) =>
    clamp(d, add(d, mul(d, x, float(d, attr("alpha"))), float(d, attr("beta"))), 0, 1),
  ),
  HardSwish: activation((d, x) => mul(d, x, clamp(d, add(d, mul(d, x, float(d, 1 / 6)), float(d, 0.5)), 0, 1))),
  Softplus: activation((d, x) => softplus(d, x)),
  Softsign: activation((d, x) => divide(d, x, add(d, abs(d, x), float(d, 1)))),
  Mish: activation((d, x) => mul(d, x, unary(d, "tanh", softplus(d, x)))),
  Swish: activation((d, x, attr) => swish(d, x, attr("alpha"))),
  Shrink: (d, site) => {
    const [x, { dtype }] = [site.input(0), outputType(site)];
    const shrunk = shrink(d, isFloat(d, x) ? x : toFloat(d, x), (name) => numberOf(site.attrs, name));
    return isFloat(d, x) ? shrunk : wrapTo(d, toInt(d, shrunk, "trunc"), dtype);
  },
  Gelu: (d, site) => (stringOf(site.attrs, "approximate") === "tanh" ? geluTanh : geluErf)(d, site.input(0)),
};
