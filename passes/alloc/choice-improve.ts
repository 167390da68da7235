// Makes an assignment of banks more even: moves a buffer out of the fullest time of the fullest bank, or swaps it for a smaller one, as long as
// the banks it touches stay below that and what must be apart stays apart. Knows no offsets.
import { type Assignment, addLoad, type ChoiceModel, emptyLoads, type Loads, loadWith } from "./choice-model.ts";
import { lookedPerWork } from "./lowest-first.ts";

type Peak = { readonly bank: number; readonly section: number; readonly load: number };

type State = {
  readonly model: ChoiceModel;
  readonly loads: Loads;
  readonly chosen: number[];
  /** The fullest section of each bank. */
  readonly peaks: Peak[];
  readonly mostLooked: number;
};

function peakOf({ model, load, at }: Loads, bank: number): Peak {
  const base = bank * model.sections;
  let section = 0;
  for (let s = 1; s < model.sections; s++) if ((load[base + s] ?? 0) > (load[base + section] ?? 0)) section = s;
  at.looked += model.sections;
  return { bank, section, load: load[base + section] ?? 0 };
}

const banksOf = ({ model, chosen }: State, b: number): readonly number[] => model.choices[b]?.[chosen[b] ?? 0] ?? [];

function isLiveAt({ model }: State, b: number, section: number): boolean {
  const spans = model.spans[b] ?? [];
  for (let k = 0; k < spans.length; k += 3) {
    if ((spans[k] ?? 0) <= section && section < (spans[k + 1] ?? 0)) return true;
  }
  return false;
}

function setChoice(state: State, b: number, choice: number): void {
  const { model, loads, chosen, peaks } = state;
  const left = banksOf(state, b);
  addLoad(loads, b, chosen[b] ?? 0, -1);
  addLoad(loads, b, choice, 1);
  chosen[b] = choice;
  for (const bank of [...left, ...(model.choices[b]?.[choice] ?? [])]) peaks[bank] = peakOf(loads, bank);
}

/** Would the choice leave its banks below `most`, and b apart from all it must be apart from? `swapped` is not counted in either. */
function isBetter(state: State, b: number, choice: number, most: number, swapped: number): boolean {
  const { model, loads, chosen } = state;
  const banks = model.choices[b]?.[choice] ?? [];
  for (const other of model.apart[b] ?? []) {
    if (other !== swapped && banksOf(state, other).some((bank) => banks.includes(bank))) return false;
  }
  const out = swapped < 0 ? [b] : [b, swapped];
  for (const own of out) addLoad(loads, own, chosen[own] ?? 0, -1);
  const load = loadWith(loads, b, choice);
  for (const own of out) addLoad(loads, own, chosen[own] ?? 0, 1);
  return load < most;
}

/** Moves b out of a bank to any other choice. */
function moveOut(state: State, b: number, { bank, load }: Peak): boolean {
  const choice = (state.model.choices[b] ?? []).findIndex(
    (banks, own) => !banks.includes(bank) && isBetter(state, b, own, load, -1),
  );
  if (choice >= 0) setChoice(state, b, choice);
  return choice >= 0;
}

/** Swaps b for a smaller buffer, which comes into the bank. */
function swapOut(state: State, b: number, { bank, load }: Peak): boolean {
  const { model, chosen, loads, mostLooked } = state;
  const before = chosen[b] ?? 0;
  const size = model.buffers[b]?.size ?? 0;
  for (const [choice, banks] of (model.choices[b] ?? []).entries()) {
    if (banks.includes(bank)) continue;
    for (let other = 0; other < chosen.length && loads.at.looked < mostLooked; other++) {
      loads.at.looked++;
      if (other === b || (model.buffers[other]?.size ?? 0) >= size) continue;
      if (!banksOf(state, other).some((own) => banks.includes(own))) continue;
      const back = (model.choices[other] ?? []).findIndex((own) => own.includes(bank));
      if (back < 0 || !isBetter(state, b, choice, load, other)) continue;
      setChoice(state, b, choice);
      if (isBetter(state, other, back, load, -1)) {
        setChoice(state, other, back);
        return true;
      }
      setChoice(state, b, before);
    }
  }
  return false;
}

/** The better assignment, and the work it took; stops at `target`. */
export function evenOut(
  model: ChoiceModel,
  start: Assignment,
  target: number,
  budget: number,
): { readonly assignment: Assignment; readonly work: number } {
  const loads = emptyLoads(model);
  for (const [b, choice] of start.entries()) addLoad(loads, b, choice, 1);
  const peaks = model.banks.map((_, bank) => peakOf(loads, bank));
  const state: State = { model, loads, chosen: [...start], peaks, mostLooked: budget * lookedPerWork };
  while (peaks.length > 0 && loads.at.looked < state.mostLooked) {
    const peak = peaks.reduce((most, own) => (own.load > most.load ? own : most));
    if (peak.load <= target) break;
    const here = start.flatMap((_, b) =>
      banksOf(state, b).includes(peak.bank) && isLiveAt(state, b, peak.section) ? [b] : [],
    );
    if (!here.some((b) => moveOut(state, b, peak)) && !here.some((b) => swapOut(state, b, peak))) break;
  }
  return { assignment: state.chosen, work: Math.ceil(loads.at.looked / lookedPerWork) };
}
