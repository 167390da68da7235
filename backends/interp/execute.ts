// One instruction, one issue: read beside docs/isa.md. Each case hands over to its unit.
import { assertNever } from "../../ir/diag/diagnostic.ts";
import { type Instruction, isa } from "../../ir/machine/isa.ts";
import { unitName } from "../../ir/machine/program.ts";
import {
  gatherMemory,
  permuteLanes,
  readMemory,
  receiveVector,
  scatterMemory,
  sendVector,
  writeMemory,
} from "./movement.ts";
import { installTile, loadRows } from "./mxm-load.ts";
import { accumulateProduct, startActivation } from "./mxm-product.ts";
import { raise } from "./raise.ts";
import type { Machine, QueueState } from "./state.ts";
import { issueAlu } from "./vxm.ts";

/** Executes one issue of the instruction at the head of the machine's current queue. */
export function execute(machine: Machine, queue: QueueState, ins: Instruction): void {
  const { chip, unit, repetition } = queue;
  if (unit.kind !== isa[ins.op].unit) {
    raise(machine, "form", `${ins.op} is an instruction of ${isa[ins.op].unit}, not of ${unitName(unit)}`);
    return;
  }
  switch (ins.op) {
    case "read":
      if (unit.kind === "memRead") readMemory(machine, chip, unit, ins, repetition);
      return;
    case "write":
      if (unit.kind === "memWrite") writeMemory(machine, chip, unit, ins, repetition);
      return;
    case "gather":
      if (unit.kind === "memRead") gatherMemory(machine, chip, unit, ins);
      return;
    case "scatter":
      if (unit.kind === "memWrite") scatterMemory(machine, chip, unit, ins);
      return;
    case "lw":
      if (unit.kind === "mxmLoad") loadRows(machine, chip, unit.plane, ins, repetition);
      return;
    case "iw":
      if (unit.kind === "mxmLoad") installTile(machine, chip, unit.plane, ins);
      return;
    case "abc":
      if (unit.kind === "mxmActivate") startActivation(machine, chip, unit.plane, ins);
      return;
    case "acc":
      if (unit.kind === "mxmAccumulate") accumulateProduct(machine, chip, unit.plane, ins, repetition);
      return;
    case "alu":
      if (unit.kind === "vxmAlu") issueAlu(machine, chip, unit.alu, ins, repetition);
      return;
    case "permute":
      if (unit.kind === "sxm") permuteLanes(machine, chip, unit, ins, repetition);
      return;
    case "send":
      if (unit.kind === "linkSend") sendVector(machine, chip, unit.port, ins);
      return;
    case "receive":
      if (unit.kind === "linkReceive") receiveVector(machine, chip, unit.port, ins);
      return;
    case "deskew":
      // All chips of the interpreter share one counter.
      return;
    default:
      assertNever(ins);
  }
}
