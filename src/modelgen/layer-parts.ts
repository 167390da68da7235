// The parts that every transformer layer is made of - parameters, linear maps, norms, activations, reshapes - each
// appended to a draft in the style asked for. Knows the options and the draft, not the order of a whole model.
import {
  addConstant,
  addInts,
  addNode,
  floatAttribute,
  type GraphDraft,
  intAttribute,
  intsAttribute,
} from "./graph-draft.ts";
import { type ElementType, tensorSeed } from "./tensor-spec.ts";
import type { ResolvedOptions } from "./transformer-options.ts";

/** A draft with what decides its style. */
export type Drafting = { readonly draft: GraphDraft; readonly options: ResolvedOptions };

const NORM_EPSILON = 1e-5;

/** The type that activations have. */
export function activationType(options: ResolvedOptions): ElementType {
  return options.precision === "float16" ? "float16" : "float32";
}

function parameterName(scope: string, part: string): string {
  return `${scope.slice(1).replaceAll("/", ".")}.${part}`;
}

/** A random tensor as stored; `float16-weights` leaves it to the caller to cast. */
function addStored(
  drafting: Drafting,
  name: string,
  dims: readonly number[],
  amplitude: number,
  centre: number,
): string {
  const { draft, options } = drafting;
  const type: ElementType = options.precision === "float32" ? "float32" : "float16";
  const seed = tensorSeed(options.seed, name);
  draft.tensors.push({ name, dims, type, content: { kind: "random", seed, amplitude, centre } });
  return name;
}

function castStored(drafting: Drafting, scope: string, value: string): string {
  if (drafting.options.precision !== "float16-weights") return value;
  return addNode(drafting.draft, scope, "Cast", [value], { to: intAttribute(1) });
}

/** Vectors (biases, norm weights) are small: stored in the activations' type whatever the precision of matrices. */
export function addVector(drafting: Drafting, scope: string, part: string, size: number, centre: number): string {
  const name = parameterName(scope, part);
  const seed = tensorSeed(drafting.options.seed, name);
  const content = { kind: "random", seed, amplitude: 0.1, centre } as const;
  drafting.draft.tensors.push({ name, dims: [size], type: activationType(drafting.options), content });
  return name;
}

/** A weight matrix of variance 1 / `fanIn`, as the activations' type. */
function addMatrix(drafting: Drafting, scope: string, dims: readonly number[], fanIn: number): string {
  const name = parameterName(scope, "weight");
  return castStored(drafting, scope, addStored(drafting, name, dims, Math.sqrt(3 / fanIn), 0));
}

/** A table looked up by `ids` (an int64 value), its rows in the activations' type. */
export function addLookup(drafting: Drafting, scope: string, ids: string, rows: number, width: number): string {
  const table = addStored(drafting, parameterName(scope, "weight"), [rows, width], 1, 0);
  return castStored(drafting, scope, addNode(drafting.draft, scope, "Gather", [table, ids], { axis: intAttribute(0) }));
}

/** One scalar in the activations' type. */
export function addScalar(drafting: Drafting, scope: string, value: number): string {
  return addConstant(drafting.draft, scope, activationType(drafting.options), [], [value]);
}

/** Reshape of a value whose first two dimensions are batch and sequence, which stay first. */
export function addRowReshape(drafting: Drafting, scope: string, value: string, tail: readonly number[]): string {
  const { draft, options } = drafting;
  if (options.shapeStyle === "constant") {
    return addNode(draft, scope, "Reshape", [value, addInts(draft, scope, [options.batch, options.seq, ...tail])]);
  }
  const sizes = [0, 1].map((axis) => {
    const shape = addNode(draft, scope, "Shape", [value]);
    const index = addConstant(draft, scope, "int64", [], [axis]);
    const size = addNode(draft, scope, "Gather", [shape, index], { axis: intAttribute(0) });
    return addNode(draft, scope, "Unsqueeze", [size, addInts(draft, scope, [0])]);
  });
  const parts = [...sizes, ...tail.map((size) => addInts(draft, scope, [size]))];
  const shape = addNode(draft, scope, "Concat", parts, { axis: intAttribute(0) });
  return addNode(draft, scope, "Reshape", [value, shape]);
}

function addGemm(
  drafting: Drafting,
  scope: string,
  value: string,
  inputs: number,
  outputs: number,
  bias: boolean,
): string {
  const { draft } = drafting;
  const rows = addNode(draft, scope, "Reshape", [value, addInts(draft, scope, [-1, inputs])]);
  const weight = addMatrix(drafting, scope, [outputs, inputs], inputs);
  const operands = bias ? [rows, weight, addVector(drafting, scope, "bias", outputs, 0)] : [rows, weight];
  const attributes = { alpha: floatAttribute(1), beta: floatAttribute(1), transB: intAttribute(1) };
  const product = addNode(draft, scope, "Gemm", operands, attributes);
  const { batch, seq } = drafting.options;
  return addNode(draft, scope, "Reshape", [product, addInts(draft, scope, [batch, seq, outputs])]);
}

function addProduct(drafting: Drafting, scope: string, value: string, inputs: number, outputs: number): string {
  if (drafting.options.linear === "matmul") {
    return addNode(drafting.draft, scope, "MatMul", [value, addMatrix(drafting, scope, [inputs, outputs], inputs)]);
  }
  const stored = addMatrix(drafting, scope, [outputs, inputs], inputs);
  const weight = addNode(drafting.draft, scope, "Transpose", [stored], { perm: intsAttribute([1, 0]) });
  return addNode(drafting.draft, scope, "MatMul", [value, weight]);
}

/** value[batch, seq, inputs] times a new weight, plus a new bias where `bias`. */
export function addLinear(
  drafting: Drafting,
  scope: string,
  value: string,
  size: { readonly inputs: number; readonly outputs: number; readonly bias: boolean },
): string {
  if (drafting.options.linear === "gemm") {
    return addGemm(drafting, scope, value, size.inputs, size.outputs, size.bias);
  }
  const product = addProduct(drafting, scope, value, size.inputs, size.outputs);
  if (!size.bias) return product;
  return addNode(drafting.draft, scope, "Add", [addVector(drafting, scope, "bias", size.outputs, 0), product]);
}

function addMean(drafting: Drafting, scope: string, value: string): string {
  return addNode(drafting.draft, scope, "ReduceMean", [value], {
    axes: intsAttribute([-1]),
    keepdims: intAttribute(1),
  });
}

/** Square root of the mean of squares plus epsilon. */
function addRootMeanSquare(drafting: Drafting, scope: string, value: string): string {
  const { draft } = drafting;
  const square = addNode(draft, scope, "Pow", [value, addScalar(drafting, scope, 2)]);
  const shifted = addNode(draft, scope, "Add", [
    addMean(drafting, scope, square),
    addScalar(drafting, scope, NORM_EPSILON),
  ]);
  return addNode(draft, scope, "Sqrt", [shifted]);
}

/** The norm that the options ask for, over the last dimension. */
export function addNorm(drafting: Drafting, scope: string, value: string): string {
  const { draft, options } = drafting;
  const weight = addVector(drafting, scope, "weight", options.d, 1);
  switch (options.norm) {
    case "layernorm": {
      const bias = addVector(drafting, scope, "bias", options.d, 0);
      const attributes = { axis: intAttribute(-1), epsilon: floatAttribute(NORM_EPSILON) };
      return addNode(draft, scope, "LayerNormalization", [value, weight, bias], attributes);
    }
    case "layernorm-decomposed": {
      const centred = addNode(draft, scope, "Sub", [value, addMean(drafting, scope, value)]);
      const normal = addNode(draft, scope, "Div", [centred, addRootMeanSquare(drafting, scope, centred)]);
      const scaled = addNode(draft, scope, "Mul", [normal, weight]);
      return addNode(draft, scope, "Add", [scaled, addVector(drafting, scope, "bias", options.d, 0)]);
    }
    case "rmsnorm": {
      const root = addRootMeanSquare(drafting, scope, value);
      const inverse = addNode(draft, scope, "Reciprocal", [root]);
      const normal = addNode(draft, scope, "Mul", [value, inverse]);
      return addNode(draft, scope, "Mul", [weight, normal]);
    }
  }
}

function addGeluErf(drafting: Drafting, scope: string, value: string): string {
  const { draft } = drafting;
  const scaled = addNode(draft, scope, "Div", [value, addScalar(drafting, scope, Math.SQRT2)]);
  const erf = addNode(draft, scope, "Erf", [scaled]);
  const shifted = addNode(draft, scope, "Add", [erf, addScalar(drafting, scope, 1)]);
  const product = addNode(draft, scope, "Mul", [value, shifted]);
  return addNode(draft, scope, "Mul", [product, addScalar(drafting, scope, 0.5)]);
}

function addGeluTanh(drafting: Drafting, scope: string, value: string): string {
  const { draft } = drafting;
  const half = addNode(draft, scope, "Mul", [value, addScalar(drafting, scope, 0.5)]);
  const cube = addNode(draft, scope, "Pow", [value, addScalar(drafting, scope, 3)]);
  const weighted = addNode(draft, scope, "Mul", [cube, addScalar(drafting, scope, 0.044715)]);
  const sum = addNode(draft, scope, "Add", [value, weighted]);
  const scaled = addNode(draft, scope, "Mul", [sum, addScalar(drafting, scope, Math.sqrt(2 / Math.PI))]);
  const tanh = addNode(draft, scope, "Tanh", [scaled]);
  const shifted = addNode(draft, scope, "Add", [tanh, addScalar(drafting, scope, 1)]);
  return addNode(draft, scope, "Mul", [half, shifted]);
}

/** The feed-forward half of a layer: up, activation, down; or SwiGLU with its gate. */
export function addFeedForward(drafting: Drafting, scope: string, value: string): string {
  const { draft, options } = drafting;
  const up = { inputs: options.d, outputs: options.ffn, bias: options.bias };
  const down = { inputs: options.ffn, outputs: options.d, bias: options.bias };
  const isGated = options.activation === "swiglu";
  const first = addLinear(drafting, `${scope}/${isGated ? "gate" : "up"}`, value, up);
  const inner = addActivation(drafting, `${scope}/activation`, first);
  if (!isGated) return addLinear(drafting, `${scope}/down`, inner, down);
  const product = addNode(draft, scope, "Mul", [inner, addLinear(drafting, `${scope}/up`, value, up)]);
  return addLinear(drafting, `${scope}/down`, product, down);
}

function addActivation(drafting: Drafting, scope: string, value: string): string {
  switch (drafting.options.activation) {
    case "gelu-erf":
      return addGeluErf(drafting, scope, value);
    case "gelu-tanh":
      return addGeluTanh(drafting, scope, value);
    case "relu":
      return addNode(drafting.draft, scope, "Relu", [value]);
    case "swiglu":
      return addNode(drafting.draft, scope, "Mul", [value, addNode(drafting.draft, scope, "Sigmoid", [value])]);
  }
}
