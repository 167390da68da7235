// Choosing by a run-time index in the data-flow proof. One run looks at the rows its indices happen to choose; so that a wrong value in any other
// row of a computed table is seen too, the choice is a combination of all rows whose weights follow from the index. Constants are chosen from
// as they are: their words are right by definition.
import type { Program } from "../../ir/machine/program.ts";
import { addField, hash, isSpecial, multiplyField, reduce } from "./field.ts";
import { type ByteVector, byteTags, kindAt, type Lanes, laneKinds, mixedBytes, tagAt } from "./lanes.ts";
import { newBytes, newInts } from "./vectors.ts";

/** Larger tables are chosen from plainly. */
export const maxRows = 4096;

/** Which choices combine: nodes of the graph by position, instructions by their note. */
export interface Combined {
  readonly nodes: ReadonlySet<number>;
  readonly notes: ReadonlySet<number>;
}

/** Origins that nodes or instructions have together, by a representative; those without any are one group. */
function newGroups(): { readonly of: (origins: readonly number[]) => number } {
  const parents = new Map<number, number>();
  const rootOf = (origin: number): number => {
    let at = origin;
    for (let up = parents.get(at); up !== undefined; up = parents.get(at)) at = up;
    return at;
  };
  return {
    of: (origins) => {
      const root = rootOf(origins[0] ?? -1);
      for (const origin of origins) {
        const other = rootOf(origin);
        if (other !== root) parents.set(other, root);
      }
      return root;
    },
  };
}

/**
 * Rows and words correspond where the instructions of a gather, told by their origins, choose among as many words as the table has rows. Not so
 * where a program asks a table part by part.
 */
export function combinedChoices(program: Program): Combined {
  const groups = newGroups();
  const tables = program.graph.nodes.flatMap((node, index) => {
    const rows = program.graph.tensors[node.inputs[0] ?? -1]?.shape[Number(node.attrs.axis)] ?? -1;
    return node.op === "gather" ? [{ index, origins: node.origins, rows }] : [];
  });
  const asked = program.chips.flatMap(({ queues }) =>
    queues.flatMap(({ instructions }) =>
      instructions.flatMap((ins) => {
        const origins = program.debug.notes[ins.note]?.origins ?? [];
        return ins.op === "gather" ? [{ index: ins.note, origins, rows: ins.limit }] : [];
      }),
    ),
  );
  // Whatever belongs together is one group only when all have been seen.
  for (const { origins } of [...tables, ...asked]) groups.of(origins);
  const sizesOf = (list: readonly { origins: readonly number[]; rows: number }[]): Map<number, Set<number>> => {
    const sizes = new Map<number, Set<number>>();
    for (const { origins, rows } of list) {
      const group = groups.of(origins);
      sizes.set(group, (sizes.get(group) ?? new Set()).add(rows));
    }
    return sizes;
  };
  const [rows, limits] = [sizesOf(tables), sizesOf(asked)];
  const matches = ({ origins }: { origins: readonly number[] }): boolean => {
    const [a, b] = [rows.get(groups.of(origins)), limits.get(groups.of(origins))];
    return a !== undefined && b !== undefined && a.size === b.size && [...a].every((size) => b.has(size));
  };
  return {
    nodes: new Set(tables.filter(matches).map(({ index }) => index)),
    notes: new Set(asked.filter(matches).map(({ index }) => index)),
  };
}

const weightOf = (index: number, row: number): number => hash(4000 + index, row);

function addProduct(sum: number, weight: number, x: number): number {
  if (isSpecial(x) || isSpecial(sum)) return addField(sum, multiplyField(weight, x));
  return reduce(sum + weight * x);
}

/**
 * Rows that take part are those in which the value is of the same sort as in the chosen row: all bytes of a value tell its sort alike, while those of
 * constants do not tell what the others are. The low byte of an integer may be a signed byte itself.
 */
const sortOf = (tag: number): number => (tag === byteTags.signed ? byteTags.int : tag);

/** The word that `index` chooses among the words of a table, lane by lane: constants as they are, computed values combined. */
export function chooseBytes(rows: readonly ByteVector[], index: number): ByteVector {
  const chosen = rows[index] as ByteVector;
  // There is no choice: a program may as well copy the row.
  if (rows.length === 1) return chosen;
  const count = chosen.x.length;
  const x = newInts(count);
  const tags = newBytes(count);
  for (let lane = 0; lane < count; lane++) {
    const tag = tagAt(chosen, lane);
    x[lane] = chosen.x[lane] as number;
    tags[lane] = tag;
    if (tag === byteTags.concrete || tag >= byteTags.junk) continue;
    const sort = sortOf(tag);
    let sum = 0;
    for (let row = 0; row < rows.length; row++) {
      const one = rows[row] as ByteVector;
      if (sortOf(tagAt(one, lane)) === sort) sum = addProduct(sum, weightOf(index, row), one.x[lane] as number);
    }
    x[lane] = sum;
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
  const kind = kindAt(data, from + index * step);
  into.kind = kind;
  into.x = data.x[from + index * step] as number;
  if (rows === 1 || (kind !== laneKinds.float && kind !== laneKinds.int)) return;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const at = from + row * step;
    if (kindAt(data, at) === kind) sum = addProduct(sum, weightOf(index, row), data.x[at] as number);
  }
  into.x = sum;
}
