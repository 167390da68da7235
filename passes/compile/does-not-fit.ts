// What to say when a model does not fit: demand against capacity, the largest contributors, and what would help, by how much it would.
import { diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import type { ChainProblem } from "../partition/problem.ts";
import { fewestChips } from "../partition/solve.ts";
import type { GraphDemand } from "./demand.ts";
import { totalBytes } from "./demand.ts";

/** The demand of the same model with something about it changed, such as a shorter context. */
export type OtherDemand = { readonly change: string; readonly demand: GraphDemand };

/** What a chip of a group would hold if groups shared every layer. */
export type SharedDemand = {
  readonly ways: number;
  readonly largestPartBytes: number;
  /** Undefined where no number of such groups would do. */
  readonly chipsNeeded: number | undefined;
};

type Shortage = {
  /** What was found first, if that is more than the sums say. */
  readonly finding: string | undefined;
  readonly demand: GraphDemand;
  /** Bytes needed in all, and by the part that must share one chip. */
  readonly demandBytes: number;
  readonly largestPartBytes: number;
  readonly chipBytes: number;
  readonly chips: number;
  /** Parts that can be on different chips. */
  readonly parts: number;
  readonly chipsNeeded: number | undefined;
  /** Whether so many chips were tried and do, or only the sums of bytes allow it. */
  readonly isTried: boolean;
  readonly others: readonly OtherDemand[];
  /** Undefined where chips share every part already, or cannot. */
  readonly shared: SharedDemand | undefined;
};

/** `problem` has no solution, or its solution did not fit; its capacity may be less than a chip's. */
export function shortageOf(
  problem: ChainProblem,
  chipBytes: number,
  finding: string | undefined,
  demand: GraphDemand,
  others: readonly OtherDemand[],
  stagesTried: number | undefined,
  ways: number,
  sharedDemand: (countsResults: boolean) => SharedDemand | undefined,
): Shortage {
  const { layers } = problem;
  const chips = problem.chips * ways;
  let [held, working, largestPartBytes] = [0, 0, 0];
  for (const { costs } of layers) {
    const { weightBytes = 0, stateBytes = 0, activationBytes = 0 } = costs[0] ?? {};
    held += weightBytes + stateBytes;
    working = Math.max(working, activationBytes);
    largestPartBytes = Math.max(largestPartBytes, weightBytes + stateBytes + activationBytes);
  }
  const needed = fewestChips(problem);
  const stages = stagesTried ?? (typeof needed === "number" ? needed : undefined);
  return {
    finding,
    demand,
    demandBytes: (held + working) * ways,
    largestPartBytes,
    chipBytes,
    chips,
    parts: layers.length * ways,
    chipsNeeded: stages === undefined ? undefined : stages * ways,
    isTried: stagesTried !== undefined,
    others,
    shared: ways > 1 ? undefined : sharedDemand(working > 0),
  };
}

type Lever = { readonly text: string; readonly effectBytes: number; readonly suffices: boolean };

const MOST_CONTRIBUTORS = 5;

export function doesNotFit(shortage: Shortage): Diagnostic {
  const { finding, demand, demandBytes, chipBytes, chips } = shortage;
  const capacity = chipBytes * chips;
  const named = demand.parts.slice(0, MOST_CONTRIBUTORS).map(({ tensor, bytes, kind, node }) => {
    return `${bytes} bytes: ${kind} '${tensor}'${node === "" ? "" : `, node '${node}'`}`;
  });
  const levers = leversOf(shortage);
  const [best] = levers;
  const sums = `the model needs ${demandBytes} bytes, ${chips === 1 ? "1 chip has" : `${chips} chips have`} ${capacity}`;
  const unproved = finding === undefined ? "; not enough alone" : "";
  const [message, ...rest] = finding === undefined ? [sums] : [finding, sums];
  return diagnostic(shortage.isTried ? "LPU4002" : "LPU4001", message, {
    notes: [
      ...rest,
      ...named,
      ...levers.map(({ text, suffices }, i) => `lever ${i + 1}: ${text}${suffices ? "" : unproved}`),
      ...(finding === undefined ? [] : ["levers count bytes; some slices of a chip can be full before it is"]),
    ],
    help: best?.suffices === true ? best.text : undefined,
  });
}

/** What suffices first, then by the bytes that it wins. */
function leversOf(shortage: Shortage): readonly Lever[] {
  const { demand, demandBytes, largestPartBytes, chipBytes, chips, others } = shortage;
  const levers: Lever[] = [];
  // Where a slice was full before its chip, sums of bytes prove nothing.
  const isBySums = shortage.finding === undefined;
  const fitsIn = (bytes: number, part: number): boolean => isBySums && bytes <= chipBytes * chips && part <= chipBytes;
  const share = demandBytes === 0 ? 1 : largestPartBytes / demandBytes;
  const saving = (text: string, savedBytes: number): void => {
    if (savedBytes <= 0) return;
    const left = demandBytes - savedBytes;
    const suffices = fitsIn(left, left * share);
    levers.push({ text: `${text} saves ${savedBytes} bytes`, effectBytes: savedBytes, suffices });
  };
  levers.push(...moreChips(shortage));
  const matrices = demand.parts.filter(({ matrixElementBytes = 1 }) => matrixElementBytes > 1);
  const saved = matrices.reduce(
    (sum, { bytes, matrixElementBytes = 1 }) => sum + bytes - bytes / matrixElementBytes,
    0,
  );
  saving("quantising the matrix weights to int8 (--precision w8a16, or int8)", saved);
  for (const { change, demand: other } of others) saving(change, totalBytes(demand) - totalBytes(other));
  levers.push(...tensorParallel(shortage));
  const ranked = levers.map((lever, i) => ({ lever, i }));
  ranked.sort(
    (a, b) =>
      Number(b.lever.suffices) - Number(a.lever.suffices) || b.lever.effectBytes - a.lever.effectBytes || a.i - b.i,
  );
  return ranked.map(({ lever }) => lever);
}

function moreChips({
  chips,
  parts,
  chipBytes,
  chipsNeeded,
  isTried,
  finding,
  largestPartBytes,
}: Shortage): readonly Lever[] {
  const needed = chipsNeeded;
  if (needed !== undefined && needed > chips) {
    const text = `${isTried ? "" : "at least "}${needed} chips instead of ${chips} (--chips ${needed}) add ${(needed - chips) * chipBytes} bytes`;
    return [{ text, effectBytes: (needed - chips) * chipBytes, suffices: isTried || finding === undefined }];
  }
  if (parts <= chips) return [];
  const text = `${parts} chips (--chips ${parts}), one for each part the model is cut into, add ${(parts - chips) * chipBytes} bytes; the largest part alone needs ${largestPartBytes}, a chip has ${chipBytes}`;
  return [{ text, effectBytes: (parts - chips) * chipBytes, suffices: false }];
}

/** Groups of chips that share every layer, as far as its weights can be cut. */
function tensorParallel({ finding, largestPartBytes, chipBytes, chips, shared }: Shortage): readonly Lever[] {
  const saved = largestPartBytes - (shared?.largestPartBytes ?? largestPartBytes);
  if (shared === undefined || saved <= 0) return [];
  const { ways, largestPartBytes: each, chipsNeeded } = shared;
  const needed = Math.max(ways * Math.ceil(chips / ways), chipsNeeded ?? ways);
  const options = `--tensor-parallel ${ways} --chips ${needed}`;
  const text = `tensor parallelism over ${ways} chips (${options}) leaves ${each} of the ${largestPartBytes} bytes of the largest part on each`;
  const suffices = finding === undefined && chipsNeeded !== undefined && each <= chipBytes;
  return [{ text, effectBytes: saved, suffices }];
}
