// Sizes of the graph inputs: fixed ones, symbols bound by --dim or --shape, and a list of everything that is still open.
import { didYouMean } from "../../ir/diag/suggest.ts";
import type { DType } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { codes } from "./import-codes.ts";
import { type Importer, report } from "./import-scope.ts";
import type { Dimension, ValueInfo } from "./model.ts";
import { dtypeOfElementType, elementTypeName } from "./schema.ts";

export interface Bindings {
  readonly dims: ReadonlyMap<string, number>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

export interface BoundInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

interface OpenDimension {
  readonly symbol: string | undefined;
  /** `input dimension` pairs that use it. */
  readonly uses: string[];
}

/** Sizes beyond have no place in any memory, and their sums could overflow. */
const MAX_SIZE = 2 ** 40;
/** Elements: as many words would take all of the largest chip's memory. */
const LARGEST_INPUT = 2 ** 26;

/** Declared dimensions; a negative size is some exporters' way to say that there is none. */
const dimsOf = (input: ValueInfo): readonly Dimension[] | undefined =>
  input.type.kind === "tensor"
    ? input.type.dims?.map((dim) => (dim.kind === "value" && dim.size < 0 ? { kind: "unknown" } : dim))
    : undefined;

/** A size people usually mean by a symbol's name. */
function usualSize(symbol: string): number {
  const name = symbol.toLowerCase();
  if (name.includes("past")) return 0;
  if (name.includes("batch") || name === "b" || name === "n") return 1;
  return /seq|len|time|token/.test(name) ? 128 : 1;
}

function checkNames(importer: Importer, inputs: readonly ValueInfo[], bindings: Bindings): void {
  const names = inputs.map((input) => input.name);
  const symbols = new Set(
    inputs.flatMap((input) => (dimsOf(input) ?? []).flatMap((dim) => (dim.kind === "symbol" ? [dim.symbol] : []))),
  );
  for (const name of bindings.shapes.keys()) {
    if (names.includes(name)) continue;
    const details = { location: { kind: "option", option: "--shape" }, help: didYouMean(name, names) } as const;
    report(importer, codes.unknownBinding, `--shape ${name}: the model has no input of this name`, details);
  }
  for (const [name, size] of bindings.dims) {
    const details = { location: { kind: "option", option: "--dim" }, help: didYouMean(name, [...symbols]) } as const;
    if (!symbols.has(name))
      report(importer, codes.unknownBinding, `--dim ${name}: the model has no dimension of this name`, details);
    else if (!Number.isSafeInteger(size) || size < 0)
      report(importer, codes.unknownBinding, `--dim ${name}=${size} is not a size`, details);
  }
}

/** Sizes of symbols: those given, and those that follow from whole shapes given for inputs. */
function symbolSizes(importer: Importer, inputs: readonly ValueInfo[], bindings: Bindings): Map<string, number> {
  const sizes = new Map(bindings.dims);
  for (const input of inputs) {
    const given = bindings.shapes.get(input.name);
    const declared = dimsOf(input);
    if (given === undefined || declared === undefined) continue;
    const fits =
      given.length === declared.length && declared.every((dim, at) => dim.kind !== "value" || dim.size === given[at]);
    if (!fits) {
      const text = declared
        .map((dim) => (dim.kind === "value" ? dim.size : dim.kind === "symbol" ? dim.symbol : "?"))
        .join("x");
      report(
        importer,
        codes.unknownBinding,
        `--shape ${input.name}=${given.join("x")} contradicts the model's ${text}`,
        {
          location: { kind: "option", option: "--shape" },
        },
      );
      continue;
    }
    for (const [at, dim] of declared.entries()) {
      if (dim.kind !== "symbol") continue;
      const size = given[at] ?? 0;
      const known = sizes.get(dim.symbol);
      if (known !== undefined && known !== size) {
        report(
          importer,
          codes.unknownBinding,
          `--shape ${input.name} makes ${dim.symbol} = ${size}, elsewhere it is ${known}`,
          {
            location: { kind: "option", option: "--shape" },
          },
        );
      }
      sizes.set(dim.symbol, size);
    }
  }
  return sizes;
}

function reportOpen(importer: Importer, open: readonly OpenDimension[]): void {
  if (open.length === 0) return;
  const notes = open.map(({ symbol, uses }) => `${symbol ?? "a dimension without a name"}: ${uses.join(", ")}`);
  const symbols = open.flatMap(({ symbol }) => (symbol === undefined ? [] : [`--dim ${symbol}=${usualSize(symbol)}`]));
  const shapes = open.flatMap(({ symbol, uses }) =>
    symbol === undefined ? uses.map((use) => `--shape ${use.split(" ")[0]}=...`) : [],
  );
  const help = `give their sizes, for example ${[...symbols, ...new Set(shapes)].join(" ")}`;
  report(
    importer,
    codes.unboundDimensions,
    `${open.length} dimension${open.length === 1 ? " has" : "s have"} no size`,
    { notes, help },
  );
}

/** Types of all graph inputs; reports every input that has none. */
export function bindInputs(
  importer: Importer,
  inputs: readonly ValueInfo[],
  bindings: Bindings,
): readonly BoundInput[] {
  checkNames(importer, inputs, bindings);
  const sizes = symbolSizes(importer, inputs, bindings);
  const open = new Map<string, OpenDimension>();
  const leaveOpen = (key: string, symbol: string | undefined, use: string): number => {
    const entry = open.get(key) ?? { symbol, uses: [] };
    entry.uses.push(use);
    open.set(key, entry);
    return 1;
  };
  const bound: BoundInput[] = [];
  for (const input of inputs) {
    const location = { kind: "tensor", name: input.name } as const;
    if (input.type.kind !== "tensor") {
      const what = input.type.kind === "missing" ? "has no type" : `is a ${input.type.what}`;
      report(importer, codes.elementType, `input '${input.name}' ${what}; inputs must be tensors of numbers`, {
        location,
      });
      continue;
    }
    const dtype = dtypeOfElementType(input.type.elemType);
    if (dtype === undefined) {
      const what = elementTypeName(input.type.elemType);
      report(importer, codes.elementType, `input '${input.name}' is of type ${what}, which is not supported`, {
        location,
      });
      continue;
    }
    const given = bindings.shapes.get(input.name);
    const shape =
      given ??
      dimsOf(input)?.map((dim, at) => {
        if (dim.kind === "value") return dim.size;
        const size = dim.kind === "symbol" ? sizes.get(dim.symbol) : undefined;
        const symbol = dim.kind === "symbol" ? dim.symbol : undefined;
        return size ?? leaveOpen(symbol ?? `${input.name} ${at}`, symbol, `${input.name} dimension ${at}`);
      });
    if (shape === undefined) leaveOpen(input.name, undefined, `${input.name} of unknown rank`);
    else if (shape.some((size) => !(size >= 0 && size <= MAX_SIZE)) || !Number.isSafeInteger(elementCount(shape) * 8)) {
      report(importer, codes.badTensor, `input '${input.name}' has shape [${shape.join("x")}]`, { location });
    } else if (elementCount(shape) > LARGEST_INPUT) {
      const text = `input '${input.name}' has ${shape.join(" x ")} elements, more than the memory of any chip`;
      report(importer, codes.unsupportedForm, text, { location });
    }
    bound.push({ name: input.name, dtype, shape: shape ?? [] });
  }
  reportOpen(importer, [...open.values()]);
  return bound;
}
