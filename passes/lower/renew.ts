// The new value of a state takes the place of the old one. Where the kernels read each old vector before, or while, they write the new one of the
// same number, the result is written there at once; else it is made elsewhere and copied at the end of the block.
import type { TensorId } from "../../ir/graph/graph.ts";
import { access, type LowerContext, newHome, storageOf, storedTypeOf, tensorOf } from "./homes.ts";
import type { Access, EwPass, Kernel, MatmulStep, StorageId } from "./kernel.ts";
import type { BorderHome } from "./lower.ts";
import { movPass } from "./move.ts";
import { splitPass } from "./passes.ts";

/** What is placed as one: accesses it reads and writes. `paired`: its i-th read vectors are read before its i-th vectors are written. */
interface Piece {
  readonly reads: readonly Access[];
  readonly writes: readonly Access[];
  readonly paired: boolean;
}

const passPiece = (pass: EwPass): Piece => ({
  reads: pass.sources.filter((source): source is Access => source !== "sums"),
  writes: pass.sinks.map((sink) => sink.access),
  paired: pass.sinks.every((sink) => sink.every === 1),
});

const stepReads = (step: MatmulStep): Access[] => [
  step.moving.access,
  ...step.stationary.flatMap((tile) => (tile.kind === "rows" ? [tile.window.access] : [])),
];

function piecesOf(kernel: Kernel): Piece[] {
  switch (kernel.kind) {
    case "vxm":
      return kernel.passes.map(passPiece);
    case "matmul": {
      // Groups may be placed as one: what any of them reads is read before what any writes only if nothing is both.
      const passes = kernel.groups.map((group) => passPiece(group.epilogue));
      const steps = kernel.groups.flatMap((group) => group.steps.flatMap(stepReads));
      return [
        {
          reads: [...steps, ...passes.flatMap(({ reads }) => reads)],
          writes: passes.flatMap(({ writes }) => writes),
          paired: false,
        },
      ];
    }
    case "transpose":
      return kernel.jobs.map((job) => ({ reads: [job.rows], writes: [job.out], paired: false }));
    case "spread":
      return kernel.jobs.map((job) => ({ reads: [job.source], writes: [job.out], paired: false }));
    case "permute":
      return kernel.jobs.map((job) => ({
        reads: job.pieces.map((piece) => piece.access),
        writes: [job.out],
        paired: true,
      }));
    case "gather":
      return kernel.jobs.map((job) => {
        const table = Int32Array.from({ length: job.limit }, (_, i) => job.base + i * job.scale);
        return { reads: [job.index, access(job.table, table)], writes: [job.out], paired: false };
      });
  }
}

/** Whether every vector of `old` is read for the last time before the vector of that number of `made` is written for the first. */
function readsFirst(kernels: readonly Kernel[], old: StorageId, made: StorageId): boolean {
  const written = new Set<number>();
  for (const { reads, writes, paired } of kernels.flatMap(piecesOf)) {
    const own = writes.filter(({ storage }) => storage === made);
    const olds = reads.filter(({ storage }) => storage === old);
    for (const { vectors } of olds) if (vectors.some((vector) => written.has(vector))) return false;
    const isInStep = olds.every((read) => own.every((write) => write.vectors.every((v, i) => v === read.vectors[i])));
    if (own.length > 0 && olds.length > 0 && !(paired && isInStep)) return false;
    for (const { vectors } of own) for (const vector of vectors) written.add(vector);
  }
  return true;
}

/** Output homes of a block with its states; `copies` are kernels to come after all others. */
export function renewInPlace(
  context: LowerContext,
  kernels: readonly Kernel[],
  inputHomes: readonly BorderHome[],
  outputHomes: readonly BorderHome[],
  states: ReadonlyMap<TensorId, TensorId>,
): { readonly outputHomes: readonly BorderHome[]; readonly copies: readonly Kernel[] } {
  const copies: Kernel[] = [];
  const homes = outputHomes.map((output): BorderHome => {
    const input = states.get(output.tensor);
    const { home } = output;
    const natural = storedTypeOf(tensorOf(context, output.tensor));
    const old = inputHomes.find(({ tensor }) => tensor === input)?.home.storage;
    const isSameType = home.type === natural;
    if (input === undefined || (old === undefined && isSameType)) return output;
    const storage = storageOf(context, home.storage);
    if (old !== undefined && isSameType && readsFirst(kernels, old, home.storage)) {
      context.storages[home.storage] = { ...storage, renews: old };
      return output;
    }
    const { boundary, ...inside } = storage;
    context.storages[home.storage] = inside;
    const place = newHome(context, storage.name, natural, home.layout, storage.vectors, {
      partVectors: storage.partVectors,
      ...(boundary === undefined ? {} : { boundary }),
    });
    if (old !== undefined) context.storages[place.storage] = { ...storageOf(context, place.storage), renews: old };
    const all = Int32Array.from({ length: storage.vectors }, (_, i) => i);
    const passes = splitPass(context, movPass(access(home.storage, all), access(place.storage, all)));
    copies.push({ kind: "vxm", name: "renew", origins: [], passes });
    return { tensor: output.tensor, home: place };
  });
  return { outputHomes: homes, copies };
}
