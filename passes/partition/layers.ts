// From layers of operators to a chain problem: each layer is split over each size of group in the fastest and in the leanest way, and the
// chain solver chooses stages and groups among these. Must not know how chains or splits are solved, or what files look like.
import { type Expert, spreadExperts } from "./experts.ts";
import type { ChainLayer, ChainProblem, LayerCost } from "./problem.ts";
import type { ConversionCycles, SplitOp, SplitProblem, SplitSolution, SplitWay } from "./split-problem.ts";
import { solveSplit } from "./split-solve.ts";

export const opKinds = {
  matmul: "by columns (whole input, share of the output), by rows (share of the input, partial sums) or on every chip",
  elementwise: "on shares, or on every chip",
  heads: "attention and the like: whole heads on each chip, with their state, or all on every chip",
  whole: "needs whole rows, such as a norm: on every chip",
  experts:
    "experts of a mixture, each on one chip or each split by columns and rows, partial sums; or all on every chip",
} as const satisfies Record<string, string>;

export type OpKind = keyof typeof opKinds;

export type LayerOp = {
  readonly name: string;
  readonly kind: OpKind;
  /** Operators before it in the layer; `LAYER_INPUT` is what the layer reads. */
  readonly inputs: readonly number[];
  readonly outputBytes: number;
  /** On one chip: a group divides the first, not the second. Of experts, these are all of them one after another. */
  readonly computeCycles: number;
  readonly fixedCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly experts: readonly Expert[];
};

export type OperatorLayer = {
  readonly name: string;
  readonly inputBytes: number;
  readonly activationBytes: number;
  readonly ops: readonly LayerOp[];
};

/** The links between chips; inside a group each chip has such links to every other (`all-to-all`) or to two (`ring`). */
export type LinkModel = {
  readonly latencyCycles: number;
  readonly cyclesPerVector: number;
  readonly vectorBytes: number;
  readonly linksPerPair: number;
  readonly group: "all-to-all" | "ring";
};

export type LayerSystem = {
  readonly chips: number;
  readonly capacityBytes: number;
  readonly degrees: readonly number[];
  readonly transfer: ChainProblem["transfer"];
  readonly links: LinkModel;
  readonly chipsPerNode: number | undefined;
  /** Between nodes; as between chips where undefined. */
  readonly nodeBorder: { readonly busyFactor: number; readonly extraLatencyCycles: number } | undefined;
};

export type SplitVariant = {
  readonly degree: number;
  readonly objective: SplitProblem["objective"];
  /** Of each layer, undefined where it cannot be split so. */
  readonly splits: readonly ({ readonly problem: SplitProblem; readonly solution: SplitSolution } | undefined)[];
};

export function layersProblem(
  layers: readonly OperatorLayer[],
  system: LayerSystem,
): { readonly problem: ChainProblem; readonly variants: readonly SplitVariant[] } {
  const known = new Map<string, SplitVariant["splits"][number]>();
  const splitOf = (layer: OperatorLayer, degree: number, objective: SplitProblem["objective"]) => {
    const key = `${degree} ${objective} ${JSON.stringify([layer.inputBytes, layer.ops])}`;
    if (!known.has(key)) {
      const problem = splitProblem(layer, degree, system, objective);
      const solution = solveSplit(problem);
      known.set(key, solution === undefined ? undefined : { problem, solution });
    }
    return known.get(key);
  };
  const variants: SplitVariant[] = [];
  for (const degree of system.degrees) {
    const fast = layers.map((layer) => splitOf(layer, degree, "cycles"));
    variants.push({ degree, objective: "cycles", splits: fast });
    if (degree === 1) continue;
    const lean = layers.map((layer) => splitOf(layer, degree, "bytes"));
    const bytes = (splits: SplitVariant["splits"]) => splits.map((split) => split?.solution.weightBytes);
    if (bytes(lean).join() !== bytes(fast).join()) variants.push({ degree, objective: "bytes", splits: lean });
  }
  const chain = layers.map((layer, i): ChainLayer => {
    const last = layer.ops.at(-1)?.outputBytes ?? 0;
    const busy = [layer.inputBytes, last].map((bytes) => linkCycles(system.links, bytes));
    const costs = variants.map(({ splits }) => {
      const solution = splits[i]?.solution;
      return solution === undefined ? undefined : layerCost(layer, solution, system.links, busy);
    });
    return { name: layer.name, boundaryBytes: last, costs };
  });
  const { chips, capacityBytes, transfer, chipsPerNode, nodeBorder } = system;
  const usual = { busyFactor: 1, extraLatencyCycles: 0 };
  const borders =
    chipsPerNode === undefined || nodeBorder === undefined
      ? undefined
      : Array.from({ length: chips - 1 }, (_, c) => ((c + 1) % chipsPerNode === 0 ? nodeBorder : usual));
  const problem: ChainProblem = {
    layers: chain,
    degrees: variants.map(({ degree }) => degree),
    chips,
    capacityBytes,
    transfer,
    cutAfter: [],
    pins: [],
    ...(borders === undefined ? {} : { borders }),
    ...(chipsPerNode === undefined ? {} : { chipsPerNode }),
  };
  return { problem, variants };
}

function layerCost(
  layer: OperatorLayer,
  solution: SplitSolution,
  links: LinkModel,
  [receive = 0, send = 0]: readonly number[],
): LayerCost {
  return {
    computeCycles: solution.computeCycles,
    collectiveCycles: solution.collectiveCycles,
    weightBytes: solution.weightBytes,
    stateBytes: solution.stateBytes,
    activationBytes: layer.activationBytes,
    receiveBusyCycles: receive,
    sendBusyCycles: send,
    sendLatencyCycles: links.latencyCycles + send,
  };
}

/** How long the links between two chips are busy with so many bytes. */
function linkCycles({ cyclesPerVector, vectorBytes, linksPerPair }: LinkModel, bytes: number): number {
  return Math.ceil((Math.ceil(bytes / vectorBytes) * cyclesPerVector) / linksPerPair);
}

/** Sums are formed as the summands arrive, so they take no time of their own here. */
function conversionCycles(links: LinkModel, degree: number, bytes: number): ConversionCycles {
  if (degree === 1) return { slice: 0, allGather: 0, allReduce: 0, reduceScatter: 0 };
  const share = links.latencyCycles + linkCycles(links, bytes / degree);
  const step = links.group === "ring" ? (degree - 1) * share : share;
  // Either everyone sends everything to everyone at once, or shares are summed first and then gathered.
  const atOnce = links.latencyCycles + linkCycles(links, bytes);
  const allReduce = links.group === "ring" ? 2 * step : Math.min(atOnce, 2 * step);
  return { slice: 0, allGather: step, reduceScatter: step, allReduce };
}

function splitProblem(
  layer: OperatorLayer,
  degree: number,
  system: LayerSystem,
  objective: SplitProblem["objective"],
): SplitProblem {
  const ops = layer.ops.map((op): SplitOp => {
    const cycles = conversionCycles(system.links, degree, op.outputBytes);
    return { name: op.name, inputs: op.inputs, ways: waysOf(op, degree, system.capacityBytes), cycles };
  });
  return { ops, inputCycles: conversionCycles(system.links, degree, layer.inputBytes), objective };
}

function waysOf(op: LayerOp, degree: number, capacityBytes: number): readonly SplitWay[] {
  const part = (count: number) => ({
    computeCycles: op.fixedCycles + Math.ceil(op.computeCycles / count),
    weightBytes: Math.ceil(op.weightBytes / count),
    stateBytes: Math.ceil(op.stateBytes / count),
  });
  const whole: SplitWay = { name: "whole", reads: "whole", writes: "whole", ...part(1) };
  if (degree === 1) return [whole];
  switch (op.kind) {
    case "whole":
      return [whole];
    case "elementwise":
      return [whole, { name: "shares", reads: "split", writes: "split", ...part(degree) }];
    case "heads":
      return [whole, { name: "heads", reads: "split", writes: "split", ...part(degree) }];
    case "matmul":
      return [
        whole,
        { name: "columns", reads: "whole", writes: "split", ...part(degree) },
        { name: "rows", reads: "split", writes: "partial", ...part(degree) },
      ];
    case "experts": {
      const split: SplitWay = { name: "split experts", reads: "whole", writes: "partial", ...part(degree) };
      const spread = spreadExperts(op.experts, degree, capacityBytes);
      if (spread === undefined) return [whole, split];
      const { computeCycles, weightBytes } = spread;
      const { stateBytes } = part(degree);
      const figures = { computeCycles: op.fixedCycles + computeCycles, weightBytes, stateBytes };
      return [whole, split, { name: "experts apart", reads: "whole", writes: "partial", ...figures }];
    }
  }
}
