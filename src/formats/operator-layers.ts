// Reads a system and layers of operators (`lpuc.layers/1`): pipeline stages, tensor parallelism and experts are decided together. Pure: from a
// parsed JSON value to a problem or to the list of all that is wrong. docs/partition-layers.md describes the format.
import { nearest } from "../../ir/diag/suggest.ts";
import {
  type LayerOp,
  type LayerSystem,
  type OperatorLayer,
  type OpKind,
  opKinds,
} from "../../passes/partition/layers.ts";
import { LAYER_INPUT } from "../../passes/partition/split-problem.ts";
import { type Fault, isRecord, list, nonNegative, type Reading, wholeNumber } from "./json-value.ts";

export const LAYERS_SCHEMA = "lpuc.layers/1";

/** Layers after those that repeat are written out. */
const MOST_LAYERS = 10_000;
const MOST_CHIPS = 100_000;

type Fields = Readonly<Record<string, unknown>>;

const kinds = Object.keys(opKinds);
const isKind = (value: unknown): value is OpKind => typeof value === "string" && kinds.includes(value);

const fieldsOf = {
  file: ["schema", "chips", "capacityBytes", "degrees", "transfer", "links", "chipsPerNode", "nodeBorder", "layers"],
  links: ["latencyCycles", "cyclesPerVector", "vectorBytes", "linksPerPair", "group"],
  border: ["busyFactor", "extraLatencyCycles"],
  layer: ["name", "repeat", "inputBytes", "activationBytes", "ops"],
  op: ["name", "kind", "inputs", "outputBytes", "computeCycles", "fixedCycles", "weightBytes", "stateBytes", "experts"],
  expert: ["computeCycles", "weightBytes"],
} as const satisfies Record<string, readonly string[]>;

export type LayerFile = { readonly layers: readonly OperatorLayer[]; readonly system: LayerSystem };

export function readOperatorLayers(
  file: Fields,
  given: { readonly chips?: number; readonly capacityBytes?: number },
): Reading<LayerFile> {
  const faults: Fault[] = [];
  const top = known(file, "file", "", faults);
  const chips = given.chips ?? counted(top.chips, "chips", faults, MOST_CHIPS);
  if (chips > MOST_CHIPS) faults.push({ path: "chips", message: `${chips} chips are more than ${MOST_CHIPS}` });
  const capacityBytes = given.capacityBytes ?? nonNegative(top.capacityBytes, "capacityBytes", faults);
  const degrees =
    top.degrees === undefined
      ? [1]
      : list(top.degrees, "degrees", faults).map((value, i) => counted(value, `degrees[${i}]`, faults, MOST_CHIPS));
  const transfer = choice(top.transfer ?? "overlapped", ["overlapped", "serial"], "transfer", faults);
  const system: LayerSystem = {
    chips,
    capacityBytes,
    degrees: [...new Set(degrees)].sort((a, b) => a - b),
    transfer: transfer === "serial" ? "serial" : "overlapped",
    links: readLinks(top.links, faults),
    chipsPerNode:
      top.chipsPerNode === undefined ? undefined : counted(top.chipsPerNode, "chipsPerNode", faults, MOST_CHIPS),
    nodeBorder: top.nodeBorder === undefined ? undefined : readBorder(top.nodeBorder, faults),
  };
  const layers: OperatorLayer[] = [];
  list(top.layers, "layers", faults).forEach((value, i) => {
    readLayer(value, `layers[${i}]`, layers, faults);
  });
  if (layers.length === 0 && faults.length === 0) faults.push({ path: "layers", message: "there are no layers" });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: { layers, system } };
}

function known(value: unknown, what: keyof typeof fieldsOf, path: string, faults: Fault[]): Fields {
  if (!isRecord(value)) {
    faults.push({ path, message: `expected an object with ${fieldsOf[what].join(", ")}` });
    return {};
  }
  const names: readonly string[] = fieldsOf[what];
  for (const field of Object.keys(value)) {
    if (names.includes(field)) continue;
    const near = nearest(field, names);
    const hint = near === undefined ? `known: ${names.join(", ")}` : `did you mean '${near}'?`;
    faults.push({ path: path === "" ? field : `${path}.${field}`, message: `unknown field; ${hint}` });
  }
  return value;
}

function counted(value: unknown, path: string, faults: Fault[], most: number): number {
  const before = faults.length;
  const count = wholeNumber(value, path, faults);
  if (faults.length > before || (count >= 1 && count <= most)) return Math.max(1, count);
  faults.push({ path, message: `expected a number from 1 to ${most}, found ${count}` });
  return 1;
}

function choice(value: unknown, names: readonly string[], path: string, faults: Fault[]): string {
  if (typeof value === "string" && names.includes(value)) return value;
  const near = typeof value === "string" ? nearest(value, names) : undefined;
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  faults.push({ path, message: `expected one of ${names.join(", ")}${hint}` });
  return names[0] ?? "";
}

function readLinks(value: unknown, faults: Fault[]): LayerSystem["links"] {
  const links = known(value, "links", "links", faults);
  const positive = (field: "cyclesPerVector" | "vectorBytes" | "linksPerPair", absent?: number): number => {
    if (links[field] === undefined && absent !== undefined) return absent;
    const number = nonNegative(links[field], `links.${field}`, faults);
    if (number === 0 && typeof links[field] === "number")
      faults.push({ path: `links.${field}`, message: "expected a number above 0" });
    return number === 0 ? 1 : number;
  };
  const group = choice(links.group ?? "all-to-all", ["all-to-all", "ring"], "links.group", faults);
  return {
    latencyCycles: nonNegative(links.latencyCycles, "links.latencyCycles", faults),
    cyclesPerVector: positive("cyclesPerVector"),
    vectorBytes: positive("vectorBytes"),
    linksPerPair: positive("linksPerPair", 1),
    group: group === "ring" ? "ring" : "all-to-all",
  };
}

function readBorder(value: unknown, faults: Fault[]): NonNullable<LayerSystem["nodeBorder"]> {
  const border = known(value, "border", "nodeBorder", faults);
  const busyFactor = nonNegative(border.busyFactor ?? 1, "nodeBorder.busyFactor", faults);
  if (busyFactor < 1) faults.push({ path: "nodeBorder.busyFactor", message: "expected 1 or more" });
  const extraLatencyCycles = nonNegative(border.extraLatencyCycles ?? 0, "nodeBorder.extraLatencyCycles", faults);
  return { busyFactor: Math.max(1, busyFactor), extraLatencyCycles };
}

function readLayer(value: unknown, path: string, layers: OperatorLayer[], faults: Fault[]): void {
  const layer = known(value, "layer", path, faults);
  const name = typeof layer.name === "string" ? layer.name : `layer ${layers.length}`;
  const repeat = layer.repeat === undefined ? 1 : counted(layer.repeat, `${path}.repeat`, faults, MOST_LAYERS);
  const places = new Map<string, number>();
  const ops = list(layer.ops, `${path}.ops`, faults).map((op, i) => {
    const read = readOp(op, i, places, `${path}.ops[${i}]`, faults);
    if (places.has(read.name)) faults.push({ path: `${path}.ops[${i}].name`, message: `'${read.name}' is taken` });
    places.set(read.name, i);
    return read;
  });
  if (ops.length === 0) faults.push({ path: `${path}.ops`, message: "there are no operators" });
  if (layers.length + repeat > MOST_LAYERS) {
    faults.push({ path, message: `more than ${MOST_LAYERS} layers` });
    return;
  }
  const inputBytes = nonNegative(layer.inputBytes ?? 0, `${path}.inputBytes`, faults);
  const activationBytes = nonNegative(layer.activationBytes ?? 0, `${path}.activationBytes`, faults);
  for (let r = 0; r < repeat; r++)
    layers.push({ name: repeat === 1 ? name : `${name} ${r}`, inputBytes, activationBytes, ops });
}

function readOp(
  value: unknown,
  index: number,
  places: ReadonlyMap<string, number>,
  path: string,
  faults: Fault[],
): LayerOp {
  const op = known(value, "op", path, faults);
  const number = (field: "outputBytes" | "computeCycles" | "fixedCycles" | "weightBytes" | "stateBytes"): number =>
    nonNegative(op[field] ?? 0, `${path}.${field}`, faults);
  const kind = choice(op.kind, kinds, `${path}.kind`, faults);
  const experts =
    op.experts === undefined
      ? []
      : list(op.experts, `${path}.experts`, faults).map((value, e) => {
          const where = `${path}.experts[${e}]`;
          const expert = known(value, "expert", where, faults);
          return {
            computeCycles: nonNegative(expert.computeCycles, `${where}.computeCycles`, faults),
            weightBytes: nonNegative(expert.weightBytes, `${where}.weightBytes`, faults),
          };
        });
  if ((kind === "experts") !== experts.length > 0)
    faults.push({ path: `${path}.experts`, message: "operators of kind experts, and no others, list experts" });
  const inputs =
    op.inputs === undefined
      ? [index - 1]
      : list(op.inputs, `${path}.inputs`, faults).map((input, i) => {
          if (input === "input") return LAYER_INPUT;
          const place = typeof input === "string" ? places.get(input) : undefined;
          if (place !== undefined) return place;
          const near = typeof input === "string" ? nearest(input, ["input", ...places.keys()]) : undefined;
          const hint = near === undefined ? "" : `; did you mean '${near}'?`;
          faults.push({ path: `${path}.inputs[${i}]`, message: `expected 'input' or an operator before it${hint}` });
          return LAYER_INPUT;
        });
  const sum = (field: "computeCycles" | "weightBytes"): number =>
    experts.length === 0 ? number(field) : experts.reduce((total, expert) => total + expert[field], number(field));
  return {
    name: typeof op.name === "string" ? op.name : `op${index}`,
    kind: isKind(kind) ? kind : "whole",
    inputs,
    outputBytes: number("outputBytes"),
    computeCycles: sum("computeCycles"),
    fixedCycles: number("fixedCycles"),
    weightBytes: sum("weightBytes"),
    stateBytes: number("stateBytes"),
    experts,
  };
}
