// A problem taken apart into components that never share a time, each with the best placement known so far. Solvers improve
// the components one by one; the peak of the problem is that of its worst component.
import { type LowerBound, lowerBoundOf } from "./bound.ts";
import { continueExactly, type ExactSearch, startExactly } from "./exact.ts";
import { heuristicPlacement } from "./heuristic.ts";
import { componentsOf, type Instance, instanceOf, withCapacity } from "./instance.ts";
import { listPerWork } from "./lowest-first.ts";
import type { AllocBuffer } from "./problem.ts";
import { repairPeak } from "./repair.ts";
import { type Sections, sectionsOf } from "./sections.ts";

type Component = {
  readonly buffers: Int32Array;
  peak: number;
  /** Made when it is first searched, for capacities up to the peak at that time. */
  instance?: Instance;
  /** Searches begun, by capacity. */
  readonly searches: Map<number, ExactSearch>;
};

/** Entries of an instance that can be made in the time of one unit of search work. */
const entriesPerWork = 32;

/** More live entries or overlapping pairs than this take too much memory. */
const entryLimit = 4_000_000;

export type Workspace = {
  readonly sections: Sections;
  readonly lowerBound: LowerBound;
  readonly components: readonly Component[];
  /** Offsets in normal order: the best known, valid at every moment. */
  readonly offsets: Float64Array;
};

/** Peak of one component under the workspace's offsets. */
function peakOfComponent(sections: Sections, buffers: Int32Array, offsets: Float64Array): number {
  let peak = 0;
  for (const b of buffers) peak = Math.max(peak, (offsets[b] ?? 0) + (sections.size[b] ?? 0));
  return peak;
}

/** Takes a problem apart and places it without search; stops early at `target`. */
export function openWorkspace(buffers: readonly AllocBuffer[], target: number): Workspace {
  const sections = sectionsOf(buffers);
  const lowerBound = lowerBoundOf(sections, buffers);
  const placement = heuristicPlacement(sections, Math.max(target, lowerBound.peak), lowerBound.peak);
  const components = componentsOf(sections).map((members) => ({
    buffers: members,
    searches: new Map<number, ExactSearch>(),
    peak: peakOfComponent(sections, members, placement.offsets),
  }));
  return { sections, lowerBound, components, offsets: placement.offsets };
}

export function peakOfWorkspace(workspace: Workspace): number {
  const { components, sections } = workspace;
  return components.reduce((peak, component) => Math.max(peak, component.peak), largestSize(sections));
}

/** A buffer that is never live still needs an address. */
const largestSize = (sections: Sections): number => sections.size.reduce((most, size) => Math.max(most, size), 0);

/** Offsets of the problem's buffers in the order of the input. */
export function offsetsOfInput(workspace: Workspace): readonly number[] {
  const { sections, offsets } = workspace;
  const out = new Array<number>(sections.source.length).fill(0);
  sections.source.forEach((index, b) => {
    out[index] = offsets[b] ?? 0;
  });
  return out;
}

/** Brings down what sticks out above `target`, as far as `budget` goes; returns the work spent. */
export function repairWorkspace(workspace: Workspace, target: number, budget: number): number {
  const { sections, components } = workspace;
  const { offsets, work } = repairPeak(sections, workspace.offsets, target, budget);
  if (offsets === undefined) return work;
  workspace.offsets.set(offsets);
  for (const component of components) component.peak = peakOfComponent(sections, component.buffers, offsets);
  return work;
}

export type FitOutcome = {
  readonly kind: "fits" | "impossible" | "budget";
  readonly work: number;
};

/** Work of going down to a solution without ever turning back: every node looks through what is left. */
const descent = (buffers: number): number => buffers * (1 + buffers / (2 * listPerWork));

/** With less than this many descents nothing comes of a search. */
const leastDescents = 4;

/** The component for exact search, and what making it took; without one when `budget` is too small. */
function openComponent(
  sections: Sections,
  component: Component,
  budget: number,
): { readonly instance: Instance | undefined; readonly work: number } {
  if (budget < leastDescents * descent(component.buffers.length)) return { instance: undefined, work: 0 };
  if (component.instance !== undefined) return { instance: component.instance, work: 0 };
  const limit = Math.min(entryLimit, entriesPerWork * budget);
  const instance = instanceOf(sections, component.buffers, component.peak, limit);
  if (instance === undefined) return { instance, work: Math.ceil(limit / entriesPerWork) };
  component.instance = instance;
  return { instance, work: Math.floor((instance.member.length + instance.overlap.length) / entriesPerWork) };
}

/**
 * Searches the components that do not fit `capacity` yet, going on where the last call for it ended and keeping what is
 * found. "impossible" is a proof: nothing fits.
 * Windows in gaps are searched as if the buffer were whole, so with them there is no such proof.
 */
export function fitComponents(workspace: Workspace, capacity: number, budget: number): FitOutcome {
  let work = 0;
  let kind: FitOutcome["kind"] = "fits";
  for (const component of workspace.components) {
    if (component.peak <= capacity) continue;
    const opened = openComponent(workspace.sections, component, budget - work);
    work += opened.work;
    if (opened.instance === undefined) {
      kind = "budget";
      continue;
    }
    const search = component.searches.get(capacity) ?? startExactly(withCapacity(opened.instance, capacity));
    component.searches.set(capacity, search);
    const answer = continueExactly(search, budget - work);
    work += answer.work;
    if (answer.kind === "solved") {
      component.buffers.forEach((b, i) => {
        workspace.offsets[b] = answer.offsets[i] ?? 0;
      });
      component.peak = peakOfComponent(workspace.sections, component.buffers, workspace.offsets);
    } else if (answer.kind === "impossible" && !workspace.sections.hasWindows) {
      return { kind: "impossible", work };
    } else kind = "budget";
  }
  return { kind, work };
}
