// If, Loop and Scan whose course is known when compiling: the branch taken, the body once an iteration. Anything else is refused by name.

import type { TensorId } from "../../ir/graph/graph.ts";
import { int64s, scalar } from "../../ir/graph/values.ts";
import { constantValue, typeOfTensor } from "../../passes/fold/draft.ts";
import { intAttribute, intsAttribute } from "./canonical-attrs.ts";
import { codes } from "./import-codes.ts";
import {
  emitConstant,
  emitOne,
  type Importer,
  openScope,
  poison,
  type RawCall,
  reportAt,
  type Scope,
  type Value,
} from "./import-scope.ts";
import type { GraphProto } from "./model.ts";

/** Computes named results of a scope. */
export type RunScope = (importer: Importer, scope: Scope, names: readonly string[]) => readonly Value[];

export const isControlFlow = (domain: string, opType: string): boolean =>
  domain === "" && (opType === "If" || opType === "Loop" || opType === "Scan");

const MAX_TRIPS = 4096;

function bodyOf(importer: Importer, call: RawCall, name: string): GraphProto | undefined {
  const attribute = call.attributes.get(name);
  if (attribute?.kind === "g") return attribute.value;
  reportAt(importer, codes.attribute, call.origin, `attribute ${name} is missing or not a graph`);
  return undefined;
}

function runBody(
  importer: Importer,
  scope: Scope,
  call: RawCall,
  body: GraphProto,
  inputs: readonly Value[],
  label: string,
  run: RunScope,
): readonly Value[] {
  const values = new Map<string, Value>();
  for (const [index, input] of body.inputs.entries()) values.set(input.name, inputs[index] ?? poison);
  const prefix = `${call.origin.name}/${label}`;
  const index = call.origin.index;
  const inner = openScope(importer, body, { ...scope, values, parent: scope, prefix, index });
  return run(
    importer,
    inner,
    body.outputs.map((output) => output.name),
  );
}

function flag(importer: Importer, id: TensorId | null | undefined): boolean | undefined {
  const value = id === null || id === undefined ? undefined : constantValue(importer.draft, id);
  return value === undefined || value.data.length !== 1 ? undefined : Number(value.data[0]) !== 0;
}

function runIf(importer: Importer, scope: Scope, call: RawCall, run: RunScope): readonly Value[] | undefined {
  const taken = flag(importer, call.inputs[0]);
  if (taken === undefined) {
    reportAt(importer, codes.dataDependentControl, call.origin, "the condition is computed at run time");
    return undefined;
  }
  const branch = taken ? "then_branch" : "else_branch";
  const body = bodyOf(importer, call, branch);
  return body === undefined ? undefined : runBody(importer, scope, call, body, [], branch, run);
}

/** Joins one value an iteration along a new axis. */
function stack(importer: Importer, call: RawCall, parts: readonly Value[], axis: number): Value {
  const columns: TensorId[] = [];
  for (const part of parts) {
    if (part === poison) return poison;
    const rank = typeOfTensor(importer.draft, part).shape.length + 1;
    const axes = emitConstant(importer, call, int64s([axis < 0 ? axis + rank : axis]));
    const column = emitOne(importer, call, "Unsqueeze", [part, axes]);
    if (column === undefined) return poison;
    columns.push(column);
  }
  return emitOne(importer, call, "Concat", columns, { axis }) ?? poison;
}

function tripCount(importer: Importer, call: RawCall): number | undefined {
  const [limit] = call.inputs;
  const known = limit === null || limit === undefined ? undefined : constantValue(importer.draft, limit);
  const count = limit === null || limit === undefined ? MAX_TRIPS + 1 : Number(known?.data[0]);
  if (Number.isInteger(count)) return count;
  reportAt(importer, codes.dataDependentControl, call.origin, "the trip count is computed at run time");
  return undefined;
}

function runLoop(importer: Importer, scope: Scope, call: RawCall, run: RunScope): readonly Value[] | undefined {
  const count = tripCount(importer, call);
  const body = bodyOf(importer, call, "body");
  if (count === undefined || body === undefined) return undefined;
  let carried: readonly Value[] = call.inputs.slice(2).map((id) => id ?? poison);
  const scans = body.outputs.slice(1 + carried.length).map((): Value[] => []);
  let condition: TensorId | null = call.inputs[1] ?? null;
  for (let trip = 0; trip < count; trip += 1) {
    const goOn = condition === null ? true : flag(importer, condition);
    if (goOn === false) break;
    if (goOn === undefined || trip >= MAX_TRIPS) {
      const why = goOn === undefined ? "the condition is computed at run time" : `it runs more than ${MAX_TRIPS} times`;
      reportAt(importer, codes.dataDependentControl, call.origin, why);
      return undefined;
    }
    const index = emitConstant(importer, call, scalar("int64", trip));
    const given = condition ?? emitConstant(importer, call, scalar("bool", 1));
    const results = runBody(importer, scope, call, body, [index, given, ...carried], `iteration${trip}`, run);
    const [next = poison] = results;
    if (next === poison) return undefined;
    condition = next;
    carried = results.slice(1, 1 + carried.length);
    for (const [at, list] of scans.entries()) list.push(results[1 + carried.length + at] ?? poison);
  }
  if (scans.some((list) => list.length === 0)) {
    reportAt(importer, codes.unsupportedForm, call.origin, "a loop without iterations has scan outputs");
    return undefined;
  }
  return [...carried, ...scans.map((list) => stack(importer, call, list, 0))];
}

interface ScanPlan {
  readonly body: GraphProto;
  readonly states: readonly TensorId[];
  readonly scanned: readonly { readonly id: TensorId; readonly axis: number; readonly backwards: boolean }[];
  readonly trips: number;
}

function planScan(importer: Importer, call: RawCall): ScanPlan | undefined {
  const body = bodyOf(importer, call, "body");
  const count = intAttribute(call.attributes, "num_scan_inputs") ?? 0;
  const inputs = call.inputs.filter((id) => id !== null);
  if (body === undefined || call.opset < 9 || count < 1 || count > inputs.length) {
    reportAt(
      importer,
      codes.unsupportedForm,
      call.origin,
      "only the form of opset 9 and later, with its scan inputs, is supported",
    );
    return undefined;
  }
  const axes = intsAttribute(call.attributes, "scan_input_axes") ?? [];
  const directions = intsAttribute(call.attributes, "scan_input_directions") ?? [];
  const states = inputs.slice(0, inputs.length - count);
  const scanned = inputs.slice(inputs.length - count).map((id, index) => {
    const rank = typeOfTensor(importer.draft, id).shape.length;
    const axis = axes[index] ?? 0;
    return { id, axis: axis < 0 ? axis + rank : axis, backwards: directions[index] === 1 };
  });
  const trips = scanned.map(({ id, axis }) => typeOfTensor(importer.draft, id).shape[axis] ?? 0);
  const [first = 0] = trips;
  if (first < 1 || first > MAX_TRIPS || trips.some((trip) => trip !== first)) {
    reportAt(
      importer,
      codes.unsupportedForm,
      call.origin,
      `scan inputs have ${trips.join(", ")} steps; 1 to ${MAX_TRIPS}, all equal, are supported`,
    );
    return undefined;
  }
  return { body, states, scanned, trips: first };
}

function runScan(importer: Importer, scope: Scope, call: RawCall, run: RunScope): readonly Value[] | undefined {
  const plan = planScan(importer, call);
  if (plan === undefined) return undefined;
  let states: readonly Value[] = plan.states;
  const scans = plan.body.outputs.slice(states.length).map((): Value[] => []);
  for (let trip = 0; trip < plan.trips; trip += 1) {
    const slices = plan.scanned.map(({ id, axis, backwards }): Value => {
      const at = emitConstant(importer, call, scalar("int64", backwards ? plan.trips - 1 - trip : trip));
      return emitOne(importer, call, "Gather", [id, at], { axis }) ?? poison;
    });
    const results = runBody(importer, scope, call, plan.body, [...states, ...slices], `step${trip}`, run);
    if (results.includes(poison)) return undefined;
    states = results.slice(0, states.length);
    for (const [at, list] of scans.entries()) list.push(results[states.length + at] ?? poison);
  }
  const axes = intsAttribute(call.attributes, "scan_output_axes") ?? [];
  const directions = intsAttribute(call.attributes, "scan_output_directions") ?? [];
  const joined = scans.map((list, index) =>
    stack(importer, call, directions[index] === 1 ? list.reverse() : list, axes[index] ?? 0),
  );
  return [...states, ...joined];
}

/** Results of a control flow node, or undefined after reporting why there are none. */
export function runControlFlow(
  importer: Importer,
  scope: Scope,
  call: RawCall,
  run: RunScope,
): readonly Value[] | undefined {
  if (call.opType === "If") return runIf(importer, scope, call, run);
  return call.opType === "Loop" ? runLoop(importer, scope, call, run) : runScan(importer, scope, call, run);
}
