// Types that a model declares for its tensors, held against those that its nodes give. Differences are warnings: nodes decide.
import { typeOfTensor } from "../../passes/fold/draft.ts";
import { codes } from "./import-codes.ts";
import { type Importer, poison, type Value, warn } from "./import-scope.ts";
import type { ValueInfo } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";

const LISTED = 5;

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
