// Lowering of one block of the core graph to kernels: units, layout choice, then one kernel after the other in data-flow order.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import type { Graph, GraphNode, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { byteTilesOf, withByteTiles } from "./byte-tiles.ts";
import { buildPass, type Demands, escaping, standardLaneDim } from "./elementwise.ts";
import { fuseReductions } from "./fuse-reduce.ts";
import { lowerGather } from "./gather.ts";
import {
  addHome,
  bytesOf,
  type Home,
  homesOf,
  isView,
  type LowerContext,
  newHome,
  storedTypeOf,
  tensorOf,
} from "./homes.ts";
import type { KernelProgram } from "./kernel.ts";
import { chooseLaneDims } from "./lane-dims.ts";
import { makeLayout } from "./layout.ts";
import { lowerFedUnit, lowerMatmul, prepareOperand } from "./matmul.ts";
import { moveHome } from "./move.ts";
import { anyHome, lowerMove, moveView } from "./movement.ts";
import { pushPasses } from "./passes.ts";
import { lowerFedReduce, lowerReduce } from "./reduce.ts";
import { renewInPlace } from "./renew.ts";
import { laneDimOf } from "./request.ts";
import { planUnits, type Unit, type UnitPlan } from "./units.ts";

export interface BlockInput {
  readonly tensor: TensorId;
  /** Stored types in which the tensor stands at the border (f16 only for inputs of the whole program). */
  readonly mayBeF16: boolean;
}

export interface Block {
  /** Non-view and view nodes of the block in topological order. */
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly BlockInput[];
  readonly outputs: readonly TensorId[];
  /** Outputs that take the place of inputs; both may be of other blocks. */
  readonly states: ReadonlyMap<TensorId, TensorId>;
  /** Constant tables whose elements are all float16 numbers. */
  readonly halfTables: ReadonlySet<TensorId>;
  /** Fusions that are not made. */
  readonly without: FusionSet;
}

/** Where a border tensor stands: its storage and layout; the place is decided outside. */
export interface BorderHome {
  readonly tensor: TensorId;
  readonly home: Home;
}

export interface LoweredBlock extends KernelProgram {
  readonly inputHomes: readonly BorderHome[];
  readonly outputHomes: readonly BorderHome[];
}

/** Types in which tensors are wanted: float16 for fp16 products, else the natural type. Sees through views. */
function demandsOf(graph: Graph, plan: UnitPlan, outputs: ReadonlySet<TensorId>): Demands {
  const memo = new Map<TensorId, readonly ("f32" | "f16" | "i32" | "i8" | "u8")[]>();
  const typesOf = (id: TensorId): readonly ("f32" | "f16" | "i32" | "i8" | "u8")[] => {
    const known = memo.get(id);
    if (known !== undefined) return known;
    const tensor = graph.tensors[id];
    invariant(tensor !== undefined, "the tensor exists");
    const natural = storedTypeOf(tensor);
    const wanted = new Set<"f32" | "f16" | "i32" | "i8" | "u8">();
    if (outputs.has(id)) wanted.add(natural);
    for (const reader of plan.consumers.get(id) ?? []) {
      if (isView(reader))
        for (const type of typesOf(reader.outputs[0] as TensorId)) wanted.add(type === "f16" ? "f16" : natural);
      else
        wanted.add(reader.op === "matmul" && reader.attrs.precision === "fp16" && natural === "f32" ? "f16" : natural);
    }
    if (wanted.size === 0) wanted.add(natural);
    const types = [...wanted].sort((a, b) => bytesOf(b) - bytesOf(a));
    memo.set(id, types);
    return types;
  };
  return { typesOf, boundaryOut: (id) => outputs.has(id) };
}

export function lowerBlock(source: Graph, block: Block, target: Target): LoweredBlock {
  const producers = new Map<TensorId, GraphNode>();
  for (const node of block.nodes) for (const output of node.outputs) if (output !== null) producers.set(output, node);
  const outputs = new Set(block.outputs.filter((id) => source.tensors[id]?.data === undefined));
  const byteTiles = byteTilesOf(source, block.nodes, producers, outputs, target);
  const graph = withByteTiles(source, byteTiles);
  const inside = new Set([...byteTiles.values()].flatMap((tile) => tile.nodes));
  const nodes = block.nodes.filter((node) => !inside.has(node));
  const plan = planUnits(graph, producers, { ...block, nodes }, outputs, target);
  const demands = demandsOf(graph, plan, outputs);
  const laneDims = chooseLaneDims(graph, target, plan, producers, outputs, byteTiles);
  const context: LowerContext = {
    graph,
    target,
    storages: [],
    kernels: [],
    homes: new Map(),
    producers,
    constants: new Map(),
    halfTables: block.halfTables,
    byteTiles,
    laneDims,
    moveView,
  };
  const inputHomes: BorderHome[] = [];
  for (const input of block.inputs) inputHomes.push(...borderInputs(context, input, demands));
  for (const unit of plan.units) {
    lowerUnit(context, plan, unit, outputs, demands);
    for (const node of unit.nodes)
      prepareOperands(context, plan, node.outputs[0] as TensorId, originsOf(context, unit));
  }
  const made = [...outputs].map((id) => ({ tensor: id, home: borderOutput(context, id) }));
  const kernels = block.without.has("running")
    ? context.kernels
    : fuseReductions(target, context.storages, context.kernels);
  const { outputHomes, copies } = renewInPlace(context, kernels, inputHomes, made, block.states);
  return { storages: context.storages, kernels: [...kernels, ...copies], inputHomes, outputHomes };
}

function borderInputs(context: LowerContext, input: BlockInput, demands: Demands): BorderHome[] {
  const tensor = tensorOf(context, input.tensor);
  const natural = storedTypeOf(tensor);
  const wanted = demands.typesOf(input.tensor).filter((type) => type === natural || input.mayBeF16);
  const { layout, vectors } = makeLayout(
    tensor.shape,
    standardLaneDim(tensor.shape, context.target.lanes),
    context.target.lanes,
  );
  return (wanted.length > 0 ? wanted : [natural]).map((type) => {
    const home = newHome(context, tensor.name, type, layout, vectors, {
      boundary: { tensor: input.tensor, kind: "in" },
    });
    addHome(context, input.tensor, home);
    return { tensor: input.tensor, home };
  });
}

/** Origins of a kernel: indices of graph nodes. */
function originsOf(context: LowerContext, unit: Unit): number[] {
  const nodes = [...unit.nodes, ...(unit.fed ? [unit.fed.matmul, ...unit.fed.views] : [])];
  const within = nodes.flatMap((node) =>
    node.inputs.flatMap((id) => (id === null ? [] : (context.byteTiles.get(id)?.nodes ?? []))),
  );
  return [...nodes, ...within].map((node) => node.id as number);
}

/** Whether the sums that feed a unit have its shape: where they are spread over it, they have to stand somewhere first. */
function feedsElementByElement(context: LowerContext, unit: Unit, fed: NonNullable<Unit["fed"]>): boolean {
  const shapeAfter = (node: GraphNode | undefined): string =>
    tensorOf(context, node?.outputs[0] as TensorId).shape.join();
  return shapeAfter(fed.views.at(-1) ?? fed.matmul) === shapeAfter(unit.nodes[0]);
}

function lowerUnit(
  context: LowerContext,
  plan: UnitPlan,
  unit: Unit,
  outputs: ReadonlySet<TensorId>,
  demands: Demands,
): void {
  const origins = originsOf(context, unit);
  const node = unit.nodes[0] as GraphNode;
  switch (unit.kind) {
    case "matmul":
      lowerMatmul(context, node, demands, origins);
      return;
    case "reduce":
      lowerReduce(context, node, demands, origins);
      return;
    case "gather":
      lowerGather(context, node, demands, origins);
      return;
    case "move":
      lowerMove(context, node, demands, origins);
      return;
    case "ew": {
      const escaped = escaping(unit, plan.consumers, outputs);
      if (unit.fed !== undefined) {
        const source = unit.fed.matmul;
        const lowerFed = source.op === "reduceSum" ? lowerFedReduce : lowerFedUnit;
        if (feedsElementByElement(context, unit, unit.fed) && lowerFed(context, unit, escaped, demands, origins))
          return;
        if (source.op === "reduceSum") lowerReduce(context, source, demands, origins);
        else lowerMatmul(context, source, demands, origins);
      }
      const { fed: _fed, ...alone } = unit;
      const { pass } = buildPass(context, alone, escaped, demands, undefined, origins);
      pushPasses(context, unit.nodes.map((n) => n.op).join("+"), origins, [pass]);
    }
  }
}

/** Brings a fresh result into the form in which the matmuls behind it want it, as soon as it exists: engines are free then. */
function prepareOperands(context: LowerContext, plan: UnitPlan, id: TensorId, origins: readonly number[]): void {
  for (const reader of plan.consumers.get(id) ?? []) {
    if (isView(reader)) prepareOperands(context, plan, reader.outputs[0] as TensorId, origins);
    else if (reader.op === "matmul") prepareOperand(context, reader, id, origins);
  }
}

/** The border home of a block output: written there at once, or moved. */
function borderOutput(context: LowerContext, id: TensorId): Home {
  const tensor = tensorOf(context, id);
  const direct = homesOf(context, id).find(
    (home) =>
      context.storages[home.storage]?.boundary?.kind === "out" &&
      context.storages[home.storage]?.boundary?.tensor === id,
  );
  if (direct !== undefined) return direct;
  const from = anyHome(context, id, []);
  const { layout, vectors } = makeLayout(
    tensor.shape,
    standardLaneDim(tensor.shape, context.target.lanes),
    context.target.lanes,
  );
  const home = newHome(context, tensor.name, from.type, layout, vectors, { boundary: { tensor: id, kind: "out" } });
  moveHome(
    context,
    from.uniform && laneDimOf(layout) === -1 ? from : { ...from, uniform: from.uniform && laneDimOf(layout) >= 0 },
    home,
    [],
  );
  return home;
}
