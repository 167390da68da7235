// How full the banks of a program's chips get, from the regions that it claims, beside the least that any address map of these regions needs.
import type { Target } from "../target/target.ts";
import type { Program, ProgramSymbol } from "./program.ts";

export const isStanding = ({ role }: ProgramSymbol): boolean =>
  role === "weight" || role === "constant" || role === "state";

/** Regions of each bank of each slice. */
export function byBank(target: Target, symbols: readonly ProgramSymbol[]): readonly (readonly ProgramSymbol[])[] {
  const banks = new Map<string, ProgramSymbol[]>();
  for (const symbol of symbols) {
    const bank = Math.floor(symbol.address / target.mem.wordsPerBank);
    for (const { hemisphere, slice } of symbol.slices) {
      const key = `${hemisphere}${slice}/${bank}`;
      const list = banks.get(key);
      if (list === undefined) banks.set(key, [symbol]);
      else list.push(symbol);
    }
  }
  return [...banks.values()];
}

/** Words that regions of one bank cover, each word once. */
export function coveredWords(symbols: readonly ProgramSymbol[]): number {
  let [words, end] = [0, 0];
  for (const { address, words: length } of [...symbols].sort((a, b) => a.address - b.address || a.words - b.words)) {
    words += Math.max(0, address + length - Math.max(address, end));
    end = Math.max(end, address + length);
  }
  return words;
}

/** Most words live in one cycle, where another inference follows every `interval` cycles and keeps its own. */
function liveWords(symbols: readonly ProgramSymbol[], interval: number): number {
  let always = 0;
  const events: { readonly cycle: number; readonly change: number }[] = [];
  for (const { words, from, until } of symbols) {
    if (until - from >= interval) {
      always += words;
      continue;
    }
    const [start, end] = [from % interval, (from % interval) + until - from];
    events.push({ cycle: start, change: words }, { cycle: end % interval, change: -words });
    if (end >= interval) always += words;
  }
  events.sort((a, b) => a.cycle - b.cycle || a.change - b.change);
  let [live, most] = [always, always];
  for (const { change } of events) {
    live += change;
    most = Math.max(most, live);
  }
  return most;
}

/** Words in use and the least there could be. */
export interface Fill {
  readonly peak: number;
  readonly bound: number;
}

/** Share by which the words in use are above the least. */
export const gapOf = ({ peak, bound }: Fill): number => (bound === 0 ? 0 : peak / bound - 1);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/**
 * Words that ever hold an activation, and the most that are live in one cycle, summed over the banks: the schedule has chosen these. A region that
 * several blocks use claims the cycles between them too, so that the bound is the peak at the most.
 */
export function activationFill({ target, initiationIntervalCycles }: Program, symbols: readonly ProgramSymbol[]): Fill {
  const banks = byBank(
    target,
    symbols.filter((symbol) => symbol.role !== "text" && !isStanding(symbol)),
  );
  const fills = banks.map((list): Fill => {
    const peak = coveredWords(list);
    return { peak, bound: Math.min(peak, liveWords(list, initiationIntervalCycles)) };
  });
  return { peak: sum(fills.map(({ peak }) => peak)), bound: sum(fills.map(({ bound }) => bound)) };
}

/** The fullest bank, up to its highest word in use, program text included. */
export function fullestFill({ target, initiationIntervalCycles }: Program, symbols: readonly ProgramSymbol[]): Fill {
  const { wordsPerBank } = target.mem;
  let [peak, bound] = [0, 0];
  for (const list of byBank(target, symbols)) {
    const data = list.filter(({ role }) => role !== "text");
    const text = coveredWords(list.filter(({ role }) => role === "text"));
    const top = data.reduce((most, { address, words }) => Math.max(most, (address % wordsPerBank) + words), 0);
    peak = Math.max(peak, top + text);
    bound = Math.max(bound, Math.min(top, liveWords(data, initiationIntervalCycles)) + text);
  }
  return { peak, bound };
}

/** The largest gap of any chip. */
export function memoryGap(program: Program): number {
  const gaps = program.chips.flatMap((_, chip) => {
    const own = program.symbols.filter((symbol) => symbol.chip === chip);
    return [gapOf(activationFill(program, own)), gapOf(fullestFill(program, own))];
  });
  return Math.max(0, ...gaps);
}
