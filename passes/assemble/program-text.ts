// Where program text stands: in the highest words of every slice, beside all else that needs the last bank.
import { diagnostic } from "../../ir/diag/codes.ts";
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import type { ProgramSymbol } from "../../ir/machine/program.ts";
import type { Target } from "../../ir/target/target.ts";
import type { ChipMemory } from "./chip-memory.ts";

/** The first few of many names. */
const named = (names: readonly string[]): string =>
  names.length <= 6 ? names.join(", ") : `${names.slice(0, 6).join(", ")} and ${names.length - 6} more`;

/** Program text takes the highest words of every slice. */
export function placeText(
  target: Target,
  chip: number,
  memory: ChipMemory,
  textBytes: number,
  symbols: ProgramSymbol[],
  end: number,
): Diagnostic[] {
  const slices = 2 * target.mem.slicesPerHemisphere;
  const words = Math.ceil(textBytes / target.lanes / slices);
  const problems: Diagnostic[] = [];
  let worst: { over: number; use: (typeof memory.uses)[number] } | undefined;
  for (const use of memory.uses) {
    const room = target.mem.wordsPerBank - (use.bank === target.mem.banks - 1 ? words : 0);
    const over = use.words - room;
    if (over > 0 && (worst === undefined || over > worst.over)) worst = { over, use };
  }
  if (worst === undefined && words > target.mem.wordsPerBank)
    problems.push(
      diagnostic(
        "LPU4001",
        `chip ${chip}: program text takes ${words} words of every slice, a bank has ${target.mem.wordsPerBank}`,
      ),
    );
  if (worst !== undefined) {
    const { names, bank, words: need, persistentWords } = worst.use;
    const text = bank === target.mem.banks - 1 ? words : 0;
    problems.push(
      diagnostic(
        "LPU4001",
        `chip ${chip}: the fullest of the banks ${named(names)} needs ${need + text} words (weights and constants at most ${persistentWords}, program text ${text}), it has ${target.mem.wordsPerBank}`,
      ),
    );
  }
  const all = [...Array(slices).keys()].map((i) => ({
    hemisphere: i < target.mem.slicesPerHemisphere ? ("W" as const) : ("E" as const),
    slice: i % target.mem.slicesPerHemisphere,
  }));
  if (words > 0)
    symbols.push({
      name: "program text",
      chip,
      role: "text",
      slices: all,
      address: target.mem.banks * target.mem.wordsPerBank - words,
      words,
      from: 0,
      until: end,
    });
  return problems;
}
