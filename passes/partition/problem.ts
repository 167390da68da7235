// The chain partitioning problem: layers in order, chips in order, contiguous stages, optional tensor or expert parallelism
// inside a stage. Holds the data and what makes it well formed. Must not know how it is solved or checked.

/** What one layer costs on each chip of a group of one degree, split in one way. */
export type LayerCost = {
  readonly computeCycles: number;
  /** Cycles a token waits for all-gathers, all-reduces and the like, and the links inside the group are busy with them. */
  readonly collectiveCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** Peak of the layer's working memory. Layers of a stage run one after another, so a stage needs the largest. */
  readonly activationBytes: number;
  /** Cycles the incoming links are busy per token when a stage starts with this layer. */
  readonly receiveBusyCycles: number;
  /** Cycles the outgoing links are busy per token when the pipeline is cut after this layer. */
  readonly sendBusyCycles: number;
  /** Cycles a token waits between the two stages when the pipeline is cut after this layer. */
  readonly sendLatencyCycles: number;
};

export type ChainLayer = {
  readonly name: string;
  /** Size of the tensor that crosses a cut after this layer; for reports, its cost is in `costs`. */
  readonly boundaryBytes: number;
  /** One entry for each of the problem's degrees, its variants; undefined where the layer cannot be split that way. */
  readonly costs: readonly (LayerCost | undefined)[];
};

/**
 * The links between chip `c` and chip `c + 1`, against those that the costs of the layers are for: transfers take
 * `busyFactor` times as long (1 or more) and arrive `extraLatencyCycles` later.
 */
export type ChainBorder = { readonly busyFactor: number; readonly extraLatencyCycles: number };

type ChainPin = { readonly layer: number; readonly chip: number };

export type ChainProblem = {
  readonly layers: readonly ChainLayer[];
  /**
   * Chips of a group, one entry for each variant a stage may take, ascending; `[1]` is plain pipelining. A degree may stand
   * there several times: `[1, 2, 2]` could be none, tensor parallelism, and experts over two chips.
   */
  readonly degrees: readonly number[];
  readonly chips: number;
  /** SRAM of every chip. */
  readonly capacityBytes: number;
  /**
   * Links work beside the compute units (`overlapped`: a stage's load is the largest of compute, collectives, receiving and
   * sending) or instead of them (`serial`: the sum).
   */
  readonly transfer: "overlapped" | "serial";
  /** Layers after which a new stage must start. */
  readonly cutAfter: readonly number[];
  /** Layers whose stage must include a given chip. Chips may then be left empty to reach it. */
  readonly pins: readonly ChainPin[];
  /** Where links differ: one entry for each pair of neighbouring chips. A stage pays at both of its borders. */
  readonly borders?: readonly ChainBorder[];
  /** Groups of several chips lie within one of the nodes of so many chips. */
  readonly chipsPerNode?: number;
};

/** Layers `[firstLayer, endLayer)` on chips `[firstChip, firstChip + degree)`. Bytes are for each of these chips. */
export type ChainStage = {
  readonly firstLayer: number;
  readonly endLayer: number;
  /** Index into the problem's degrees. */
  readonly variant: number;
  readonly degree: number;
  readonly firstChip: number;
  readonly computeCycles: number;
  readonly collectiveCycles: number;
  /** Compute together with the links of the stage, as `transfer` says: what this stage asks of the initiation interval. */
  readonly loadCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
};

export type ChainSolution = {
  readonly kind: "solution";
  readonly stages: readonly ChainStage[];
  /** The largest stage load: a new token can start this often. */
  readonly intervalCycles: number;
  /** One token through all the stages, with the waits at the cuts. */
  readonly latencyCycles: number;
  readonly chipsUsed: number;
  /** The interval is always the least; false where the latency is only that of the fewest chips (thousands of chips). */
  readonly isLatencyLeast: boolean;
  /** Inner steps taken by the search; the same on every machine. */
  readonly workUnits: number;
};

export type ChainContributor = { readonly layer: number; readonly name: string; readonly bytes: number };

export type ChainInfeasible = {
  readonly kind: "infeasible";
  /** `layer`: a layer fits no chip at any degree; `chips`: more chips are needed; `constraints`: pins and cuts contradict. */
  readonly reason: "layer" | "chips" | "constraints";
  /** For `layer`, bytes on one chip; else of the whole chain at the smallest degree. */
  readonly demandBytes: number;
  /** For `layer`, of one chip; else of all chips together. */
  readonly capacityBytes: number;
  /** The fewest chips that would do, where any number does. */
  readonly chipsNeeded: number | undefined;
  /** The five layers that hold most bytes, largest first. */
  readonly contributors: readonly ChainContributor[];
};

/** In the order in which the text form has them. */
export const COST_FIELDS = [
  "computeCycles",
  "collectiveCycles",
  "weightBytes",
  "stateBytes",
  "activationBytes",
  "receiveBusyCycles",
  "sendBusyCycles",
  "sendLatencyCycles",
] as const satisfies readonly (keyof LayerCost)[];

/** A chain without tensor parallelism, from plain lists; what is left out costs nothing. */
export function plainChain(fields: {
  readonly computeCycles: readonly number[];
  readonly weightBytes?: readonly number[];
  readonly sendBusyCycles?: readonly number[];
  readonly chips: number;
  readonly capacityBytes?: number;
  readonly transfer?: "overlapped" | "serial";
}): ChainProblem {
  const layers = fields.computeCycles.map((computeCycles, i) => ({
    name: `layer${i}`,
    boundaryBytes: 0,
    costs: [
      {
        computeCycles,
        collectiveCycles: 0,
        weightBytes: fields.weightBytes?.[i] ?? 0,
        stateBytes: 0,
        activationBytes: 0,
        receiveBusyCycles: i === 0 ? 0 : (fields.sendBusyCycles?.[i - 1] ?? 0),
        sendBusyCycles: fields.sendBusyCycles?.[i] ?? 0,
        sendLatencyCycles: fields.sendBusyCycles?.[i] ?? 0,
      },
    ],
  }));
  const capacityBytes = fields.capacityBytes ?? Number.MAX_SAFE_INTEGER;
  const transfer = fields.transfer ?? "overlapped";
  return { layers, degrees: [1], chips: fields.chips, capacityBytes, transfer, cutAfter: [], pins: [] };
}

/** States of a table over layers and chips that are not too many; each takes about 25 bytes. */
export const MOST_STATES = 20_000_000;

/** More chips than this are never of use. */
export function mostChips(problem: ChainProblem): number {
  // Idle chips may lead to better links.
  if (problem.borders !== undefined) return problem.borders.length + 1;
  const farthestPin = Math.max(0, ...problem.pins.map((pin) => pin.chip + 1));
  const group = problem.degrees.at(-1) ?? 1;
  // A group that would reach into the next node starts there instead.
  return farthestPin + problem.layers.length * (problem.chipsPerNode === undefined ? group : 2 * group);
}

/** Everything that is wrong with the problem itself; a solver may assume that this is empty. */
export function verifyChainProblem(problem: ChainProblem): readonly string[] {
  const faults: string[] = [];
  if (problem.layers.length === 0) faults.push("the chain has no layers");
  if (!Number.isInteger(problem.chips) || problem.chips < 1) faults.push(`${problem.chips} is not a number of chips`);
  if (!(problem.capacityBytes >= 0)) faults.push(`${problem.capacityBytes} is not a capacity in bytes`);
  if (problem.degrees.length === 0) faults.push("there is no tensor-parallel degree, not even 1");
  problem.degrees.forEach((degree, i) => {
    const previous = problem.degrees[i - 1] ?? 0;
    if (!Number.isInteger(degree) || degree < 1 || degree < previous)
      faults.push("degrees must be whole numbers in ascending order");
  });
  problem.layers.forEach((layer, i) => {
    const where = `layer ${i} (${layer.name})`;
    if (layer.costs.length !== problem.degrees.length) faults.push(`${where} has not one cost for each degree`);
    if (!(layer.boundaryBytes >= 0)) faults.push(`${where}: boundaryBytes is ${layer.boundaryBytes}`);
    for (const cost of layer.costs) {
      if (cost === undefined) continue;
      for (const field of COST_FIELDS) {
        if (!(Number.isFinite(cost[field]) && cost[field] >= 0)) faults.push(`${where}: ${field} is ${cost[field]}`);
      }
    }
  });
  const isLayer = (i: number) => Number.isInteger(i) && i >= 0 && i < problem.layers.length;
  for (const layer of problem.cutAfter) if (!isLayer(layer)) faults.push(`cut after ${layer}: there is no such layer`);
  for (const pin of problem.pins) {
    if (!isLayer(pin.layer)) faults.push(`pin of layer ${pin.layer}: there is no such layer`);
    if (!Number.isInteger(pin.chip) || pin.chip < 0 || pin.chip >= problem.chips)
      faults.push(`pin of layer ${pin.layer} to chip ${pin.chip}: there is no such chip`);
  }
  const { borders, chipsPerNode } = problem;
  const isByChip = borders !== undefined || chipsPerNode !== undefined || problem.pins.length > 0;
  const chips = Math.min(problem.chips, mostChips(problem));
  if (isByChip && (problem.layers.length + 1) * (chips + 1) > MOST_STATES)
    faults.push(`${problem.layers.length} layers on ${chips} chips are too many to tell the chips apart`);
  if (borders !== undefined && borders.length !== problem.chips - 1)
    faults.push(`${borders.length} borders between ${problem.chips} chips`);
  for (const { busyFactor, extraLatencyCycles } of borders ?? [])
    if (
      !(
        Number.isFinite(busyFactor) &&
        busyFactor >= 1 &&
        extraLatencyCycles >= 0 &&
        Number.isFinite(extraLatencyCycles)
      )
    )
      faults.push(`a border is ${busyFactor} times as slow and ${extraLatencyCycles} cycles longer`);
  if (chipsPerNode !== undefined && !(Number.isInteger(chipsPerNode) && chipsPerNode >= 1))
    faults.push(`${chipsPerNode} is not a number of chips in a node`);
  return faults;
}
