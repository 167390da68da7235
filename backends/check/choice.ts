// Choosing by a run-time index in the data-flow proof. One run looks at the rows its indices happen to choose; so that a wrong value in any other
// row of a computed table is seen too, the choice is a combination of all rows whose weights follow from the index. Constants are chosen from
// as they are: their words are right by definition.
import type { Program } from "../../ir/machine/program.ts";
import { addField, hash, isSpecial, multiplyField, reduce } from "./field.ts";
import { type ByteVector, byteTags, kindAt, type Lanes, laneKinds, mixedBytes, tagAt } from "./lanes.ts";
import { newBytes, newInts } from "./vectors.ts";

/** Larger tables are chosen from plainly. */
export const maxRows = 4096;

/** Does every gather instruction choose among the rows of some gather of the graph? Else rows and words do not correspond. */
export function combinesRows(program: Program): boolean {
  const sizes = new Set<number>();
  for (const node of program.graph.nodes) {
    const [data] = node.inputs;
    if (node.op === "gather" && data !== undefined) {
      sizes.add(program.graph.tensors[data]?.shape[Number(node.attrs.axis)] ?? -1);
    }
  }
  return program.chips.every(({ queues }) =>
    queues.every(({ instructions }) => instructions.every((ins) => ins.op !== "gather" || sizes.has(ins.limit))),
  );
}

const weightOf = (index: number, row: number): number => hash(4000 + index, row);

function addProduct(sum: number, weight: number, x: number): number {
  if (isSpecial(x) || isSpecial(sum)) return addField(sum, multiplyField(weight, x));
  return reduce(sum + weight * x);
}

/** The word that `index` chooses among the words of a table: lane by lane where all rows hold the same byte of a computed value, or 0. */
export function chooseBytes(rows: readonly ByteVector[], index: number): ByteVector {
  const chosen = rows[index] as ByteVector;
  const count = chosen.x.length;
  const x = newInts(count);
  const tags = newBytes(count);
  for (let lane = 0; lane < count; lane++) {
    x[lane] = chosen.x[lane] as number;
    tags[lane] = tagAt(chosen, lane);
    let common: number = byteTags.concrete;
    let sum = 0;
    for (let row = 0; row < rows.length; row++) {
      const one = rows[row] as ByteVector;
      const tag = tagAt(one, lane);
      const value = one.x[lane] as number;
      if (tag === byteTags.concrete && value === 0) continue;
      if (common === byteTags.concrete) common = tag;
      if (tag !== common || tag === byteTags.concrete || tag >= byteTags.junk) {
        common = byteTags.junk;
        break;
      }
      sum = addProduct(sum, weightOf(index, row), value);
    }
    if (common === byteTags.concrete || common === byteTags.junk) continue;
    x[lane] = sum;
    tags[lane] = common;
  }
  return mixedBytes(x, tags);
}

/** chooseBytes for one element of a tensor: rows are `step` elements apart from `from` on. */
export function chooseElement(
  data: Lanes,
  from: number,
  step: number,
  rows: number,
  index: number,
  into: { kind: number; x: number },
): void {
  into.kind = kindAt(data, from + index * step);
  into.x = data.x[from + index * step] as number;
  let common: number = laneKinds.bits;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const kind = kindAt(data, from + row * step);
    const value = data.x[from + row * step] as number;
    if (kind === laneKinds.bits && value === 0) continue;
    if (common === laneKinds.bits) common = kind;
    const usable = kind === laneKinds.float || kind === laneKinds.int || kind >= laneKinds.signedByte;
    if (kind !== common || !usable) return;
    sum = addProduct(sum, weightOf(index, row), value);
  }
  if (common === laneKinds.bits) return;
  into.kind = common;
  into.x = sum;
}
