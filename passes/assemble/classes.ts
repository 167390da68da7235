// Compiling each distinct block once: lowering, border locations, schedule. Blocks of one class share everything but addresses and tensors.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { columnCount, type Hemisphere } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Block, BlockChain } from "../blocks/blocks.ts";
import type { Storage } from "../lower/kernel.ts";
import { type LoweredBlock, lowerBlock } from "../lower/lower.ts";
import { columnClasses } from "../schedule/locations.ts";
import { type BlockSchedule, type ScheduleOptions, scheduleBlock } from "../schedule/schedule.ts";
import { bytesOfStorage, type Location, partCount, pinKey } from "../schedule/state.ts";
import { exchangesAfter } from "../shard/order.ts";
import type { Exchange, ShardedGraph } from "../shard/sharded.ts";
import { type States, statePattern, statesOf } from "./states.ts";

export interface BlockClass {
  readonly index: number;
  /** The block that was compiled. */
  readonly first: Block;
  readonly lowered: LoweredBlock;
  readonly schedule: BlockSchedule;
  /** Cycles from the block's start until a following block may start: everything written, all streams empty. */
  readonly cycles: number;
}

export interface CompiledBlocks {
  readonly classes: readonly BlockClass[];
  readonly classOf: readonly number[];
  readonly states: States;
}

/** Of a bank, what a border tensor may take before it is spread over the columns of other kinds too. */
const borderShare = 1 / 4;

/** What is asked of a border tensor to place its parts. */
type BorderSpec = Pick<Storage, "type" | "vectors">;

/** Where part `part` of a border tensor with this ordinal stands, the same in every block that touches it. */
export function borderLocation(
  target: Target,
  ordinal: number,
  spec: BorderSpec,
  width: number,
  part: number,
): Location {
  const { wide, narrow, all } = columnClasses(target, "apart");
  const hemisphere: Hemisphere = ordinal % 2 === 0 ? "W" : "E";
  const index = Math.floor(ordinal / 2) * 2 + part;
  const isWide = spec.type === "f32" || spec.type === "i32";
  const [first, count] = isWide ? [0, wide] : [wide, narrow - wide];
  const subs = isWide ? 1 : Math.max(1, Math.floor(target.mem.slicesPerColumn / width));
  const own = count * subs * 2;
  // Columns of its own kind, one after the other, then their second banks; then, if it is large, the other columns alike.
  const isLarge = spec.vectors > own * target.mem.wordsPerBank * borderShare;
  const others = all - count;
  const slot = index % (isLarge ? own + others * subs * 2 : own);
  const [at, columns] = slot < own ? [slot, count] : [slot - own, others];
  const column = at % columns;
  return {
    hemisphere,
    column: slot < own ? first + column : column < first ? column : column + count,
    sub: (Math.floor(at / columns) % subs) * width,
    width,
    bank: Math.floor(at / columns / subs) % 2,
  };
}

/** Blocks and exchanges in the order in which they read and make border tensors. */
interface Step {
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
}

function stepsOf(chain: BlockChain, exchanges: readonly Exchange[]): Step[] {
  return chain.blocks.flatMap((block, i): Step[] => [
    block,
    ...exchangesAfter(chain, exchanges, i).map(({ moves }) => ({
      inputs: [...new Set(moves.map((move) => move.source))],
      outputs: [...new Set(moves.map((move) => move.target))],
    })),
  ]);
}

/** Ordinals of border tensors: small numbers, equal at corresponding places of equal blocks, and for the two ends of a state. */
export function borderOrdinals(
  sharded: Pick<ShardedGraph, "graph" | "exchanges" | "pieces">,
  chain: BlockChain,
): Map<TensorId, number> {
  const { graph, exchanges } = sharded;
  const states = statesOf(sharded, chain);
  const steps = stepsOf(chain, exchanges);
  const readers = new Map<TensorId, number[]>();
  steps.forEach((step, at) => {
    for (const id of step.inputs) readers.set(id, [...(readers.get(id) ?? []), at]);
  });
  const ordinals = new Map<TensorId, number>();
  const shared = graph.inputs.map((input) => input.tensor).filter((id) => (readers.get(id) ?? []).length > 1);
  shared.forEach((id, i) => {
    ordinals.set(id, i);
  });
  const graphInputs = new Set(graph.inputs.map((input) => input.tensor));
  const live = new Map<number, number>();
  steps.forEach((step, at) => {
    step.inputs.forEach((id, i) => {
      if (!ordinals.has(id)) ordinals.set(id, i);
    });
    for (const [ordinal, until] of [...live]) if (until <= at) live.delete(ordinal);
    step.outputs.forEach((id, i) => {
      if (ordinals.has(id)) return;
      const state = ordinals.get(states.get(id) ?? id);
      if (state !== undefined) {
        ordinals.set(id, state);
        return;
      }
      const last = Math.max(-1, ...(readers.get(id) ?? []));
      if (last < 0) {
        ordinals.set(id, i + 1);
        return;
      }
      const shape = graph.tensors[id]?.shape.join();
      const replaced = step.inputs.find(
        (input) =>
          graph.tensors[input]?.shape.join() === shape &&
          !graphInputs.has(input) &&
          !live.has(ordinals.get(input) ?? -1),
      );
      let ordinal = (replaced === undefined ? undefined : ordinals.get(replaced)) ?? 0;
      while (live.has(ordinal)) ordinal++;
      live.set(ordinal, last);
      ordinals.set(id, ordinal);
    });
  });
  return ordinals;
}

function pinBorders(
  target: Target,
  lowered: LoweredBlock,
  ordinals: ReadonlyMap<TensorId, number>,
): Map<string, Location> {
  const pinned = new Map<string, Location>();
  for (const storage of lowered.storages) {
    if (storage.boundary === undefined) continue;
    const ordinal = ordinals.get(storage.boundary.tensor) ?? 0;
    for (let part = 0; part < partCount(storage); part++)
      pinned.set(pinKey(storage.id, part), borderLocation(target, ordinal, storage, bytesOfStorage(storage), part));
  }
  return pinned;
}

/** A class with kernels and no cycles yet. */
export interface LoweredClass {
  readonly first: Block;
  readonly lowered: LoweredBlock;
  readonly pinned: ReadonlyMap<string, Location>;
}

export interface LoweredBlocks {
  readonly classes: readonly LoweredClass[];
  readonly classOf: readonly number[];
  readonly states: States;
}

/** Lowers the first block of every class of a chain. `halfTables`: constants that are kept in float16. */
export function lowerBlocks(
  sharded: Pick<ShardedGraph, "graph" | "exchanges" | "pieces">,
  chain: BlockChain,
  target: Target,
  halfTables: ReadonlySet<TensorId>,
  without: FusionSet = new Set(),
): LoweredBlocks {
  const { graph } = sharded;
  const ordinals = borderOrdinals(sharded, chain);
  const states = statesOf(sharded, chain);
  const kept = new Set(states.values());
  const graphInputs = new Set(graph.inputs.map((input) => input.tensor));
  const known = new Map<string, number>();
  const classes: LoweredClass[] = [];
  const classOf = chain.blocks.map((block) => {
    const places = [...block.inputs, ...block.outputs].map((id) => ordinals.get(id)).join();
    const key = `${block.form}|${places}|${statePattern(states, block)}|${block.tensors.flatMap((id, i) => (halfTables.has(id) ? [i] : []))}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const inputs = block.inputs.map((tensor) => ({ tensor, mayBeF16: graphInputs.has(tensor) && !kept.has(tensor) }));
    const lowered = lowerBlock(
      graph,
      { nodes: block.nodes, inputs, outputs: block.outputs, states, halfTables, without },
      target,
    );
    const index = classes.length;
    classes.push({ first: block, lowered, pinned: pinBorders(target, lowered, ordinals) });
    known.set(key, index);
    return index;
  });
  return { classes, classOf, states };
}

/** Schedules every class. Classes of the same kernels differ at their borders only: the setting that was best for the first is taken for all. */
export function scheduleBlocks(
  blocks: LoweredBlocks,
  target: Target,
  options: ScheduleOptions,
): Result<CompiledBlocks> {
  const hints = new Map<string, number>();
  const classes: BlockClass[] = [];
  for (const [index, { first, lowered, pinned }] of blocks.classes.entries()) {
    const form = lowered.kernels.map(({ kind, name }) => `${kind} ${name}`).join();
    const hint = hints.get(form);
    const found = scheduleBlock(target, lowered, pinned, hint === undefined ? options : { ...options, hint });
    if (!found.ok) return found;
    const schedule = found.value;
    if (hint === undefined) hints.set(form, schedule.tuning);
    // An engine may be busy with its last vector for longer than streams carry anything.
    const engines = schedule.state.engines.map(({ lastActivate }) => lastActivate + 1);
    const cycles = Math.max(schedule.state.end + columnCount(target) + target.mem.latency.write, ...engines);
    classes.push({ index, first, lowered, schedule, cycles });
  }
  return ok({ classes, classOf: blocks.classOf, states: blocks.states });
}
