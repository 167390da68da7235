// Units of lowering: elementwise nodes that one VXM pass can compute together, and single nodes of the other kinds, in an order that
// respects the data flow. Decides what is fused with what; knows no layouts.
import { coreOps } from "../../ir/graph/core-ops.ts";
import type { FusionSet } from "../../ir/graph/fusions.ts";
import type { Graph, GraphNode, NodeId, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { isView } from "./homes.ts";

export interface Unit {
  readonly id: number;
  readonly kind: "ew" | "matmul" | "reduce" | "move" | "gather";
  readonly nodes: readonly GraphNode[];
  /** A matmul (or a reduceSum, which may become one) whose sums feed this unit through these views (outermost consumer last), and nothing else. */
  readonly fed?: { readonly matmul: GraphNode; readonly views: readonly GraphNode[] };
}

export interface UnitPlan {
  readonly units: readonly Unit[];
  readonly unitOf: ReadonlyMap<NodeId, number>;
  /** Nodes that read each tensor. */
  readonly consumers: ReadonlyMap<TensorId, readonly GraphNode[]>;
}

const groupOf = (node: GraphNode): string =>
  node.op in coreOps ? coreOps[node.op as keyof typeof coreOps].group : "unknown";

/** Elementwise nodes that run on VXM ALUs. */
export function isElementwise(node: GraphNode): boolean {
  return ["binary", "unary", "compare", "select", "cast"].includes(groupOf(node)) && node.op !== "bitcast";
}

const unitKind = (node: GraphNode): Unit["kind"] => {
  switch (groupOf(node)) {
    case "matmul":
      return "matmul";
    case "reduce":
      return "reduce";
    case "index":
      return "gather";
    case "move":
      return "move";
    default:
      return "ew";
  }
};

export function isScalarConstant(graph: Graph, id: TensorId): boolean {
  const tensor = graph.tensors[id];
  return tensor?.data !== undefined && tensor.shape.every((size) => size === 1);
}

interface Cluster {
  readonly nodes: GraphNode[];
  readonly depth: Map<NodeId, number>;
  /** Tensors read from outside. */
  readonly sources: Set<TensorId>;
  /** Clusters this one depends on, directly. */
  readonly needs: Set<number>;
}

/** Tensors a pass reads: all may come from one side of the VXM, and one more group of streams is left to the results. */
const mostSources = ({ streamsPerDirection }: Target): number => Math.min(6, Math.floor(streamsPerDirection / 4) - 1);

/** Which clusters a node's operand comes from, seeing through views. */
function clusterOfTensor(
  producers: ReadonlyMap<TensorId, GraphNode>,
  owner: ReadonlyMap<NodeId, number>,
  id: TensorId,
): number | undefined {
  let node = producers.get(id);
  while (node !== undefined && isView(node)) node = producers.get(node.inputs[0] as TensorId);
  return node === undefined ? undefined : owner.get(node.id);
}

function reaches(clusters: readonly Cluster[], from: number, goal: number): boolean {
  const seen = new Set<number>([from]);
  const stack = [from];
  while (stack.length > 0) {
    const at = stack.pop() as number;
    if (at === goal) return true;
    for (const next of clusters[at]?.needs ?? []) {
      if (!seen.has(next)) {
        seen.add(next);
        stack.push(next);
      }
    }
  }
  return false;
}

export function planUnits(
  graph: Graph,
  producers: ReadonlyMap<TensorId, GraphNode>,
  block: { readonly nodes: readonly GraphNode[]; readonly without: FusionSet },
  outputs: ReadonlySet<TensorId>,
  target: Target,
): UnitPlan {
  const { nodes, without } = block;
  const consumers = new Map<TensorId, GraphNode[]>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      if (input === null) continue;
      const list = consumers.get(input);
      if (list === undefined) consumers.set(input, [node]);
      else if (!list.includes(node)) list.push(node);
    }
  }
  const clusters: Cluster[] = [];
  const owner = new Map<NodeId, number>();
  for (const node of nodes) {
    if (isView(node)) continue;
    const needs = new Set<number>();
    for (const input of node.inputs) {
      const cluster = input === null ? undefined : clusterOfTensor(producers, owner, input);
      if (cluster !== undefined) needs.add(cluster);
    }
    const joined =
      isElementwise(node) && !without.has("elementwise")
        ? joinCluster(graph, producers, clusters, owner, node, needs, target)
        : undefined;
    if (joined !== undefined) {
      owner.set(node.id, joined);
      continue;
    }
    const sources = new Set(node.inputs.filter((id): id is TensorId => id !== null && !isScalarConstant(graph, id)));
    owner.set(node.id, clusters.length);
    clusters.push({ nodes: [node], depth: new Map([[node.id, 1]]), sources, needs });
  }
  return orderUnits(clusters, owner, consumers, producers, outputs, without);
}

/**
 * Whether the node can take what the cluster computes as it comes: not through a view, which reads elements in another order, and not where the
 * value is narrowed to bytes, which happens when it is written.
 */
function isStreamed(
  producers: ReadonlyMap<TensorId, GraphNode>,
  owner: ReadonlyMap<NodeId, number>,
  node: GraphNode,
  cluster: number,
): boolean {
  return node.inputs.every((input) => {
    if (input === null || clusterOfTensor(producers, owner, input) !== cluster) return true;
    const producer = producers.get(input);
    return producer !== undefined && !isView(producer) && producer.op !== "toInt8";
  });
}

/** Operations behind each other: one link of the chain is left for a copy of a result, and operands wait no longer than they are kept. */
function mostDepth({ vxm }: Target): number {
  const slowest = Math.max(vxm.latency.simple, vxm.latency.multiply, vxm.latency.large);
  return Math.min(vxm.chainDepth - 1, 1 + Math.floor(vxm.operandHistory / slowest));
}

/** Adds an elementwise node to the cluster of one of its operands where the VXM has room and no cycle arises. */
function joinCluster(
  graph: Graph,
  producers: ReadonlyMap<TensorId, GraphNode>,
  clusters: Cluster[],
  owner: ReadonlyMap<NodeId, number>,
  node: GraphNode,
  needs: ReadonlySet<number>,
  target: Target,
): number | undefined {
  const shape = graph.tensors[node.outputs[0] as TensorId]?.shape ?? [];
  const direct = new Set<number>();
  for (const input of node.inputs) {
    const producer = input === null ? undefined : producers.get(input);
    if (producer === undefined || !isElementwise(producer)) continue;
    const cluster = owner.get(producer.id);
    if (cluster !== undefined) direct.add(cluster);
  }
  for (const candidate of [...direct].sort((a, b) => b - a)) {
    const cluster = clusters[candidate] as Cluster;
    const head = cluster.nodes[0] as GraphNode;
    if (!isElementwise(head)) continue;
    const clusterShape = graph.tensors[head.outputs[0] as TensorId]?.shape ?? [];
    if (clusterShape.length !== shape.length || clusterShape.some((size, d) => size !== shape[d])) continue;
    if (!isStreamed(producers, owner, node, candidate)) continue;
    let depth = 1;
    const added = new Set<TensorId>();
    for (const input of node.inputs) {
      if (input === null) continue;
      const producer = producers.get(input);
      const inside =
        producer !== undefined && cluster.depth.has(producer.id) ? cluster.depth.get(producer.id) : undefined;
      if (inside !== undefined) depth = Math.max(depth, inside + 1);
      else if (!isScalarConstant(graph, input) && !cluster.sources.has(input)) added.add(input);
    }
    if (
      depth > mostDepth(target) ||
      cluster.sources.size + added.size > mostSources(target) ||
      cluster.nodes.length + 1 > target.vxm.largeAlus.length
    )
      continue;
    if ([...needs].some((other) => other !== candidate && reaches(clusters, other, candidate))) continue;
    cluster.nodes.push(node);
    cluster.depth.set(node.id, depth);
    for (const input of added) cluster.sources.add(input);
    for (const other of needs) if (other !== candidate) cluster.needs.add(other);
    return candidate;
  }
  return undefined;
}

/** Topological order of clusters (Kahn, smallest first), with matmuls that feed exactly one elementwise unit folded into it. */
function orderUnits(
  clusters: readonly Cluster[],
  owner: ReadonlyMap<NodeId, number>,
  consumers: ReadonlyMap<TensorId, readonly GraphNode[]>,
  producers: ReadonlyMap<TensorId, GraphNode>,
  outputs: ReadonlySet<TensorId>,
  without: FusionSet,
): UnitPlan {
  const fed = new Map<number, { matmul: GraphNode; views: GraphNode[] }>();
  const folded = new Map<number, number>();
  clusters.forEach((cluster, index) => {
    if (!isElementwise(cluster.nodes[0] as GraphNode)) return;
    for (const source of cluster.sources) {
      const found = feedingMatmul(source, consumers, producers, outputs, cluster);
      const matmulCluster = found && owner.get(found.matmul.id);
      if (found === undefined || matmulCluster === undefined || folded.has(matmulCluster)) continue;
      if (without.has(found.matmul.op === "matmul" ? "products" : "reductions")) continue;
      fed.set(index, found);
      folded.set(matmulCluster, index);
      break;
    }
  });
  const needs = clusters.map((cluster) => new Set([...cluster.needs].map((need) => folded.get(need) ?? need)));
  folded.forEach((into, from) => {
    for (const need of clusters[from]?.needs ?? []) needs[into]?.add(folded.get(need) ?? need);
  });
  const order = levelOrder(
    clusters.map((_, i) => i).filter((i) => !folded.has(i)),
    needs,
  );
  const unitOf = new Map<NodeId, number>();
  const units = order.map((index, id): Unit => {
    const cluster = clusters[index] as Cluster;
    const feeding = fed.get(index);
    for (const node of cluster.nodes) unitOf.set(node.id, id);
    if (feeding !== undefined) unitOf.set(feeding.matmul.id, id);
    return {
      id,
      kind: unitKind(cluster.nodes[0] as GraphNode),
      nodes: cluster.nodes,
      ...(feeding ? { fed: feeding } : {}),
    };
  });
  return { units, unitOf, consumers };
}

/** Clusters by the length of the longest chain that leads to them, then by number: what can start early is scheduled early. */
function levelOrder(clusters: readonly number[], needs: readonly ReadonlySet<number>[]): number[] {
  const level = new Map<number, number>();
  const levelOf = (index: number): number => {
    const known = level.get(index);
    if (known !== undefined) return known;
    level.set(index, 0);
    let deepest = 0;
    for (const need of needs[index] ?? []) if (need !== index) deepest = Math.max(deepest, levelOf(need) + 1);
    level.set(index, deepest);
    return deepest;
  };
  return [...clusters].sort((a, b) => levelOf(a) - levelOf(b) || a - b);
}

/** The matmul behind `source`, through reshapes and transposes that nothing else reads. */
function feedingMatmul(
  source: TensorId,
  consumers: ReadonlyMap<TensorId, readonly GraphNode[]>,
  producers: ReadonlyMap<TensorId, GraphNode>,
  outputs: ReadonlySet<TensorId>,
  cluster: Cluster,
): { matmul: GraphNode; views: GraphNode[] } | undefined {
  const readers = consumers.get(source) ?? [];
  if (outputs.has(source) || !readers.every((reader) => cluster.depth.has(reader.id))) return undefined;
  const views: GraphNode[] = [];
  let node = producers.get(source);
  while (node !== undefined && (node.op === "reshape" || node.op === "transpose")) {
    views.unshift(node);
    const input = node.inputs[0] as TensorId;
    if (outputs.has(input) || (consumers.get(input) ?? []).length !== 1) return undefined;
    node = producers.get(input);
  }
  if (node?.op === "matmul") return { matmul: node, views };
  return node?.op === "reduceSum" && views.length === 0 ? { matmul: node, views } : undefined;
}
