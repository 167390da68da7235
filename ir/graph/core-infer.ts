// Checks one core-op node against its row and gives the type of its result. Ops whose result shape is free (reshape, expand, slice) take it from
// the declared type and check that it is possible.
import type { DType } from "../dtype.ts";
import { type Attrs, type AttrValue, numberOf, numbersAttr, stringOf } from "./attr.ts";
import { type CoreOp, type CoreOpRow, coreOps } from "./core-ops.ts";
import { isProblem, type Problem, problem } from "./op-row.ts";
import { broadcastShapes, shapeText } from "./shapes.ts";
import { countOf, type TensorType } from "./values.ts";

export const isCoreOp = (name: string): name is CoreOp => Object.hasOwn(coreOps, name);

interface CoreCall {
  readonly op: CoreOp;
  readonly inputs: readonly TensorType[];
  readonly attrs: Attrs;
  /** The type the graph declares for the result. */
  readonly declared: TensorType;
}

type CoreInferred = TensorType | Problem;

const isIntegers = (value: AttrValue): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === "number" && Number.isInteger(item));

/** Whether an attribute holds what its row's notation asks for: a kind, or one of the words between bars. */
function attrMatches(notation: string, value: AttrValue): boolean {
  if (notation === "ints") return isIntegers(value);
  if (notation === "int") return typeof value === "number" && Number.isInteger(value);
  if (notation === "number") return typeof value === "number";
  return notation.split("|").some((word) => word.trim() === value);
}

function checkAttrs(row: CoreOpRow, attrs: Attrs): Problem | undefined {
  for (const [name, notation] of Object.entries(row.attrs)) {
    const value = attrs[name];
    if (value === undefined || !attrMatches(notation, value)) {
      return problem("attr", `attribute ${name} is ${JSON.stringify(value)}, needed: ${notation}`);
    }
  }
  const extra = Object.keys(attrs).find((name) => row.attrs[name] === undefined);
  return extra === undefined ? undefined : problem("attr", `attribute ${extra} is unknown`);
}

function checkCount(row: CoreOpRow, inputs: readonly TensorType[]): Problem | undefined {
  const variadic = row.operands.some((name) => name.endsWith("..."));
  if (variadic ? inputs.length >= 1 : inputs.length === row.operands.length) return undefined;
  return problem("arity", `${inputs.length} operands, needed: ${row.operands.join(", ")}`);
}

const integerOnly: readonly CoreOp[] = ["and", "or", "xor", "shl", "shr", "shru"];

/** Operands of one type out of `allowed`. */
function sameType(inputs: readonly TensorType[], allowed: readonly DType[]): DType | Problem {
  const dtype = inputs[0]?.dtype ?? "float32";
  if (!allowed.includes(dtype) || inputs.some((type) => type.dtype !== dtype)) {
    const found = inputs.map((type) => type.dtype).join(", ");
    return problem("dtype", `operands are ${found}, needed: all ${allowed.join(" or all ")}`);
  }
  return dtype;
}

/** Equal ranks, sizes equal or 1. */
function jointShape(inputs: readonly TensorType[]): readonly number[] | Problem {
  const rank = inputs[0]?.shape.length ?? 0;
  if (inputs.some(({ shape }) => shape.length !== rank)) {
    return problem("shape", `operands ${inputs.map(({ shape }) => shapeText(shape)).join(", ")} differ in rank`);
  }
  return broadcastShapes(...inputs.map(({ shape }) => shape));
}

function inferElementwise(call: CoreCall, allowed: readonly DType[], result?: DType): CoreInferred {
  const dtype = sameType(call.inputs, allowed);
  if (isProblem(dtype)) return dtype;
  const shape = jointShape(call.inputs);
  return isProblem(shape) ? shape : { dtype: result ?? dtype, shape };
}

function inferSelect({ inputs }: CoreCall): CoreInferred {
  const [condition, ...values] = inputs;
  if (condition?.dtype !== "int32") return problem("dtype", `the condition is ${condition?.dtype}, needed: int32`);
  const dtype = sameType(values, ["float32", "int32"]);
  if (isProblem(dtype)) return dtype;
  const shape = jointShape(inputs);
  return isProblem(shape) ? shape : { dtype, shape };
}

function inferCast(call: CoreCall): CoreInferred {
  const [x] = call.inputs;
  const from = x?.dtype ?? "float32";
  const shape = x?.shape ?? [];
  const expect = (allowed: readonly DType[], to: DType): CoreInferred =>
    allowed.includes(from)
      ? { dtype: to, shape }
      : problem("dtype", `operand is ${from}, needed: ${allowed.join(" or ")}`);
  switch (call.op) {
    case "toInt":
      return expect(["float32"], "int32");
    case "toFloat":
      return expect(["int32"], "float32");
    case "toInt8":
      return expect(["int32"], stringOf(call.attrs, "to") === "int8" ? "int8" : "uint8");
    case "fromInt8":
      return expect(["int8", "uint8"], "int32");
    case "bitcast":
      return expect(["float32", "int32"], from === "float32" ? "int32" : "float32");
    default:
      return expect(["float32"], "float32");
  }
}

function inferMatmul({ inputs, attrs }: CoreCall): CoreInferred {
  const [a, b] = inputs;
  if (a === undefined || b === undefined) return problem("arity", "two operands needed");
  const bytes = stringOf(attrs, "precision") === "int8";
  const allowed: readonly DType[] = bytes ? ["int8", "uint8"] : ["float32"];
  if (!allowed.includes(a.dtype) || !allowed.includes(b.dtype)) {
    return problem("dtype", `operands are ${a.dtype} and ${b.dtype}, needed: ${allowed.join(" or ")}`);
  }
  const [m, k, k2, n] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-2), b.shape.at(-1)];
  if (a.shape.length !== b.shape.length || m === undefined || n === undefined || k !== k2) {
    return problem("shape", `${shapeText(a.shape)} x ${shapeText(b.shape)} is no product of matrices of one rank`);
  }
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return isProblem(batch) ? batch : { dtype: bytes ? "int32" : "float32", shape: [...batch, m, n] };
}

function inferReduce(call: CoreCall): CoreInferred {
  const dtype = sameType(call.inputs, ["float32", "int32"]);
  if (isProblem(dtype)) return dtype;
  const shape = call.inputs[0]?.shape ?? [];
  const axes = numbersAttr(call.attrs, "axes");
  if (axes.some((axis) => axis < 0 || axis >= shape.length) || new Set(axes).size !== axes.length) {
    return problem("attr", `axes are ${axes.join(", ")}, allowed: each of 0 to ${shape.length - 1} once`);
  }
  return { dtype, shape: shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) };
}

function inferTranspose({ inputs, attrs }: CoreCall): CoreInferred {
  const { dtype = "float32", shape = [] } = inputs[0] ?? {};
  const perm = numbersAttr(attrs, "perm");
  if (perm.length !== shape.length || shape.some((_, axis) => !perm.includes(axis))) {
    return problem("attr", `perm is ${perm.join(", ")}, needed: a permutation of ${shape.length} dimensions`);
  }
  return { dtype, shape: perm.map((axis) => shape[axis] ?? 1) };
}

/** Results whose shape the node declares. */
function inferDeclared(call: CoreCall): CoreInferred {
  const { dtype = "float32", shape = [] } = call.inputs[0] ?? {};
  const target = call.declared.shape;
  const wrong = problem("shape", `${shapeText(shape)} cannot become ${shapeText(target)}`);
  const result = { dtype, shape: target };
  if (call.op === "reshape") return countOf(shape) === countOf(target) ? result : wrong;
  if (shape.length !== target.length) return wrong;
  if (call.op === "expand") return shape.every((size, i) => size === 1 || size === target[i]) ? result : wrong;
  const [starts, steps] = [numbersAttr(call.attrs, "starts"), numbersAttr(call.attrs, "steps")];
  if (starts.length !== shape.length || steps.length !== shape.length || steps.includes(0)) {
    return problem("attr", `starts and steps need ${shape.length} entries, no step 0`);
  }
  const inside = shape.every((size, i) => {
    const [first, count] = [starts[i] ?? 0, target[i] ?? 0];
    const last = first + (count - 1) * (steps[i] ?? 1);
    return count === 0 || (first >= 0 && first < size && last >= 0 && last < size);
  });
  return inside ? result : problem("shape", `the slice ${shapeText(target)} leaves ${shapeText(shape)}`);
}

function inferConcat({ inputs, attrs }: CoreCall): CoreInferred {
  const { dtype = "float32", shape = [] } = inputs[0] ?? {};
  const axis = numberOf(attrs, "axis");
  if (axis < 0 || axis >= shape.length) return problem("attr", `axis is ${axis}, allowed: 0 to ${shape.length - 1}`);
  const agree = inputs.every(
    (type) =>
      type.dtype === dtype &&
      type.shape.length === shape.length &&
      type.shape.every((n, i) => i === axis || n === shape[i]),
  );
  if (!agree)
    return problem(
      "shape",
      `operands ${inputs.map((type) => shapeText(type.shape)).join(", ")} do not join along ${axis}`,
    );
  return {
    dtype,
    shape: shape.with(
      axis,
      inputs.reduce((sum, type) => sum + (type.shape[axis] ?? 0), 0),
    ),
  };
}

function inferPad({ inputs, attrs }: CoreCall): CoreInferred {
  const { dtype = "float32", shape = [] } = inputs[0] ?? {};
  const [before, after] = [numbersAttr(attrs, "before"), numbersAttr(attrs, "after")];
  if (before.length !== shape.length || after.length !== shape.length || [...before, ...after].some((n) => n < 0)) {
    return problem("attr", `before and after need ${shape.length} entries, none negative`);
  }
  return { dtype, shape: shape.map((size, i) => size + (before[i] ?? 0) + (after[i] ?? 0)) };
}

function inferGather({ inputs, attrs }: CoreCall): CoreInferred {
  const [data, indices] = inputs;
  if (data === undefined || indices === undefined) return problem("arity", "two operands needed");
  if (indices.dtype !== "int32") return problem("dtype", `indices are ${indices.dtype}, needed: int32`);
  const axis = numberOf(attrs, "axis");
  if (axis < 0 || axis >= data.shape.length)
    return problem("attr", `axis is ${axis}, allowed: 0 to ${data.shape.length - 1}`);
  return { dtype: data.dtype, shape: data.shape.toSpliced(axis, 1, ...indices.shape) };
}

/** Type of the result of a core op, or what is wrong. */
export function inferCore(call: CoreCall): CoreInferred {
  const row: CoreOpRow = coreOps[call.op];
  const wrong = checkCount(row, call.inputs) ?? checkAttrs(row, call.attrs);
  if (wrong !== undefined) return wrong;
  switch (row.group) {
    case "binary":
      return inferElementwise(call, integerOnly.includes(call.op) ? ["int32"] : ["float32", "int32"]);
    case "compare":
      return inferElementwise(call, ["float32", "int32"], "int32");
    case "select":
      return inferSelect(call);
    case "unary":
      return inferElementwise(call, ["float32"]);
    case "cast":
      return inferCast(call);
    case "matmul":
      return inferMatmul(call);
    case "reduce":
      return inferReduce(call);
    case "view":
      return call.op === "transpose" ? inferTranspose(call) : inferDeclared(call);
    case "move":
      return call.op === "pad" ? inferPad(call) : inferConcat(call);
    case "index":
      return inferGather(call);
  }
}
