// A small language for the shape of a JSON document, and a reader that reports every problem at once with its JSON path. A number may be
// {"value": …, "source": …}; "$source" in an object speaks for all numbers in it that name none. Knows no document in particular.
import { didYouMean } from "../diag/suggest.ts";

export type Shape =
  | { readonly kind: "number"; readonly whole: boolean; readonly min: number; readonly max: number }
  | { readonly kind: "text"; readonly min: number }
  | { readonly kind: "anything" }
  | { readonly kind: "flag" }
  | { readonly kind: "choice"; readonly of: readonly (string | number)[] }
  | { readonly kind: "list"; readonly of: Shape; readonly min: number; readonly max: number }
  | { readonly kind: "pair"; readonly of: Shape }
  | { readonly kind: "orNull"; readonly of: Shape }
  | {
      readonly kind: "object";
      readonly fields: Readonly<Record<string, Shape>>;
      readonly optional: Readonly<Record<string, Shape>>;
    };

/** The TypeScript type of what a shape reads. */
export type ValueOf<S> = S extends { readonly kind: "number" }
  ? number
  : S extends { readonly kind: "text" }
    ? string
    : S extends { readonly kind: "flag" }
      ? boolean
      : S extends { readonly kind: "anything" }
        ? unknown
        : S extends { readonly kind: "choice"; readonly of: readonly (infer C)[] }
          ? C
          : S extends { readonly kind: "list"; readonly of: infer E }
            ? readonly ValueOf<E>[]
            : S extends { readonly kind: "pair"; readonly of: infer E }
              ? readonly [ValueOf<E>, ValueOf<E>]
              : S extends { readonly kind: "orNull"; readonly of: infer E }
                ? ValueOf<E> | null
                : S extends { readonly kind: "object"; readonly fields: infer F; readonly optional: infer O }
                  ? { readonly [K in keyof F]: ValueOf<F[K]> } & { readonly [K in keyof O]?: ValueOf<O[K]> }
                  : never;

export const whole = (min: number, max: number) => ({ kind: "number", whole: true, min, max }) as const;
export const real = (min: number, max: number) => ({ kind: "number", whole: false, min, max }) as const;
/** Text of one character or more. */
export const text = { kind: "text", min: 1 } as const;
export const textOrEmpty = { kind: "text", min: 0 } as const;
/** Left as it is, for whoever reads it further. */
export const anything = { kind: "anything" } as const;
export const flag = { kind: "flag" } as const;
export const choice = <const C extends readonly (string | number)[]>(of: C) => ({ kind: "choice", of }) as const;
/** A list of `min` to `max` items. */
export const list = <const S extends Shape>(of: S, min: number, max: number) =>
  ({ kind: "list", of, min, max }) as const;
export const pair = <const S extends Shape>(of: S) => ({ kind: "pair", of }) as const;
export const orNull = <const S extends Shape>(of: S) => ({ kind: "orNull", of }) as const;
export const object = <
  const F extends Readonly<Record<string, Shape>>,
  const O extends Readonly<Record<string, Shape>>,
>(
  fields: F,
  optional: O,
) => ({ kind: "object", fields, optional }) as const;

export interface ShapeProblem {
  readonly kind: "unknown-field" | "missing-field" | "bad-value";
  readonly message: string;
  readonly help?: string | undefined;
}

/** What reading gathers beside the value. */
export interface ReadNotes {
  /** What the whole document is called in messages. */
  readonly document: string;
  readonly problems: ShapeProblem[];
  /** JSON path of each number (or list of numbers) -> its source. */
  readonly sources: Record<string, string>;
}

export function isRecord(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** A JSON value as a message shows it. */
export function shown(json: unknown): string {
  if (json === undefined) return "nothing";
  if (Array.isArray(json)) return `a list of ${json.length}`;
  if (isRecord(json)) return "an object";
  const printed = typeof json === "string" ? JSON.stringify(json.slice(0, 60)) : String(json);
  return printed.length > 40 ? `${printed.slice(0, 37)}…` : printed;
}

const pathOf = (parent: string, key: string): string => (parent === "" ? key : `${parent}.${key}`);
const named = (notes: ReadNotes, path: string): string => (path === "" ? notes.document : path);

function problem(notes: ReadNotes, path: string, expected: string, found: unknown, help?: string): undefined {
  notes.problems.push({
    kind: "bad-value",
    message: `${named(notes, path)}: must be ${expected}, is ${shown(found)}`,
    help,
  });
  return undefined;
}

/** Takes {"value": …, "source": …} apart. */
function unwrap(
  json: unknown,
  path: string,
  source: string | undefined,
  notes: ReadNotes,
): [unknown, string | undefined] {
  if (!isRecord(json) || !Object.hasOwn(json, "value")) return [json, source];
  for (const key of Object.keys(json)) {
    if (key !== "value" && key !== "source") unknownField(notes, path, key, ["value", "source"]);
  }
  const own = json.source;
  if (own !== undefined && typeof own !== "string") problem(notes, pathOf(path, "source"), "text", own);
  return [json.value, typeof own === "string" ? own : source];
}

function unknownField(notes: ReadNotes, path: string, key: string, known: readonly string[]): void {
  const help = didYouMean(key, known);
  notes.problems.push({
    kind: "unknown-field",
    message: `${named(notes, path)} has no field '${key.slice(0, 60)}'`,
    help,
  });
}

function expectedNumber(shape: { readonly whole: boolean; readonly min: number; readonly max: number }): string {
  return `${shape.whole ? "a whole number" : "a number"} from ${shape.min} to ${shape.max}`;
}

function readLeaf(
  shape: Exclude<Shape, { readonly kind: "object" | "orNull" | "anything" }>,
  json: unknown,
  path: string,
  notes: ReadNotes,
): unknown {
  switch (shape.kind) {
    case "number": {
      const good =
        typeof json === "number" &&
        json >= shape.min &&
        json <= shape.max &&
        (!shape.whole || Number.isSafeInteger(json));
      return good ? json : problem(notes, path, expectedNumber(shape), json);
    }
    case "text":
      return typeof json === "string" && json.length >= shape.min ? json : problem(notes, path, "text", json);
    case "flag":
      return typeof json === "boolean" ? json : problem(notes, path, "true or false", json);
    case "choice": {
      if (shape.of.some((option) => option === json)) return json;
      const help = typeof json === "string" ? didYouMean(json, shape.of.map(String)) : undefined;
      return problem(notes, path, `one of ${shape.of.join(", ")}`, json, help);
    }
    case "list": {
      const size = `a list of ${shape.min} to ${shape.max}`;
      if (!Array.isArray(json) || json.length < shape.min || json.length > shape.max) {
        return problem(notes, path, size, json);
      }
      return json.map((item: unknown, index) => readShape(shape.of, item, `${path}[${index}]`, undefined, notes));
    }
    case "pair": {
      if (!Array.isArray(json) || json.length !== 2) return problem(notes, path, "a pair", json);
      return json.map((item: unknown, index) => readShape(shape.of, item, `${path}[${index}]`, undefined, notes));
    }
  }
}

function readObject(
  shape: Extract<Shape, { readonly kind: "object" }>,
  json: unknown,
  path: string,
  inherited: string | undefined,
  notes: ReadNotes,
): unknown {
  if (!isRecord(json)) return problem(notes, path, "an object", json);
  const known = [...Object.keys(shape.fields), ...Object.keys(shape.optional)];
  for (const key of Object.keys(json)) {
    if (key !== "$source" && !known.includes(key)) unknownField(notes, path, key, known);
  }
  const own = json.$source;
  if (own !== undefined && typeof own !== "string") problem(notes, pathOf(path, "$source"), "text", own);
  const source = typeof own === "string" ? own : inherited;
  const value: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(shape.fields)) {
    if (Object.hasOwn(json, key)) value[key] = readShape(inner, json[key], pathOf(path, key), source, notes);
    else notes.problems.push({ kind: "missing-field", message: `${named(notes, path)} lacks the field '${key}'` });
  }
  for (const [key, inner] of Object.entries(shape.optional)) {
    if (Object.hasOwn(json, key)) value[key] = readShape(inner, json[key], pathOf(path, key), source, notes);
  }
  return value;
}

function isNumeric(shape: Shape): boolean {
  if (shape.kind === "list") return isNumeric(shape.of);
  return shape.kind === "number" || (shape.kind === "choice" && shape.of.every((option) => typeof option === "number"));
}

/** Reads `json` as `shape`; the value is right only if `notes.problems` stayed empty. */
export function readShape(
  shape: Shape,
  json: unknown,
  path: string,
  source: string | undefined,
  notes: ReadNotes,
): unknown {
  if (shape.kind === "anything") return json;
  if (shape.kind === "object") return readObject(shape, json, path, source, notes);
  if (shape.kind === "orNull") return json === null ? null : readShape(shape.of, json, path, source, notes);
  const [value, own] = unwrap(json, path, source, notes);
  if (isNumeric(shape) && own !== undefined) notes.sources[path] = own;
  return readLeaf(shape, value, path, notes);
}

/** Data of a shape with the fields of every object in the shape's order, so that equal data print equally. */
export function inShapeOrder(shape: Shape, value: unknown): unknown {
  if (shape.kind === "list" && Array.isArray(value)) return value.map((item) => inShapeOrder(shape.of, item));
  if (shape.kind !== "object" || !isRecord(value)) return value;
  const inner = Object.entries({ ...shape.fields, ...shape.optional });
  const present = inner.filter(([key]) => value[key] !== undefined);
  return Object.fromEntries(present.map(([key, of]) => [key, inShapeOrder(of, value[key])]));
}
