// Writes operators out as others at import: what such an operator is, and short ways to add nodes for it. Knows no operator.
import type { DType } from "../../../ir/dtype.ts";
import type { Attrs, AttrValue } from "../../../ir/graph/attr.ts";
import type { TensorId } from "../../../ir/graph/graph.ts";
import type { OnnxOp } from "../../../ir/graph/onnx-ops.ts";
import { type OpSignature, type Problem, problem } from "../../../ir/graph/op-row.ts";
import { int64s, numbersOf, scalar, type TensorValue, valueFromNumbers } from "../../../ir/graph/values.ts";
import { constantValue, typeOfTensor } from "../../../passes/fold/draft.ts";
import { emit, emitConstant, emitOne, type Importer, type RawCall } from "../import-scope.ts";

/** The result of a node; undefined after its problems were reported: whoever reads it gives undefined too. */
export type Made = TensorId | undefined;
type Read = TensorId | null | undefined;

export interface Writer {
  readonly op: (op: OnnxOp, inputs: readonly Read[], attrs?: Readonly<Record<string, AttrValue>>) => Made;
  /** A node with several results. */
  readonly ops: (
    op: OnnxOp,
    inputs: readonly Read[],
    attrs: Readonly<Record<string, AttrValue>>,
    count: number,
  ) => readonly Made[];
  readonly ints: (...list: readonly number[]) => TensorId;
  readonly numbers: (dtype: DType, shape: readonly number[], list: ArrayLike<number>) => TensorId;
  /** A number of the element type of `x`. */
  readonly like: (x: Read, number: number) => TensorId;
  readonly shape: (x: Read) => readonly number[];
  readonly dtype: (x: Read) => DType;
  readonly constant: (x: Read) => TensorValue | undefined;
  /** The numbers of a constant. */
  readonly list: (x: Read) => readonly number[] | undefined;
}

export interface ExpandCall {
  /** As many as the signature has parameters; null where one is left out. */
  readonly inputs: readonly (TensorId | null)[];
  /** Defaults filled in. */
  readonly attrs: Attrs;
  /** How many outputs the node lists. */
  readonly outputCount: number;
  readonly opset: number;
}

/** An operator that is written out as others. */
export interface Expansion extends OpSignature {
  readonly expand: (w: Writer, call: ExpandCall) => readonly Made[] | Problem;
}

/** Most nodes that one attribute or dimension may call for, and most numbers of a constant that is made. */
const MOST_STEPS = 2 ** 12;
const MOST_NUMBERS = 2 ** 24;

/** Whether so many steps are too many to be written out. */
export const tooManySteps = (count: number, what: string): Problem | undefined =>
  count <= MOST_STEPS ? undefined : problem("unsupported", `${count} ${what} written out, at most ${MOST_STEPS} are`);

/** Whether a constant of so many numbers is too large to be made. */
export const tooManyNumbers = (count: number, what: string): Problem | undefined =>
  count >= 0 && count <= MOST_NUMBERS ? undefined : problem("unsupported", `${count} ${what}, at most ${MOST_NUMBERS}`);

export type ExpansionTable = Readonly<Record<string, Expansion>>;

export function writerFor(importer: Importer, call: RawCall): Writer {
  const { draft } = importer;
  const type = (x: Read): { readonly dtype: DType; readonly shape: readonly number[] } =>
    x === null || x === undefined ? { dtype: "float32", shape: [] } : typeOfTensor(draft, x);
  const constant = (x: Read): TensorValue | undefined =>
    x === null || x === undefined ? undefined : constantValue(draft, x);
  const known = (inputs: readonly Read[]): (TensorId | null)[] | undefined => {
    const found = inputs.filter((input) => input !== undefined);
    return found.length === inputs.length ? found : undefined;
  };
  return {
    op: (op, inputs, attrs = {}) => {
      const ready = known(inputs);
      return ready === undefined ? undefined : emitOne(importer, call, op, ready, attrs);
    },
    ops: (op, inputs, attrs, count) => {
      const ready = known(inputs);
      const names = Array.from({ length: count }, (_, i) => `${call.origin.name}.${i}`);
      const made = ready === undefined ? undefined : emit(importer, call, op, ready, attrs, names);
      return names.map((_, i) => made?.[i] ?? undefined);
    },
    ints: (...list) => emitConstant(importer, call, int64s(list)),
    numbers: (dtype, shape, list) => emitConstant(importer, call, valueFromNumbers(dtype, shape, list)),
    like: (x, number) => emitConstant(importer, call, scalar(type(x).dtype, number)),
    shape: (x) => type(x).shape,
    dtype: (x) => type(x).dtype,
    constant,
    list: (x) => {
      const value = constant(x);
      return value === undefined ? undefined : Array.from(numbersOf(value));
    },
  };
}
