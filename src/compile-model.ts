// The whole pipeline for a model file: import and fold, legalise to the core graph, compile to a program. Knows files and ONNX; decides nothing.
import { textBytesOf } from "../backends/encode/queues.ts";
import type { Result } from "../ir/diag/diagnostic.ts";
import type { FusionSet } from "../ir/graph/fusions.ts";
import type { Graph } from "../ir/graph/graph.ts";
import type { ModelPrecision } from "../ir/graph/precision.ts";
import type { TensorValue } from "../ir/graph/values.ts";
import type { Target, TopologySpec } from "../ir/target/target.ts";
import type { BankAllocator } from "../passes/alloc/banks.ts";
import { halfTablesOf } from "../passes/assemble/half-tables.ts";
import {
  type Compiled,
  type CompileOptions,
  compileGraph,
  type Made,
  type TensorParallel,
} from "../passes/compile/compile.ts";
import { compileEach, type EachCount } from "../passes/compile/compile-each.ts";
import { graphDemand } from "../passes/compile/demand.ts";
import type { OtherDemand } from "../passes/compile/does-not-fit.ts";
import type { PassName } from "../passes/compile/pass-names.ts";
import type { PlacementRequest } from "../passes/compile/placement.ts";
import { stopped } from "../passes/compile/stopped.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { quantiseWeights } from "../passes/legalise/quantise-weights.ts";
import { type ByteSource, openByteSource } from "./io.ts";
import { openExternalFolder } from "./onnx/external.ts";
import {
  type ImportedModel,
  type ImportOptions,
  importModel,
  importPartly,
  type PartialImport,
} from "./onnx/import.ts";
import { importWithValues } from "./onnx/import-values.ts";

export type { BankAllocator, BankedBuffer } from "../passes/alloc/banks.ts";

export interface ModelOptions {
  readonly target: Target;
  readonly chips: number | "auto";
  readonly topology?: TopologySpec;
  readonly tensorParallel?: TensorParallel;
  readonly dims: ReadonlyMap<string, number>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly precision: ModelPrecision;
  readonly allowNarrowing?: boolean;
  /** Fusions that are not made. */
  readonly without?: FusionSet;
  /** Pins, cuts, or a whole placement; by default the compiler decides. */
  readonly placement?: PlacementRequest;
  /** How long to search for a short schedule; 1 is usual, 0 takes the first. */
  readonly effort?: number;
  /** At most so many inferences are under way at once. */
  readonly inFlight?: number;
  /** Instead of our own: places everything in the memory of every chip. Wrong answers are refused. */
  readonly allocator?: BankAllocator;
  /** Weights in external files are not read: a schedule comes out, and a program that computes nothing useful. */
  readonly shapesOnly?: boolean;
  /** Inputs at hand: they give the shapes, and where a shape or a course depends on small ones, their values. */
  readonly values?: ReadonlyMap<string, TensorValue>;
  /** Without repetition the whole model is one block. */
  readonly repeats?: boolean;
  readonly onStage?: (name: PassName | "levers") => void;
  /** Told what each pass made; false ends the compilation there (`isStopped`). */
  readonly onMade?: (made: ModelMade) => boolean;
}

export type ModelMade = { readonly pass: "import" | "legalise"; readonly graph: Graph } | Made;

export interface CompiledModel extends Compiled {
  readonly imported: ImportedModel;
  readonly core: Graph;
}

type ImportChoice = Pick<ModelOptions, "dims" | "shapes" | "shapesOnly" | "values">;

/** Imports a model file to the folded graph in ONNX form. */
export function importFile(path: string, options: ImportChoice): Result<ImportedModel> {
  const { values } = options;
  return withModelFile(path, options, (source, importOptions) =>
    values === undefined ? importModel(source, importOptions) : importWithValues(source, values, importOptions),
  );
}

/** Imports as much of a model file as can be had. */
export const importFilePartly = (path: string, options: ImportChoice): Result<PartialImport> =>
  withModelFile(path, options, importPartly);

/** Opens a model with the files beside it. They stay open if `use` succeeds: weights are read when they are wanted. */
function withModelFile<T>(
  path: string,
  { dims, shapes, shapesOnly = false }: ImportChoice,
  use: (source: ByteSource, options: ImportOptions) => Result<T>,
): Result<T> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const folder = openExternalFolder(path);
  const result = use(source.value, { path, dims, shapes, external: folder.open, shapesOnly });
  if (result.ok) return result;
  source.value.close();
  folder.close();
  return result;
}

type Legal = { readonly imported: ImportedModel; readonly core: Graph };

/** Imports a model file to the core graph. */
function legalModel(path: string, options: ModelOptions): Result<Legal> {
  options.onStage?.("import");
  const read = importFile(path, options);
  if (!read.ok) return read;
  if (options.onMade?.({ pass: "import", graph: read.value.graph }) === false) return stopped;
  options.onStage?.("legalise");
  const imported = { ...read.value, graph: quantiseWeights(read.value.graph, options.precision) };
  const legal = legalise(imported.graph, {
    precision: options.precision,
    lanes: options.target.lanes,
    ...(options.allowNarrowing === undefined ? {} : { allowNarrowing: options.allowNarrowing }),
    ...(options.without === undefined ? {} : { without: options.without }),
  });
  if (!legal.ok) return legal;
  if (options.onMade?.({ pass: "legalise", graph: legal.value }) === false) return stopped;
  return { ok: true, value: { imported, core: legal.value } };
}

function compileOptions(path: string, options: ModelOptions, { imported }: Legal): CompileOptions {
  const { target } = options;
  return {
    chips: options.chips,
    ...(options.topology === undefined ? {} : { topology: options.topology }),
    ...(options.tensorParallel === undefined ? {} : { tensorParallel: options.tensorParallel }),
    ...(options.onStage === undefined ? {} : { onStage: options.onStage }),
    ...(options.onMade === undefined ? {} : { onMade: options.onMade }),
    ...(options.effort === undefined ? {} : { effort: options.effort }),
    ...(options.without === undefined ? {} : { without: options.without }),
    ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
    ...(options.allocator === undefined ? {} : { allocator: options.allocator }),
    ...(options.repeats === undefined ? {} : { repeats: options.repeats }),
    ...(options.placement === undefined ? {} : { placement: options.placement }),
    otherDemands: () => shorterDemands(path, options),
    modelName: imported.graph.name,
    precision: options.precision,
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  };
}

/** Imports, legalises and compiles a model file. */
export function compileModel(path: string, options: ModelOptions): Result<CompiledModel> {
  const legal = legalModel(path, options);
  if (!legal.ok) return legal;
  const compiled = compileGraph(legal.value.core, options.target, compileOptions(path, options, legal.value));
  return compiled.ok ? { ok: true, value: { ...compiled.value, ...legal.value } } : compiled;
}

/** A model file for several numbers of chips, or for those worth trying. */
export function compileModelEach<T>(
  path: string,
  options: ModelOptions,
  counts: readonly number[] | undefined,
  summarise: (compiled: Compiled) => T,
): Result<{ readonly imported: ImportedModel; readonly rows: readonly EachCount<T>[] }> {
  const legal = legalModel(path, options);
  if (!legal.ok) return legal;
  const { core, imported } = legal.value;
  const rows = compileEach(core, options.target, compileOptions(path, options, legal.value), counts, summarise);
  return rows.ok ? { ok: true, value: { imported, rows: rows.value } } : rows;
}

/** What the model would ask for with half of each symbolic dimension. */
function shorterDemands(path: string, options: ModelOptions): readonly OtherDemand[] {
  return [...options.dims].flatMap(([name, size]) => {
    const half = Math.floor(size / 2);
    if (half < 1) return [];
    const imported = importFile(path, { ...options, dims: new Map([...options.dims, [name, half]]) });
    if (!imported.ok) return [];
    const core = legalise(imported.value.graph, { precision: options.precision, lanes: options.target.lanes });
    if (!core.ok) return [];
    return [
      {
        change: `--dim ${name}=${half} instead of ${size}`,
        demand: graphDemand(core.value, halfTablesOf(core.value, options.target)),
      },
    ];
  });
}
