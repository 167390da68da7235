// Types that a model declares for its tensors, held against those that its nodes give. Differences are warnings: nodes decide.
import { typeOfTensor } from "../../passes/fold/draft.ts";
import { codes } from "./import-codes.ts";
import { type Importer, poison, type Value, warn } from "./import-scope.ts";
import type { Dimension, GraphProto, ValueInfo } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";

const LISTED = 5;

const dimsOf = ({ type }: ValueInfo): readonly Dimension[] => (type.kind === "tensor" ? (type.dims ?? []) : []);

/** Sizes declared for what nodes make: numbers, and symbols that inputs have too. */
export function noteDeclared(
  importer: Importer,
  graph: GraphProto,
  inputs: readonly ValueInfo[],
  bound: readonly { readonly name: string; readonly shape: readonly number[] }[],
): void {
  const shapes = new Map(bound.map(({ name, shape }) => [name, shape]));
  const symbols = new Map<string, number>();
  for (const input of inputs) {
    dimsOf(input).forEach((dim, at) => {
      const size = shapes.get(input.name)?.[at];
      if (dim.kind === "symbol" && size !== undefined) symbols.set(dim.symbol, size);
    });
  }
  const sizeOf = (dim: Dimension): number | undefined => {
    if (dim.kind === "value") return dim.size < 0 ? undefined : dim.size;
    return dim.kind === "symbol" ? symbols.get(dim.symbol) : undefined;
  };
  for (const info of [...graph.declared, ...graph.outputs]) importer.declared.set(info.name, dimsOf(info).map(sizeOf));
}

/** `declared` as text where it contradicts the computed type. */
function contradiction(importer: Importer, declared: ValueInfo, value: Value): string | undefined {
  const { type } = declared;
  if (value === poison || type.kind !== "tensor" || type.elemType === 0) return undefined;
  const { dtype, shape } = typeOfTensor(importer.draft, value);
  const { dims } = type;
  const agrees =
    dims === undefined ||
    (dims.length === shape.length &&
      dims.every((dim, at) => dim.kind !== "value" || dim.size < 0 || dim.size === shape[at]));
  if (dtypeOfElementType(type.elemType) === dtype && agrees) return undefined;
  const sizes = dims?.map((dim) => (dim.kind === "value" ? dim.size : dim.kind === "symbol" ? dim.symbol : "?"));
  const written = `${elementTypeName(type.elemType)}${sizes === undefined ? "" : `[${sizes.join("x")}]`}`;
  return `'${declared.name}' is declared as ${written}, its node gives ${dtype}[${shape.join("x")}]`;
}

/** Warns, once, of everything in `list` that is not as declared. */
export function checkDeclared(
  importer: Importer,
  list: readonly ValueInfo[],
  valueNamed: (name: string) => Value | undefined,
): void {
  const found = list.flatMap(
    (declared) => contradiction(importer, declared, valueNamed(declared.name) ?? poison) ?? [],
  );
  const [first] = found;
  if (first === undefined) return;
  const more = found.length > LISTED ? [`${found.length - LISTED} more`] : [];
  const message = found.length === 1 ? first : `${found.length} tensors are not of the types declared for them`;
  warn(
    importer,
    codes.declaredType,
    message,
    found.length === 1 ? {} : { notes: [...found.slice(0, LISTED), ...more] },
  );
}
