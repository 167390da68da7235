// The machine as it stands before anything was loaded.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { columnCount } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { makeMemory } from "./memory.ts";
import { makePlane } from "./mxm.ts";
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

export function makeMachine(program: Program): Machine {
  const { target } = program;
  invariant(target.lanes % 4 === 0, "the interpreter moves four lanes at a time");
  const span = diagonalSpan(target);
  const chips = program.chips.map((chip, index): Chip => {
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
    cycle: 0,
    queue: undefined,
    fault: undefined,
    lastWritten: -1,
    macs: 0,
  };
}
