// A problem with choices as arrays: buffers in normal order, banks and choices by number, times cut into sections. What every part of its solver
// reads, and the loads that an assignment of banks gives. Knows no search.
import type { ChoiceBuffer } from "./choice-problem.ts";
import { type AllocBuffer, activitiesOf, normalOrder } from "./problem.ts";

export type ChoiceModel = {
  /** In normal order, with their places in the input. */
  readonly buffers: readonly ChoiceBuffer[];
  readonly source: readonly number[];
  readonly banks: readonly string[];
  /** Of each buffer, without repetition: choices as ascending lists of banks. */
  readonly choices: readonly (readonly (readonly number[])[])[];
  readonly apart: readonly (readonly number[])[];
  /** Of each buffer: from section, to section, height, again and again. */
  readonly spans: readonly (readonly number[])[];
  readonly sections: number;
  /** False where sections were joined: then loads may be more than what is live. */
  readonly isExact: boolean;
  /** Banks that the problem does not tell apart have one number. */
  readonly kind: readonly number[];
};

/** A choice for each buffer. */
export type Assignment = readonly number[];

/** More sections than this are joined: loads are then upper bounds. */
const mostSections = 4_096;

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function choicesOf(buffer: ChoiceBuffer, numberOf: ReadonlyMap<string, number>): number[][] {
  const lists = buffer.choices.map((banks) => banks.map((bank) => numberOf.get(bank) ?? 0).sort((a, b) => a - b));
  const seen = new Set<string>();
  return lists.sort(compareLists).filter((list) => {
    const key = list.join();
    return !seen.has(key) && seen.add(key);
  });
}

/** Sections of time between the ends of activities, at most `mostSections`. */
function spansOf(buffers: readonly AllocBuffer[]): Pick<ChoiceModel, "spans" | "sections" | "isExact"> {
  const parts = buffers.map(activitiesOf);
  const times = [...new Set(parts.flatMap((own) => own.flatMap(({ lower, upper }) => [lower, upper])))];
  times.sort((a, b) => a - b);
  const sections = Math.max(1, times.length - 1);
  const per = Math.ceil(sections / mostSections);
  const at = new Map(times.map((time, i) => [time, i]));
  const spans = parts.map((own) =>
    own.flatMap(({ lower, upper, low, high }) => [
      Math.floor((at.get(lower) ?? 0) / per),
      Math.ceil((at.get(upper) ?? 0) / per),
      high - low,
    ]),
  );
  return { spans, sections: Math.ceil(sections / per), isExact: per === 1 };
}

/** Numbers of banks that may be swapped for one another: chosen by themselves, by the same buffers. */
function kindsOf(banks: number, choices: readonly (readonly (readonly number[])[])[]): number[] {
  const keys = Array.from({ length: banks }, (): string[] => []);
  choices.forEach((own, b) => {
    for (const list of own) for (const bank of list) keys[bank]?.push(list.length === 1 ? `${b}` : `${b} in ${bank}`);
  });
  const numbers = new Map<string, number>();
  return keys.map((parts) => {
    const key = parts.join();
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    return known;
  });
}

export function choiceModelOf(input: readonly ChoiceBuffer[]): ChoiceModel {
  const source = normalOrder(input);
  const buffers = source.flatMap((index) => input[index] ?? []);
  const banks = [...new Set(buffers.flatMap(({ choices }) => choices.flat()))].sort(compareText);
  const numberOf = new Map(banks.map((bank, i) => [bank, i]));
  const choices = buffers.map((buffer) => choicesOf(buffer, numberOf));
  const indexOf = new Map(buffers.map(({ id }, i) => [id, i]));
  const apart = buffers.map(() => new Set<number>());
  buffers.forEach((buffer, b) => {
    for (const id of buffer.apart ?? []) {
      const other = indexOf.get(id) ?? b;
      apart[b]?.add(other);
      apart[other]?.add(b);
    }
  });
  const kind = kindsOf(banks.length, choices);
  const neighbours = apart.map((own) => [...own].sort((a, b) => a - b));
  return { buffers, source, banks, choices, apart: neighbours, kind, ...spansOf(buffers) };
}

/** What is live in each section of each bank under a part of an assignment. */
export type Loads = { readonly model: ChoiceModel; readonly load: Float64Array; readonly at: { looked: number } };

export const emptyLoads = (model: ChoiceModel): Loads => ({
  model,
  load: new Float64Array(model.banks.length * model.sections),
  at: { looked: 0 },
});

/** Adds (sign 1) or removes (sign -1) buffer b in the banks of a choice. */
export function addLoad({ model, load, at }: Loads, b: number, choice: number, sign: number): void {
  const spans = model.spans[b] ?? [];
  for (const bank of model.choices[b]?.[choice] ?? []) {
    const base = bank * model.sections;
    for (let k = 0; k < spans.length; k += 3) {
      const to = base + (spans[k + 1] ?? 0);
      const height = sign * (spans[k + 2] ?? 0);
      at.looked += (spans[k + 1] ?? 0) - (spans[k] ?? 0);
      for (let s = base + (spans[k] ?? 0); s < to; s++) load[s] = (load[s] ?? 0) + height;
    }
  }
}

/** The fullest that the banks of a choice are while b is live, with b added; its size where it never is. */
export function loadWith({ model, load, at }: Loads, b: number, choice: number): number {
  const spans = model.spans[b] ?? [];
  let most = model.buffers[b]?.size ?? 0;
  for (const bank of model.choices[b]?.[choice] ?? []) {
    const base = bank * model.sections;
    for (let k = 0; k < spans.length; k += 3) {
      const to = base + (spans[k + 1] ?? 0);
      const height = spans[k + 2] ?? 0;
      at.looked += (spans[k + 1] ?? 0) - (spans[k] ?? 0);
      for (let s = base + (spans[k] ?? 0); s < to; s++) {
        const own = (load[s] ?? 0) + height;
        if (own > most) most = own;
      }
    }
  }
  return most;
}
