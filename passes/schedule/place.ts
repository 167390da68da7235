// Rigid templates against reservation tables: the earliest start at which every need of a template is free at its offset.
import { InvariantError } from "../../ir/diag/diagnostic.ts";
import { newTimeline, nextFree, reserve, type Timeline } from "./timeline.ts";

/** Interval [start + at, start + at + length) of one resource. */
export interface Need {
  readonly resource: number;
  readonly at: number;
  readonly length: number;
}

/** One of several sets of resources, all for the same interval. Options are tried in order. */
export interface Choice {
  readonly options: readonly (readonly number[])[];
  readonly at: number;
  readonly length: number;
}

export interface Template {
  readonly needs: readonly Need[];
  readonly choices: readonly Choice[];
}

export interface Placed {
  readonly start: number;
  /** Option taken for each choice. */
  readonly taken: readonly number[];
}

export interface Reservations {
  readonly timelines: Timeline[];
}

export const newReservations = (resources: number): Reservations => ({
  timelines: Array.from({ length: resources }, newTimeline),
});

export const copiedReservations = ({ timelines }: Reservations): Reservations => ({
  timelines: timelines.map(({ starts, ends }) => ({ starts: [...starts], ends: [...ends] })),
});

const searchLimit = 1_000_000;

/** Earliest start >= `from`; undefined if it would be >= `before`, or the template needs more units than there are. */
export function findStart(
  reservations: Reservations,
  template: Template,
  from: number,
  before = Number.POSITIVE_INFINITY,
): Placed | undefined {
  const { timelines } = reservations;
  let start = from;
  for (let round = 0; round < searchLimit; round++) {
    if (start >= before) return undefined;
    let moved = start;
    for (const need of template.needs)
      moved = Math.max(moved, nextFree(timelines[need.resource] as Timeline, moved + need.at, need.length) - need.at);
    if (moved > start) {
      start = moved;
      continue;
    }
    const taken = takeChoices(timelines, template.choices, start);
    if (typeof taken !== "number") return { start, taken };
    start = taken;
  }
  throw new InvariantError("no start found for a template");
}

/** Options for every choice at `start`, or a later start at which the first failing choice may succeed (infinite: none). */
function takeChoices(timelines: readonly Timeline[], choices: readonly Choice[], start: number): number[] | number {
  const taken: number[] = [];
  for (let c = 0; c < choices.length; c++) {
    const choice = choices[c] as Choice;
    let earliest = Number.POSITIVE_INFINITY;
    let found = -1;
    for (let o = 0; o < choice.options.length && found < 0; o++) {
      const option = choice.options[o] as readonly number[];
      if (clashes(choices, taken, c, option)) continue;
      let free = start + choice.at;
      for (const resource of option)
        free = Math.max(free, nextFree(timelines[resource] as Timeline, free, choice.length));
      if (free === start + choice.at) found = o;
      else earliest = Math.min(earliest, free - choice.at);
    }
    if (found < 0) {
      return Math.max(earliest, start + 1);
    }
    taken.push(found);
  }
  return taken;
}

/** Whether an option shares a resource with a choice already made for an overlapping interval. */
function clashes(choices: readonly Choice[], taken: readonly number[], c: number, option: readonly number[]): boolean {
  const { at, length } = choices[c] as Choice;
  for (let before = 0; before < c; before++) {
    const other = choices[before] as Choice;
    if (other.at >= at + length || at >= other.at + other.length) continue;
    const used = other.options[taken[before] as number] as readonly number[];
    if (used.some((resource) => option.includes(resource))) return true;
  }
  return false;
}

export function commit(reservations: Reservations, template: Template, placed: Placed): void {
  for (const need of template.needs)
    reserve(reservations.timelines[need.resource] as Timeline, placed.start + need.at, need.length);
  template.choices.forEach((choice, c) => {
    for (const resource of choice.options[placed.taken[c] as number] as readonly number[]) {
      reserve(reservations.timelines[resource] as Timeline, placed.start + choice.at, choice.length);
    }
  });
}
