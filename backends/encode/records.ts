// The tables of a program as bytes: links, stages, symbols, placements, bindings and the graph. Names are not in here but in the debug
// section (debug.ts), so that renaming a model leaves these bytes alone.
import { type DType, dtypes, type StoredType } from "../../ir/dtype.ts";
import { type CoreOp, coreOps } from "../../ir/graph/core-ops.ts";
import type { Attrs, AttrValue } from "../../ir/graph/graph.ts";
import {
  type Binding,
  type LatencyTerm,
  type LayoutDigit,
  type LinkConnection,
  latencyParts,
  type Placement,
  type Program,
  type ProgramConstant,
  type ProgramGraph,
  type ProgramSymbol,
  type StageInfo,
} from "../../ir/machine/program.ts";
import type { Hemisphere } from "../../ir/target/geometry.ts";
import {
  type ByteSink,
  type Cursor,
  putBlob,
  putByte,
  putList,
  putNumber,
  putQuantity,
  putSigned,
  putText,
  putU32,
  putVarint,
  reject,
  takeBlob,
  takeByte,
  takeChoice,
  takeList,
  takeNumber,
  takeQuantity,
  takeSigned,
  takeText,
  takeU32,
  takeVarint,
} from "./bytes.ts";

export const symbolRoles = [
  "weight",
  "constant",
  "input",
  "output",
  "state",
  "activation",
  "text",
] as const satisfies readonly ProgramSymbol["role"][];
export const boundResources = ["mxm", "mem", "link", "dependency"] as const;
export const storedTypeNames = ["f32", "i32", "f16", "i8", "u8"] as const satisfies readonly StoredType[];

const putVarints = (sink: ByteSink, values: readonly number[]): void => putList(sink, values, putVarint);
const takeVarints = (cursor: Cursor): readonly number[] => takeList(cursor, 1, takeVarint);

export interface SliceName {
  readonly hemisphere: Hemisphere;
  readonly slice: number;
}

export function putSlice(sink: ByteSink, { hemisphere, slice }: SliceName): void {
  putVarint(sink, 2 * slice + (hemisphere === "E" ? 1 : 0));
}

export function takeSlice(cursor: Cursor): SliceName {
  const value = takeVarint(cursor);
  return { hemisphere: value % 2 === 1 ? "E" : "W", slice: Math.floor(value / 2) };
}

function putLink(sink: ByteSink, link: LinkConnection): void {
  for (const value of [link.from, link.fromPort, link.to, link.toPort, link.latency]) putVarint(sink, value);
}

function takeLink(cursor: Cursor): LinkConnection {
  const [from, fromPort, to] = [takeVarint(cursor), takeVarint(cursor), takeVarint(cursor)];
  return { from, fromPort, to, toPort: takeVarint(cursor), latency: takeVarint(cursor) };
}

function putStage(sink: ByteSink, stage: StageInfo): void {
  putVarint(sink, stage.chip);
  putSigned(sink, stage.firstLayer);
  putSigned(sink, stage.lastLayer);
  for (const value of [stage.startCycle, stage.endCycle, stage.weightBytes]) putQuantity(sink, value);
}

function takeStage(cursor: Cursor): StageInfo {
  const chip = takeVarint(cursor);
  const [firstLayer, lastLayer] = [takeSigned(cursor), takeSigned(cursor)];
  const [startCycle, endCycle] = [takeQuantity(cursor), takeQuantity(cursor)];
  return { chip, firstLayer, lastLayer, startCycle, endCycle, weightBytes: takeQuantity(cursor) };
}

function putTerm(sink: ByteSink, term: LatencyTerm): void {
  putByte(sink, latencyParts.indexOf(term.part));
  putVarint(sink, term.count);
  putSigned(sink, term.cycles);
}

function takeTerm(cursor: Cursor): LatencyTerm {
  const part = takeChoice(cursor, latencyParts, "block", "part of the latency");
  return { part, count: takeVarint(cursor), cycles: takeSigned(cursor) };
}

/** Everything about the whole system that is not a name or an instruction. */
export type SystemPart = Pick<
  Program,
  | "links"
  | "topology"
  | "precision"
  | "latencyCycles"
  | "latencyTerms"
  | "initiationIntervalCycles"
  | "stages"
  | "lowerBound"
>;

export function putSystem(sink: ByteSink, system: SystemPart): void {
  putText(sink, system.topology);
  putText(sink, system.precision);
  putQuantity(sink, system.latencyCycles);
  putList(sink, system.latencyTerms, putTerm);
  putQuantity(sink, system.initiationIntervalCycles);
  putList(sink, system.links, putLink);
  putList(sink, system.stages, putStage);
  putQuantity(sink, system.lowerBound.cycles);
  putByte(sink, boundResources.indexOf(system.lowerBound.by));
  for (const resource of boundResources) putQuantity(sink, system.lowerBound.perResource[resource]);
}

export function takeSystem(cursor: Cursor): SystemPart {
  const [topology, precision] = [takeText(cursor), takeText(cursor)];
  const latencyCycles = takeQuantity(cursor);
  const latencyTerms = takeList(cursor, 3, takeTerm);
  const initiationIntervalCycles = takeQuantity(cursor);
  const links = takeList(cursor, 5, takeLink);
  const stages = takeList(cursor, 9, takeStage);
  const cycles = takeQuantity(cursor);
  const by = takeChoice(cursor, boundResources, "dependency", "resource");
  const [mxm, mem, link, dependency] = [
    takeQuantity(cursor),
    takeQuantity(cursor),
    takeQuantity(cursor),
    takeQuantity(cursor),
  ];
  return {
    topology,
    precision,
    latencyCycles,
    latencyTerms,
    initiationIntervalCycles,
    links,
    stages,
    lowerBound: { cycles, by, perResource: { mxm, mem, link, dependency } },
  };
}

export function putSymbol(sink: ByteSink, symbol: ProgramSymbol): void {
  putByte(sink, symbolRoles.indexOf(symbol.role));
  for (const value of [symbol.chip, symbol.address, symbol.words]) putVarint(sink, value);
  putQuantity(sink, symbol.from);
  putQuantity(sink, symbol.until);
  putList(sink, symbol.slices, putSlice);
}

export function takeSymbol(cursor: Cursor): Omit<ProgramSymbol, "name"> {
  const role = takeChoice(cursor, symbolRoles, "text", "role");
  const [chip, address, words] = [takeVarint(cursor), takeVarint(cursor), takeVarint(cursor)];
  const [from, until] = [takeQuantity(cursor), takeQuantity(cursor)];
  return { role, chip, address, words, from, until, slices: takeList(cursor, 1, takeSlice) };
}

function putDigit(sink: ByteSink, digit: LayoutDigit): void {
  putVarint(sink, digit.size);
  putSigned(sink, digit.vector);
  putSigned(sink, digit.lane);
}

const takeDigit = (cursor: Cursor): LayoutDigit => {
  const size = takeVarint(cursor);
  return { size, vector: takeSigned(cursor), lane: takeSigned(cursor) };
};

function putPlacement(sink: ByteSink, placement: Placement): void {
  putVarint(sink, placement.chip);
  putVarints(sink, placement.origin);
  putVarints(sink, placement.extent);
  putList(sink, placement.digits, (inner, digits) => putList(inner, digits, putDigit));
  putByte(sink, storedTypeNames.indexOf(placement.type));
  putVarint(sink, placement.pack);
  putList(sink, placement.slices, putSlice);
  putVarint(sink, placement.address);
}

function takePlacement(cursor: Cursor): Placement {
  const chip = takeVarint(cursor);
  const [origin, extent] = [takeVarints(cursor), takeVarints(cursor)];
  const digits = takeList(cursor, 1, (inner) => takeList(inner, 3, takeDigit));
  const type = takeChoice(cursor, storedTypeNames, "f32", "stored type");
  const pack = takeVarint(cursor);
  const slices = takeList(cursor, 1, takeSlice);
  return { chip, origin, extent, digits, type, pack, slices, address: takeVarint(cursor) };
}

const leastPlacementBytes = 8;

const putDType = (sink: ByteSink, dtype: DType): void => putText(sink, dtype);

function takeDType(cursor: Cursor): DType {
  const name = takeText(cursor);
  if (Object.hasOwn(dtypes, name)) return name as DType;
  reject(cursor, `there is no element type '${name.slice(0, 40)}'`);
  return "float32";
}

export function putBinding(sink: ByteSink, binding: Binding): void {
  putByte(sink, binding.kind === "input" ? 0 : 1);
  putDType(sink, binding.dtype);
  putVarints(sink, binding.shape);
  putVarint(sink, binding.tensor);
  putList(sink, binding.placements, putPlacement);
  putVarint(sink, binding.renews === undefined ? 0 : binding.renews + 1);
}

export function takeBinding(cursor: Cursor): Omit<Binding, "name"> {
  const kind = takeChoice(cursor, ["input", "output"] as const, "input", "kind of binding");
  const dtype = takeDType(cursor);
  const shape = takeVarints(cursor);
  const tensor = takeVarint(cursor);
  const placements = takeList(cursor, leastPlacementBytes, takePlacement);
  const renews = takeVarint(cursor);
  return { kind, dtype, shape, tensor, placements, ...(renews === 0 ? {} : { renews: renews - 1 }) };
}

function putConstant(sink: ByteSink, constant: ProgramConstant | undefined): void {
  if (constant === undefined) {
    putByte(sink, 0);
  } else if (constant.kind === "inline") {
    putByte(sink, 1);
    putBlob(sink, constant.bytes);
  } else if (constant.kind === "splat") {
    putByte(sink, 2);
    putU32(sink, constant.bits);
  } else {
    putByte(sink, 3);
    putList(sink, constant.placements, putPlacement);
  }
}

function takeConstant(cursor: Cursor): ProgramConstant | undefined {
  const kind = takeByte(cursor);
  switch (kind) {
    case 0:
      return undefined;
    case 1:
      return { kind: "inline", bytes: takeBlob(cursor).slice() };
    case 2:
      return { kind: "splat", bits: takeU32(cursor) };
    case 3:
      return { kind: "placed", placements: takeList(cursor, leastPlacementBytes, takePlacement) };
    default:
      reject(cursor, `there is no kind of constant ${kind}`);
      return undefined;
  }
}

function putAttr(sink: ByteSink, value: AttrValue): void {
  if (typeof value === "number") {
    putByte(sink, 0);
    putNumber(sink, value);
  } else if (typeof value === "string") {
    putByte(sink, 1);
    putText(sink, value);
  } else if (typeof value === "boolean") {
    putByte(sink, value ? 3 : 2);
  } else if (value.every((item) => typeof item === "number")) {
    putByte(sink, 4);
    putList(sink, value, putNumber);
  } else {
    putByte(sink, 5);
    putList(sink, value.map(String), putText);
  }
}

function takeAttr(cursor: Cursor): AttrValue {
  const kind = takeByte(cursor);
  switch (kind) {
    case 0:
      return takeNumber(cursor);
    case 1:
      return takeText(cursor);
    case 2:
    case 3:
      return kind === 3;
    case 4:
      return takeList(cursor, 2, takeNumber);
    case 5: {
      const texts = takeList(cursor, 1, takeText);
      if (texts.length === 0) reject(cursor, "an empty list of texts is stored as a list of numbers");
      return texts;
    }
    default:
      reject(cursor, `there is no kind of attribute ${kind}`);
      return 0;
  }
}

function putAttrs(sink: ByteSink, attrs: Attrs): void {
  putList(sink, Object.entries(attrs), (inner, [name, value]) => {
    putText(inner, name);
    putAttr(inner, value);
  });
}

function takeAttrs(cursor: Cursor): Attrs {
  const entries = takeList(cursor, 2, (inner) => [takeText(inner), takeAttr(inner)] as const);
  const attrs: Attrs = Object.fromEntries(entries);
  // Also refuses names that JavaScript would put into another order.
  const names = Object.keys(attrs);
  if (names.length !== entries.length || entries.some(([name], index) => name !== names[index])) {
    reject(cursor, "attributes are named twice or with numbers");
  }
  return attrs;
}

/** The graph without names and origins. */
export interface GraphPart {
  readonly tensors: readonly Omit<ProgramGraph["tensors"][number], "name">[];
  readonly nodes: readonly Omit<ProgramGraph["nodes"][number], "origins">[];
}

export function putGraph(sink: ByteSink, graph: GraphPart): void {
  putList(sink, graph.tensors, (inner, tensor) => {
    putDType(inner, tensor.dtype);
    putVarints(inner, tensor.shape);
    putConstant(inner, tensor.constant);
  });
  putList(sink, graph.nodes, (inner, node) => {
    putText(inner, node.op);
    putVarints(inner, node.inputs);
    putVarint(inner, node.output);
    putAttrs(inner, node.attrs);
  });
}

function takeCoreOp(cursor: Cursor): CoreOp {
  const name = takeText(cursor);
  if (Object.hasOwn(coreOps, name)) return name as CoreOp;
  reject(cursor, `there is no core op '${name.slice(0, 40)}'`);
  return "add";
}

export function takeGraph(cursor: Cursor): GraphPart {
  const tensors = takeList(cursor, 3, (inner) => {
    const dtype = takeDType(inner);
    const shape = takeVarints(inner);
    const constant = takeConstant(inner);
    return constant === undefined ? { dtype, shape } : { dtype, shape, constant };
  });
  const nodes = takeList(cursor, 4, (inner) => {
    const op = takeCoreOp(inner);
    const inputs = takeVarints(inner);
    const output = takeVarint(inner);
    return { op, inputs, output, attrs: takeAttrs(inner) };
  });
  return { tensors, nodes };
}

export function putLaneMap(sink: ByteSink, map: Int16Array): void {
  putVarint(sink, map.length);
  // Neighbouring lanes mostly come from neighbouring lanes: one byte a lane.
  let expected = 0;
  for (const lane of map) {
    putSigned(sink, lane - expected);
    expected = lane + 1;
  }
}

export function takeLaneMap(cursor: Cursor): Int16Array {
  let expected = 0;
  const lanes = takeList(cursor, 1, (inner) => {
    const lane = expected + takeSigned(inner);
    if (lane < -1 || lane > 32_767) reject(inner, `a lane map names lane ${lane}`);
    expected = lane + 1;
    return lane;
  });
  return Int16Array.from(lanes);
}
