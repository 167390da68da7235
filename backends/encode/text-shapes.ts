// The shapes of the JSON lines in the text form, and their way into program data.
import { type DType, dtypes } from "../../ir/dtype.ts";
import { type CoreOp, coreOps } from "../../ir/graph/core-ops.ts";
import type { Attrs, AttrValue } from "../../ir/graph/graph.ts";
import { anything, choice, isRecord, list, object, real, type Shape, textOrEmpty, whole } from "../../ir/json/shape.ts";
import { latencyParts, type ProgramConstant } from "../../ir/machine/program.ts";
import { base64Bytes } from "./base64.ts";
import { boundResources, storedTypeNames, symbolRoles } from "./records.ts";

const index = whole(0, Number.MAX_SAFE_INTEGER);
const signed = whole(-(2 ** 51), 2 ** 51);
const quantity = real(-Number.MAX_VALUE, Number.MAX_VALUE);
const most = 2 ** 32;
const many = <const S extends Shape>(of: S) => list(of, 0, most);
const slice = object({ hemisphere: choice(["W", "E"]), slice: index }, {});
const dtype = choice(Object.keys(dtypes) as DType[]);

export const placementShape = object(
  {
    chip: index,
    origin: many(index),
    extent: many(index),
    digits: many(many(object({ size: index, vector: signed, lane: signed }, {}))),
    type: choice(storedTypeNames),
    pack: index,
    slices: many(slice),
    address: index,
  },
  {},
);

export const recordShapes = {
  system: object(
    {
      topology: textOrEmpty,
      precision: textOrEmpty,
      latencyCycles: quantity,
      latencyTerms: many(object({ part: choice(latencyParts), count: index, cycles: signed }, {})),
      initiationIntervalCycles: quantity,
      lowerBound: object(
        {
          cycles: quantity,
          by: choice(boundResources),
          perResource: object({ mxm: quantity, mem: quantity, link: quantity, dependency: quantity }, {}),
        },
        {},
      ),
      modelName: textOrEmpty,
    },
    {},
  ),
  link: object({ from: index, fromPort: index, to: index, toPort: index, latency: index }, {}),
  stage: object(
    {
      chip: index,
      firstLayer: signed,
      lastLayer: signed,
      startCycle: quantity,
      endCycle: quantity,
      weightBytes: quantity,
    },
    {},
  ),
  origin: object({ name: textOrEmpty, opType: textOrEmpty, index: signed }, {}),
  note: object({ kernel: textOrEmpty, origins: many(index) }, {}),
  tensor: object({ name: textOrEmpty, dtype, shape: many(index) }, { constant: anything }),
  node: object(
    {
      op: choice(Object.keys(coreOps) as CoreOp[]),
      inputs: many(index),
      output: index,
      attrs: anything,
      origins: many(index),
    },
    {},
  ),
  symbol: object(
    {
      name: textOrEmpty,
      chip: index,
      role: choice(symbolRoles),
      slices: many(slice),
      address: index,
      words: index,
      from: quantity,
      until: quantity,
    },
    {},
  ),
  binding: object(
    {
      name: textOrEmpty,
      kind: choice(["input", "output"]),
      dtype,
      shape: many(index),
      tensor: index,
      placements: many(placementShape),
    },
    { renews: index },
  ),
} as const satisfies Readonly<Record<string, Shape>>;

export const splatShape = object({ kind: choice(["splat"]), bits: whole(0, 0xffffffff) }, {});
export const placedShape = object({ kind: choice(["placed"]), placements: many(placementShape) }, {});

/** An inline constant's contents; undefined if it is not one. */
export function inlineConstant(json: unknown): ProgramConstant | undefined {
  if (!isRecord(json) || json.kind !== "inline" || typeof json.bytes !== "string") return undefined;
  const bytes = Object.keys(json).length === 2 ? base64Bytes(json.bytes) : undefined;
  return bytes === undefined ? undefined : { kind: "inline", bytes };
}

function numberFrom(json: unknown): number | undefined {
  if (typeof json === "number") return json;
  if (!isRecord(json) || typeof json.f64 !== "string" || !/^[0-9a-f]{16}$/.test(json.f64)) return undefined;
  const pairs = json.f64.match(/../g) ?? [];
  const bytes = Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
  return new DataView(bytes.buffer).getFloat64(0, true);
}

function attrFrom(json: unknown): AttrValue | undefined {
  if (typeof json === "string" || typeof json === "boolean") return json;
  if (!Array.isArray(json)) return numberFrom(json);
  if (json.length > 0 && json.every((item): item is string => typeof item === "string")) return json;
  const numbers = json.map(numberFrom);
  return numbers.every((item) => item !== undefined) ? numbers : undefined;
}

/** Attributes from a list of [name, value]; undefined if it is not one. */
export function attrsFrom(json: unknown): Attrs | undefined {
  if (!Array.isArray(json)) return undefined;
  const entries: [string, AttrValue][] = [];
  for (const item of json as readonly unknown[]) {
    if (!Array.isArray(item) || item.length !== 2 || typeof item[0] !== "string") return undefined;
    const value = attrFrom(item[1]);
    if (value === undefined) return undefined;
    entries.push([item[0], value]);
  }
  const attrs = Object.fromEntries(entries);
  const names = Object.keys(attrs);
  return entries.every(([name], at) => name === names[at]) ? attrs : undefined;
}
