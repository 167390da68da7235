// Where the constants of the model stand in the images of the chips, so that whoever judges the program reads them there.
import type { StoredType } from "../../ir/dtype.ts";
import { elementCount, type Graph, type TensorId } from "../../ir/graph/graph.ts";
import type { Placement } from "../../ir/machine/program.ts";
import { correspondence } from "../blocks/blocks.ts";
import type { Layout } from "../lower/layout.ts";
import { pieceOrigin, type ShardedGraph } from "../shard/sharded.ts";
import type { AssemblyInput } from "./assemble.ts";
import { shifted } from "./bindings.ts";
import { partPlacements } from "./boxes.ts";
import { type BlockInstance, bufferAddress, type ChipMemory, isPersistent, storageOfBuffer } from "./chip-memory.ts";

/** Placements of constants of the rank's graph, for each rank from the first chip that holds all of one. */
export type RankConstants = Map<TensorId, Map<number, readonly Placement[]>>;

export function collectConstants(
  input: AssemblyInput,
  instance: BlockInstance,
  memory: ChipMemory,
  chip: number,
  rank: number,
  constants: RankConstants,
): void {
  const { target, sharded } = input;
  const { graph } = sharded;
  const { block, blockClass } = instance;
  const tensors = correspondence(blockClass.first, block);
  const fresh = new Map<TensorId, Map<string, Placement[]>>();
  const add = (id: TensorId, group: string, placements: readonly Placement[]): void => {
    if (constants.get(id)?.has(rank) === true) return;
    const groups = fresh.get(id) ?? new Map<string, Placement[]>();
    groups.set(group, [...(groups.get(group) ?? []), ...placements]);
    fresh.set(id, groups);
  };
  for (const buffer of blockClass.schedule.state.buffers) {
    if (!isPersistent(blockClass, buffer)) continue;
    const address = bufferAddress(memory, blockClass, tensors, buffer);
    if (address === undefined) continue;
    const slices = buffer.slices.map((slice) => ({ hemisphere: buffer.hemisphere, slice }));
    if (buffer.content.kind === "tile") {
      const { tile } = buffer.content;
      if (tile.kind !== "const") continue;
      const id = tensors.get(tile.tile.tensor) as TensorId;
      const shape = graph.tensors[id]?.shape ?? [];
      const mode = target.mxm.modes[tile.mode];
      const type: StoredType =
        tile.mode === "fp16"
          ? "f16"
          : tile.mode === "fp32"
            ? "f32"
            : graph.tensors[id]?.dtype === "uint8"
              ? "u8"
              : "i8";
      add(id, type, [
        tilePlacement(tile.tile, shape, {
          chip,
          type,
          pack: tile.bytes === 1 ? (mode?.tileK ?? target.lanes) : 0,
          slices,
          address,
        }),
      ]);
    } else {
      const storage = storageOfBuffer(blockClass, buffer);
      if (storage?.content?.kind !== "tensor") continue;
      const id = tensors.get(storage.content.tensor) as TensorId;
      const from = buffer.content.part * storage.partVectors;
      add(
        id,
        `${storage.type}:${storage.id}${storage.replicated ? buffer.hemisphere : ""}`,
        partPlacements(ownPart(storage.content.layout, graph.tensors[id]?.shape ?? []), from, from + buffer.words, {
          chip,
          type: storage.type,
          pack: 0,
          slices,
          address,
        }),
      );
    }
  }
  for (const [id, groups] of fresh) {
    const total = elementCount(graph.tensors[id]?.shape ?? []);
    const covering = [...groups].filter(
      ([, list]) => list.reduce((n, placement) => n + elementCount(placement.extent), 0) === total,
    );
    const widest = covering.sort(([a], [b]) => (a.startsWith("f16") ? 1 : 0) - (b.startsWith("f16") ? 1 : 0))[0];
    if (widest === undefined) continue;
    const ranks = constants.get(id) ?? new Map<number, readonly Placement[]>();
    constants.set(id, ranks);
    ranks.set(rank, widest[1]);
  }
}

/** The layout of a constant without the repetitions of its size-1 dims. */
const ownPart = (layout: Layout, shape: readonly number[]): Layout => ({
  ...layout,
  shape,
  dims: layout.dims.map((digits, d) => (shape[d] === 1 ? [] : digits)),
});

function tilePlacement(
  tile: {
    readonly byRows: boolean;
    readonly batch: number;
    readonly k0: number;
    readonly k: number;
    readonly n0: number;
    readonly rows: number;
  },
  shape: readonly number[],
  where: Pick<Placement, "chip" | "type" | "pack" | "slices" | "address">,
): Placement {
  const rank = shape.length;
  const origin = shape.map(() => 0);
  const extent = shape.map(() => 1);
  let rest = tile.batch;
  for (let d = rank - 3; d >= 0; d--) {
    origin[d] = rest % (shape[d] as number);
    rest = Math.floor(rest / (shape[d] as number));
  }
  const [kDim, nDim] = tile.byRows ? [rank - 1, rank - 2] : [rank - 2, rank - 1];
  origin[kDim] = tile.k0;
  extent[kDim] = tile.k;
  origin[nDim] = tile.n0;
  extent[nDim] = tile.rows;
  const digits = shape.map((_, d) =>
    d === kDim ? [{ size: tile.k, vector: 0, lane: 1 }] : d === nDim ? [{ size: tile.rows, vector: 1, lane: 0 }] : [],
  );
  return { ...where, origin, extent, digits };
}

/** Placements of the model's constants: of any rank for one that all have, of all ranks for one of which they have shares. */
export function modelConstants(input: AssemblyInput, constants: RankConstants): Map<TensorId, readonly Placement[]> {
  const { model, sharded } = input;
  const whole = new Map<TensorId, readonly Placement[]>();
  for (const [id, ranks] of constants) {
    const piece = sharded.pieces.get(id);
    if (piece === undefined || whole.has(piece.tensor)) continue;
    const [first] = ranks.values();
    if (piece.dim === null) whole.set(piece.tensor, first ?? []);
    else if (ranks.size === sharded.ways) {
      const placements = [...ranks].flatMap(([rank, list]) => {
        const origin = pieceOrigin(sharded, piece, rank);
        return list.map((placement) => shifted(placement, origin));
      });
      whole.set(piece.tensor, placements);
    }
  }
  return joinBoxes(model, sharded, whole);
}

/** Constants that are only there in boxes: placed where the boxes are, if together they are all of one. */
function joinBoxes(
  model: Graph,
  sharded: ShardedGraph,
  whole: ReadonlyMap<TensorId, readonly Placement[]>,
): Map<TensorId, readonly Placement[]> {
  const found = new Map([...whole].filter(([id]) => !sharded.boxes.has(id)));
  const joined = new Map<
    TensorId,
    { elements: number; readonly placements: Placement[]; readonly seen: Set<string> }
  >();
  for (const [id, placements] of whole) {
    const box = sharded.boxes.get(id);
    if (box === undefined || found.has(box.tensor)) continue;
    const shape = sharded.source.tensors[id]?.shape ?? [];
    const entry = joined.get(box.tensor) ?? { elements: 0, placements: [], seen: new Set<string>() };
    joined.set(box.tensor, entry);
    const key = `${box.origin.join()}:${shape.join()}`;
    if (entry.seen.has(key)) continue;
    entry.seen.add(key);
    entry.elements += elementCount(shape);
    entry.placements.push(...placements.map((placement) => shifted(placement, box.origin)));
  }
  for (const [id, { elements, placements }] of joined)
    if (elements === elementCount(model.tensors[id]?.shape ?? [])) found.set(id, placements);
  return found;
}
