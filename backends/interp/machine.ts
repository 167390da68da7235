// The machine as it stands before anything was loaded.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { columnCount } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { makeMemory } from "./memory.ts";
import { makePlane } from "./mxm.ts";
import { makeSimdTiles, type SimdTiles } from "./simd-products.ts";
import type { Chip, LinkState, Machine } from "./state.ts";
import { makeStreams } from "./streams.ts";
import { makeAlu, makeOperandBuffers } from "./vxm.ts";

/** The most two live diagonals of one stream can lie apart. */
function diagonalSpan(target: Target): number {
  const { mem, mxm, vxm, sxm } = target;
  const latency = Math.max(
    ...Object.values(mem.latency),
    mxm.latency.acc,
    ...Object.values(vxm.latency),
    sxm.latency.permute,
  );
  return 2 * columnCount(target) + latency + vxm.operandHistory + 2;
}

/** Bytes that a chip and a system may take: a hostile target asks for more than any computer has. */
const mostBytes = { chip: 2 ** 30, system: 2 ** 33 } as const;

/** Bytes of the registers of one chip, and what of it are the stream registers. */
function registerBytes(target: Target): { readonly streams: number; readonly all: number } {
  const { lanes, streamsPerDirection, mxm, vxm } = target;
  const streams = 2 * streamsPerDirection * 2 * diagonalSpan(target) * lanes;
  const tiles = Object.values(mxm.modes).map(({ tileK, tileN }) => 9 * tileK * tileN);
  const sums = 4 * lanes * (mxm.accumulators + mxm.latency.abc + 2);
  const slowest = Math.max(vxm.latency.simple, vxm.latency.multiply, vxm.latency.large);
  const results = 8 * lanes * vxm.alus * (vxm.operandHistory + slowest + 1);
  return { streams, all: streams + mxm.planes * (Math.max(0, ...tiles) + sums) + results };
}

/** Why the machine cannot be made, undefined if it can. */
function sizeProblem({ target, chips }: Program): string | undefined {
  const { streams, all } = registerBytes(target);
  if (streams <= mostBytes.chip && all * chips.length <= mostBytes.system) return undefined;
  return `the registers of ${chips.length} chips of target ${target.name} are ${all} bytes each: more than the interpreter makes`;
}

function simdTilesOf({ mxm }: Target, chips: number): SimdTiles | undefined {
  const specs = Object.values(mxm.modes);
  const most = (read: (spec: (typeof specs)[number]) => number): number => Math.max(1, ...specs.map(read));
  const elements = { k: most((spec) => spec.tileK), n: most((spec) => spec.tileN) };
  return makeSimdTiles(elements.k, elements.n, chips * mxm.planes);
}

/** With a fault from the start where the machine is too large to be made; then it has no chips. */
export function makeMachine(program: Program, isFast = false): Machine {
  const { target } = program;
  invariant(target.lanes % 4 === 0, "the interpreter moves four lanes at a time");
  const span = diagonalSpan(target);
  const problem = sizeProblem(program);
  const made = problem === undefined ? program.chips : [];
  const chips = made.map((chip, index): Chip => {
    return {
      index,
      streams: makeStreams(target.streamsPerDirection, target.lanes, span),
      memory: makeMemory(target),
      planes: Array.from({ length: target.mxm.planes }, (_, plane) => makePlane(target, plane)),
      alus: Array.from({ length: target.vxm.alus }, () => makeAlu(target)),
      laneMaps: chip.laneMaps,
      checkedMaps: new Uint8Array(chip.laneMaps.length),
    };
  });
  const ports = target.link.portsPerChip;
  const linkFrom = new Int32Array(chips.length * ports).fill(-1);
  const linkTo = new Int32Array(chips.length * ports).fill(-1);
  const links = program.links.map((connection, index): LinkState => {
    linkFrom[connection.from * ports + connection.fromPort] = index;
    linkTo[connection.to * ports + connection.toPort] = index;
    return { connection, sentAt: [], vectors: [], lastSend: -1 };
  });
  return {
    program,
    target,
    lanes: target.lanes,
    chips,
    links,
    linkFrom,
    linkTo,
    operands: makeOperandBuffers(target.lanes),
    simdTiles: isFast && problem === undefined ? simdTilesOf(target, chips.length) : undefined,
    cycle: 0,
    queue: undefined,
    fault:
      problem === undefined
        ? undefined
        : {
            kind: "form",
            chip: 0,
            unit: "host",
            cycle: 0,
            instruction: undefined,
            symbol: undefined,
            message: problem,
          },
    lastWritten: -1,
    macs: 0,
  };
}
