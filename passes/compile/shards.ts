// The sharing problem of a target: what work and exchanges cost on its chips and links, and the graph of each rank.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, invariant, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { columnCount, linkVectorPeriod } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { linksBetween, shortestRoute, type Topology } from "../../ir/target/topology.ts";
import { standardLaneDim } from "../lower/elementwise.ts";
import { checkSharded } from "../shard/check.ts";
import { costModel, planCycles, type ShardCosts } from "../shard/cost.ts";
import { type ShardPlan, type ShardSpace, shardSpace } from "../shard/plan.ts";
import { shardGraph } from "../shard/rewrite.ts";
import { type ShardedGraph, shareShape, unsharded } from "../shard/sharded.ts";
import { solveShards } from "../shard/solve.ts";
import { unpackProducts } from "../shard/unpack.ts";

/** Elementwise operations that one pass through the vector unit does, on average. */
const operationsPerPass = 4;

/** What a stack of shares costs beside its vectors, as crossings of a chip; measured. */
const stackCrossings = 150;

/** Tensors stand at borders with four bytes an element. */
const bytesOfElement = 4;

/** Vectors the busiest link has to carry when each of the first `ways` chips sends one to each other. */
function busiestLink(topology: Topology, ways: number): { load: number; hops: number } {
  const load = new Map<string, number>();
  let hops = 0;
  for (let from = 0; from < ways; from++) {
    for (let to = 0; to < ways; to++) {
      const route = shortestRoute(topology, from, to);
      hops = Math.max(hops, route.length - 1);
      for (let i = 0; i + 1 < route.length; i++) {
        const [a, b] = [route[i] as number, route[i + 1] as number];
        const links = Math.max(1, linksBetween(topology, a, b).length);
        load.set(`${a}:${b}`, (load.get(`${a}:${b}`) ?? 0) + 1 / links);
      }
    }
  }
  return { load: Math.max(0, ...load.values()), hops };
}

/** Equal where groups of so many chips share a graph in the same way. */
export const groupKey = (topology: Topology, ways: number): string =>
  ways === 1 ? "1" : `${ways} ${JSON.stringify(busiestLink(topology, ways))}`;

function shardCosts(target: Target, topology: Topology, ways: number): ShardCosts {
  const { load, hops } = busiestLink(topology, ways);
  return {
    isMovable: (shape, dim) => {
      const lane = standardLaneDim(shape, target.lanes);
      return lane !== dim && lane === standardLaneDim(shareShape(shape, dim, ways), target.lanes);
    },
    productsPerCycle: (precision) => {
      const mode = Object.entries(target.mxm.modes).find(([name]) => name === precision)?.[1];
      if (mode === undefined) return target.lanes;
      return ((target.mxm.planes / mode.planesPerTile) * mode.tileK * mode.tileN) / mode.vectorPeriod;
    },
    vectorsPerCycle: operationsPerPass,
    bytesOfElement,
    // Lane units move a byte plane at a time. A stack of shares stands in few slices, is sent slowly and moved twice: the last resort.
    moveCycles: bytesOfElement,
    moveLatency: stackCrossings * columnCount(target),
    vectorsOf: (shape) => {
      const lane = standardLaneDim(shape, target.lanes);
      return shape.reduce((n, size, d) => n * (d === lane ? Math.ceil(size / target.lanes) : size), 1);
    },
    cyclesPerVector: load * linkVectorPeriod(target),
    // A block ends and another begins: streams run empty twice.
    exchangeLatency: hops * target.link.latency + 4 * columnCount(target),
  };
}

interface Planned {
  readonly space: ShardSpace;
  readonly plan: ShardPlan;
  readonly cycles: number;
}

function planFor(graph: Graph, costs: ShardCosts, ways: number): Planned {
  const space = shardSpace(graph, ways);
  const model = costModel(space, costs);
  const plan = solveShards(model);
  return { space, plan, cycles: planCycles(model, plan) ?? Number.POSITIVE_INFINITY };
}

/** The graph that each of `ways` chips runs; says so where the model has nothing that they could share. */
export function shardFor(graph: Graph, target: Target, topology: Topology, ways: number): Result<ShardedGraph> {
  if (ways === 1) return ok(unsharded(graph));
  const costs = shardCosts(target, topology, ways);
  const { graph: unpacked, boxes } = unpackProducts(graph);
  const [whole, apart] = [planFor(graph, costs, ways), boxes.size === 0 ? undefined : planFor(unpacked, costs, ways)];
  const isApart = apart !== undefined && apart.cycles < whole.cycles;
  const { space, plan } = isApart ? apart : whole;
  const products = space.graph.nodes.filter((node) => node.op === "matmul");
  if (!products.some((node) => plan.has(node.id))) {
    return fail(
      diagnostic(
        "LPU4004",
        `none of the model's ${products.length} matrix products can be shared by ${ways} chips: no dimension of one divides by ${ways}`,
      ),
    );
  }
  const sharded = shardGraph(space, plan, costs.isMovable, isApart ? boxes : new Map());
  const wrong = checkSharded(graph, sharded)[0];
  invariant(wrong === undefined, `the shared graph is wrong: ${wrong?.message}`);
  return ok(sharded);
}
