// The options that say what to compile a model for: target, chips, topology, dimensions, shapes, precision.

import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { fusionNames } from "../../ir/graph/fusions.ts";
import { type ModelPrecision, modelPrecisions } from "../../ir/graph/precision.ts";
import { parseTarget, topologyKinds } from "../../ir/target/schema.ts";
import type { Target, TopologyKind, TopologySpec } from "../../ir/target/target.ts";
import type { TensorParallel } from "../../passes/compile/compile.ts";
import type { ModelOptions } from "../compile-model.ts";
import { readFileBytes } from "../io.ts";
import { defaultTargetName, presetDocuments, presetNames, presetTarget } from "../targets/presets.ts";
import { placementOptions } from "./placement-options.ts";
import { badOption, isSet, optionValue, optionValues, type Session, stage, wholeOption } from "./session.ts";

/** The preset of that name, or the target in that file. */
export function loadTarget(name: string): Result<Target> {
  const preset = presetTarget(name);
  return preset === undefined ? loadChangedTarget(name, {}) : ok(preset);
}

/** The same with other numbers in some places, each under its path of keys. */
export function loadChangedTarget(name: string, changes: Readonly<Record<string, unknown>>): Result<Target> {
  const document = targetDocument(name);
  if (!document.ok) return document;
  const { json, path } = document.value;
  // Laid over like a target file that extends this one: the same checks, and a source of its own for each number.
  const target =
    Object.keys(changes).length === 0
      ? parseTarget(json, presetDocuments)
      : parseTarget({ ...changes, extends: name }, { ...presetDocuments, [name]: json });
  if (target.ok || path === undefined) return target;
  const location = { kind: "file", path } as const;
  return { ok: false, diagnostics: target.diagnostics.map((item) => ({ ...item, location })) };
}

function targetDocument(name: string): Result<{ readonly json: unknown; readonly path?: string }> {
  if (presetNames.includes(name)) return ok({ json: presetDocuments[name] });
  if (!/[/\\]/.test(name) && !name.endsWith(".json")) {
    return fail(diagnostic("LPU3001", `there is no target '${name}'`, { help: didYouMean(name, presetNames) }));
  }
  const bytes = readFileBytes(name);
  if (!bytes.ok) return bytes;
  const location = { kind: "file", path: name } as const;
  try {
    return ok({ json: JSON.parse(new TextDecoder().decode(bytes.value)) as unknown, path: name });
  } catch (error) {
    return fail(diagnostic("LPU3002", error instanceof Error ? error.message : String(error), { location }));
  }
}

const isTopologyKind = (name: string): name is TopologyKind => topologyKinds.some((kind) => kind === name);

function topologyOf(session: Session, target: Target): Result<TopologySpec | undefined> {
  const name = optionValue(session, "topology");
  if (name === undefined) return ok(undefined);
  if (!isTopologyKind(name)) {
    return fail(diagnostic("LPU3011", `there is no topology '${name}'`, { help: didYouMean(name, topologyKinds) }));
  }
  if (name === "edges" && target.topology.edges === undefined) {
    return fail(diagnostic("LPU3012", `--topology edges needs a list topology.edges in the target '${target.name}'`));
  }
  return ok({ ...target.topology, kind: name });
}

function chipsOf(session: Session): Result<number | "auto"> {
  if ((optionValue(session, "chips") ?? "auto") === "auto") return ok("auto");
  const chips = wholeOption(session, "chips", 1);
  return chips.ok ? ok(chips.value ?? "auto") : chips;
}

/** With `--parallel tensor --tensor-parallel N` there are N chips. */
function tensorChips(session: Session, chips: number | "auto"): number | "auto" {
  const ways = wholeOption(session, "tensorParallel", 1);
  return chips === "auto" && optionValue(session, "parallel") === "tensor" && ways.ok ? (ways.value ?? chips) : chips;
}

/** How many chips share a layer, of what `--parallel` and `--tensor-parallel` say together. */
function tensorParallelOf(session: Session, chips: number | "auto"): Result<TensorParallel> {
  const ways = wholeOption(session, "tensorParallel", 1);
  if (!ways.ok) return ways;
  const how = optionValue(session, "parallel");
  if (how === "auto") {
    if (ways.value === undefined) return ok("auto");
    return fail(badOption("tensorParallel", "--parallel auto finds the number of chips that share a layer itself"));
  }
  if (how !== "tensor") return ok(ways.value ?? 1);
  if (ways.value === undefined) return ok("all");
  if (chips === "auto" || chips === ways.value) return ok("all");
  const message = `with --parallel tensor all chips share every layer: ${ways.value} of ${chips} chips do not`;
  return fail(badOption("tensorParallel", message));
}

/** `NAME=VALUE` options; the value goes through `read`. */
function pairsOf<T>(
  session: Session,
  name: "dim" | "shape",
  form: string,
  read: (text: string) => T | undefined,
): Result<ReadonlyMap<string, T>> {
  const pairs = new Map<string, T>();
  const problems: Diagnostic[] = [];
  for (const text of optionValues(session, name)) {
    const at = text.lastIndexOf("=");
    const value = at <= 0 ? undefined : read(text.slice(at + 1));
    if (value === undefined) problems.push(badOption(name, `'${text}' does not have the form ${form}`));
    else pairs.set(text.slice(0, at), value);
  }
  return problems.length === 0 ? ok(pairs) : { ok: false, diagnostics: problems };
}

const size = (text: string): number | undefined => (/^\d{1,15}$/.test(text) ? Number(text) : undefined);

/** `1x128`; nothing for a scalar. */
export function parseDims(text: string): readonly number[] | undefined {
  const dims = (text === "" ? [] : text.split("x")).map(size);
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? known : undefined;
}

/** The model options of a command, or everything that is wrong with them. */
export function modelOptions(session: Session, usual: ModelPrecision = "fp16"): Result<ModelOptions> {
  const target = loadTarget(optionValue(session, "target") ?? defaultTargetName);
  const topology = target.ok ? topologyOf(session, target.value) : ok(undefined);
  const chips = chipsOf(session);
  const dims = pairsOf(session, "dim", "NAME=SIZE", size);
  const shapes = pairsOf(session, "shape", "INPUT=1x128", parseDims);
  const jobs = wholeOption(session, "jobs", 1);
  const inFlight = wholeOption(session, "inFlight", 1);
  const placement = placementOptions(session);
  if (!target.ok || !topology.ok || !chips.ok || !dims.ok || !shapes.ok || !jobs.ok || !inFlight.ok || !placement.ok) {
    const parts = [target, topology, chips, dims, shapes, jobs, inFlight, placement];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const { request, chips: placedChips } = placement.value;
  const tensorParallel = tensorParallelOf(session, placedChips ?? chips.value);
  if (!tensorParallel.ok) return tensorParallel;
  if (placedChips !== undefined && chips.value !== "auto" && chips.value !== placedChips) {
    return fail(badOption("chips", `${chips.value} chips, but the placement file is for ${placedChips}`));
  }
  return ok({
    target: target.value,
    chips: tensorChips(session, placedChips ?? chips.value),
    tensorParallel: tensorParallel.value,
    ...(request === undefined ? {} : { placement: request }),
    ...(topology.value === undefined ? {} : { topology: topology.value }),
    dims: dims.value,
    shapes: shapes.value,
    precision: modelPrecisions.find((name) => name === optionValue(session, "precision")) ?? usual,
    shapesOnly: isSet(session, "shapesOnly"),
    ...(inFlight.value === undefined ? {} : { inFlight: inFlight.value }),
    allowNarrowing: isSet(session, "allowNarrowing"),
    without: new Set(fusionNames.filter((name) => optionValues(session, "without").includes(name))),
    onStage: (name) => stage(session, name),
  });
}
