// Running reductions join the pass that computes their operand: while its vectors are written, another ALU accumulates them, and the operand is
// not read once more. Works on kernels; knows no graph.
import type { Target } from "../../ir/target/target.ts";
import { hasAlus } from "./alu-room.ts";
import type { EwOp, EwPass, EwSink, Kernel, Storage, StorageId } from "./kernel.ts";

/** One pass of a reduction kernel: `repeats` successive vectors of the source make one result. */
interface Reduction {
  readonly source: StorageId;
  readonly op: EwOp;
  readonly repeats: number;
  /** Source vectors of every run by its first vector, and the position of its result in the sinks. */
  readonly runs: ReadonlyMap<number, { readonly vectors: Int32Array; readonly result: readonly number[] }>;
  /** Storages of the results. */
  readonly sinks: readonly EwSink[];
}

/** A reduction kernel in these terms, or undefined. */
function reductionOf(kernel: Kernel): Reduction | undefined {
  if (kernel.kind !== "vxm") return undefined;
  const runs = new Map<number, { vectors: Int32Array; result: number[] }>();
  let first: { source: StorageId; op: EwOp; sinks: readonly EwSink[] } | undefined;
  for (const pass of kernel.passes) {
    const [op, ...more] = pass.ops;
    const source = pass.sources[0];
    if (op === undefined || more.length > 0 || pass.sources.length !== 1 || source === "sums" || source === undefined)
      return undefined;
    if (!op.args.some((arg) => arg.kind === "self") || op.reset < 2) return undefined;
    first ??= { source: source.storage, op, sinks: pass.sinks };
    if (source.storage !== first.source || pass.sinks.some((sink) => sink.every !== op.reset)) return undefined;
    for (let at = 0; at < pass.count; at += op.reset) {
      const vectors = source.vectors.subarray(at, at + op.reset);
      const result = pass.sinks.map((sink) => sink.access.vectors[at / op.reset] as number);
      runs.set(vectors[0] as number, { vectors, result });
    }
  }
  return first === undefined ? undefined : { ...first, repeats: first.op.reset, runs };
}

/** Operations behind the sources on the longest way to each. */
function depthsOf(ops: readonly EwOp[]): number[] {
  const depths: number[] = [];
  for (const op of ops) {
    const before = op.args.map((arg) => (arg.kind === "op" ? (depths[arg.op] as number) : 0));
    depths.push(Math.max(0, ...before) + 1);
  }
  return depths;
}

const sameVectors = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((v, i) => v === b[i]);

/** The pass with the reduction of one of its results in it; undefined where its vectors do not come run by run, or the VXM has no room. */
function withReduction(
  target: Target,
  storages: readonly Storage[],
  pass: EwPass,
  reduction: Reduction,
  done: Set<number>,
): EwPass | undefined {
  const sink = pass.sinks.find(({ access, every }) => access.storage === reduction.source && every === 1);
  if (sink === undefined) return pass;
  const { repeats } = reduction;
  const depth = (depthsOf(pass.ops)[sink.op] as number) + 1;
  const copies = reduction.sinks.some(({ access }) => storages[access.storage]?.replicated === true) ? 1 : 0;
  const accumulators = pass.sinks.length + reduction.sinks.length;
  if (pass.count % repeats !== 0 || depth + copies > target.vxm.chainDepth) return undefined;
  if (pass.ops.length + 1 > target.vxm.largeAlus.length || accumulators > 4) return undefined;
  const results: number[][] = reduction.sinks.map(() => []);
  for (let at = 0; at < pass.count; at += repeats) {
    const vectors = sink.access.vectors.subarray(at, at + repeats);
    const run = reduction.runs.get(vectors[0] as number);
    if (run === undefined || !sameVectors(run.vectors, vectors)) return undefined;
    for (const [i, result] of run.result.entries()) results[i]?.push(result);
    done.add(vectors[0] as number);
  }
  const added = reduction.sinks.map(({ access }, i): EwSink => {
    const vectors = Int32Array.from(results[i] as number[]);
    return { op: pass.ops.length, access: { storage: access.storage, vectors }, every: repeats };
  });
  const inOnePart = added.every(({ access: { storage, vectors } }) => {
    const per = storages[storage]?.partVectors ?? 1;
    return new Set(Array.from(vectors, (v) => Math.floor(v / per))).size === 1;
  });
  if (!inOnePart) return undefined;
  const args = reduction.op.args.map((arg) => (arg.kind === "source" ? ({ kind: "op", op: sink.op } as const) : arg));
  const op: EwOp = { ...reduction.op, args };
  const made = { ...pass, ops: [...pass.ops, op], sinks: [...pass.sinks, ...added] };
  const places = made.sinks.map(({ op: result, access }) => {
    const { type = "f32", replicated = false } = storages[access.storage] ?? {};
    return { op: result, type, replicated };
  });
  const operations = made.ops.map((one) => one.op);
  return hasAlus(target, operations, places) ? made : undefined;
}

/** A kernel that computes the operand, with the reduction in all its passes; undefined where some pass does not take it. */
function fused(
  target: Target,
  storages: readonly Storage[],
  kernel: Kernel,
  reduction: Reduction,
  other: Kernel,
): Kernel | undefined {
  const done = new Set<number>();
  const each = (pass: EwPass): EwPass | undefined => withReduction(target, storages, pass, reduction, done);
  const name = `${kernel.name}+${other.name}`;
  const origins = [...kernel.origins, ...other.origins];
  let made: Kernel | undefined;
  if (kernel.kind === "vxm") {
    const passes = kernel.passes.map(each).filter((pass) => pass !== undefined);
    if (passes.length === kernel.passes.length) made = { ...kernel, name, origins, passes };
  } else if (kernel.kind === "matmul") {
    const groups = kernel.groups.flatMap((group) => {
      const epilogue = each(group.epilogue);
      return epilogue === undefined ? [] : [{ ...group, epilogue }];
    });
    if (groups.length === kernel.groups.length) made = { ...kernel, name, origins, groups };
  }
  return done.size === reduction.runs.size ? made : undefined;
}

/** All kernels, reductions moved into the kernels before them where they fit. */
export function fuseReductions(target: Target, storages: readonly Storage[], kernels: readonly Kernel[]): Kernel[] {
  const result = [...kernels];
  for (let at = 0; at < result.length; at++) {
    const kernel = result[at] as Kernel;
    const reduction = reductionOf(kernel);
    if (reduction === undefined) continue;
    for (let before = at - 1; before >= 0; before--) {
      const made = fused(target, storages, result[before] as Kernel, reduction, kernel);
      if (made === undefined) continue;
      result[before] = made;
      result.splice(at, 1);
      at--;
      break;
    }
  }
  return result;
}
