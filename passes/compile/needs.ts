// What this compiler asks of a target beyond its being consistent. A target that lacks something is refused with all that it lacks; nothing is
// scheduled for it. Knows targets, not schedules.
import { diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { memColumnsPerHemisphere } from "../../ir/target/geometry.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";

interface Need {
  readonly holds: (target: Target) => boolean;
  readonly text: (target: Target) => string;
}

const slowest = ({ vxm }: Target): number => Math.max(vxm.latency.simple, vxm.latency.multiply, vxm.latency.large);
const loadColumns = ({ mxm, mem }: Target): number => Math.ceil(mxm.loadStreamsPerPlane / mem.slicesPerColumn);

const needs: readonly Need[] = [
  {
    holds: ({ mem }) => mem.slicesPerColumn >= 4,
    text: ({ mem }) =>
      `mem.slicesPerColumn is ${mem.slicesPerColumn}: 4-byte data stand in one column, so 4 are needed`,
  },
  {
    holds: (target) => memColumnsPerHemisphere(target) >= loadColumns(target) + 3,
    text: (target) =>
      `a hemisphere has ${memColumnsPerHemisphere(target)} columns of memory: ${loadColumns(target)} feed a plane (mxm.loadStreamsPerPlane), and 3 more are needed`,
  },
  {
    holds: ({ streamsPerDirection }) => streamsPerDirection >= 12,
    text: ({ streamsPerDirection }) => `streamsPerDirection is ${streamsPerDirection}: 12 are needed`,
  },
  {
    holds: ({ mxm }) => mxm.loadStreamsPerPlane >= 4,
    text: ({ mxm }) =>
      `mxm.loadStreamsPerPlane is ${mxm.loadStreamsPerPlane}: a row of 4-byte weights comes on 4 streams`,
  },
  {
    holds: ({ vxm }) => vxm.chainDepth >= 3,
    text: ({ vxm }) => `vxm.chainDepth is ${vxm.chainDepth}: chains of 3 are needed`,
  },
  {
    holds: (target) => target.vxm.operandHistory >= slowest(target),
    text: (target) =>
      `vxm.operandHistory is ${target.vxm.operandHistory}: an operand waits for a result of up to ${slowest(target)} cycles`,
  },
  {
    holds: ({ vxm }) => vxm.operandHistory >= 2 * vxm.latency.simple,
    text: ({ vxm }) =>
      `vxm.operandHistory is ${vxm.operandHistory}: the last of four pieces of a vector waits for two operations of ${vxm.latency.simple} cycles`,
  },
  {
    holds: ({ mxm }) => mxm.latency.iw >= 1 && mxm.latency.abc >= 1,
    text: () => "mxm.latency.iw and .abc are at least 1",
  },
  {
    holds: ({ mxm, lanes }) => Object.values(mxm.modes).every(({ tileN }) => tileN === lanes),
    text: ({ lanes }) => `tiles of every mode give sums in all ${lanes} lanes (tileN)`,
  },
  {
    holds: ({ sxm }) => sxm.unitsPerHemisphere >= 2,
    text: ({ sxm }) => `sxm.unitsPerHemisphere is ${sxm.unitsPerHemisphere}: two are needed`,
  },
  {
    holds: ({ mxm }) => {
      const spec = mxm.modes.int8;
      return spec === undefined || (spec.planesPerTile === 1 && spec.vectorPeriod === 1);
    },
    text: () => "mxm.modes.int8 transposes: it takes one plane a tile and a vector a cycle",
  },
];

/** Modes a graph needs: int8 products transpose, fp32 ones add over lanes, the others are for what the graph multiplies. */
function modesOf(graph: Graph): readonly MxmMode[] {
  const modes: readonly MxmMode[] = ["int8", "fp16", "fp32"];
  const products = graph.nodes.filter(({ op }) => op === "matmul").map(({ attrs }) => attrs.precision);
  return modes.filter((mode) => mode !== "fp16" || products.includes(mode));
}

export function unmetNeeds(graph: Graph, target: Target): readonly Diagnostic[] {
  const lacking = modesOf(graph).filter((mode) => target.mxm.modes[mode] === undefined);
  return [
    ...needs.filter(({ holds }) => !holds(target)).map(({ text }) => text(target)),
    ...lacking.map((mode) => `mxm.modes has no ${mode}`),
  ].map((message) => diagnostic("LPU3007", message));
}
