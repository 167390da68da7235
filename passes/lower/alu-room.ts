// Whether a VXM has the ALUs that a pass asks for: one for each operation, and one more for each further place of a result, as an ALU has one
// output. What is narrowed as it is written takes one of the large ones.
import { type AluOp, aluOps } from "../../ir/machine/isa.ts";
import type { Target } from "../../ir/target/target.ts";
import type { Storage } from "./kernel.ts";

/** A place of result `op`. */
export interface ResultPlace {
  readonly op: number;
  readonly type: Storage["type"];
  readonly replicated: boolean;
}

const isNarrow = (type: Storage["type"]): boolean => type !== "f32" && type !== "i32";

export function hasAlus(target: Target, ops: readonly AluOp[], places: readonly ResultPlace[]): boolean {
  const large = ops.map((op) => aluOps[op].large);
  const placed = new Set<number>();
  for (const { op, type, replicated } of places) {
    const narrow = isNarrow(type);
    let writes = replicated ? 2 : 1;
    if (!placed.has(op)) {
      placed.add(op);
      large[op] ||= narrow;
      writes -= 1;
    }
    for (let i = 0; i < writes; i++) large.push(narrow);
  }
  return large.length <= target.vxm.alus && large.filter((one) => one).length <= target.vxm.largeAlus.length;
}
