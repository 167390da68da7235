// What chips do for the inferences before and after one, an interval apart each: reservations of everything one inference does on them, taken modulo the
// interval, and how that looks from a cycle on.
import { newReservations, type Reservations } from "../schedule/place.ts";
import type { Timeline } from "../schedule/timeline.ts";

interface Stretch {
  readonly start: number;
  readonly end: number;
}

export interface Wheel {
  readonly interval: number;
  readonly resources: number;
  /** By chip and resource, in no order. */
  readonly stretches: Map<number, Stretch[][]>;
}

export const newWheel = (interval: number, resources: number): Wheel => ({ interval, resources, stretches: new Map() });

/** Enters what begins at cycle `origin`. */
export function enter(wheel: Wheel, chip: number, { timelines }: Reservations, origin: number): void {
  const known = wheel.stretches.get(chip) ?? Array.from({ length: wheel.resources }, (): Stretch[] => []);
  wheel.stretches.set(chip, known);
  timelines.forEach(({ starts, ends }, resource) => {
    const list = known[resource];
    starts.forEach((start, i) => {
      list?.push({ start: origin + start, end: origin + (ends[i] as number) });
    });
  });
}

/** Stretches of all inferences that touch [0, until), counted from cycle `origin`; those that meet are joined. */
function timelineFrom(stretches: readonly Stretch[], interval: number, origin: number, until: number): Timeline {
  const images: Stretch[] = [];
  for (const { start, end } of stretches) {
    const first = Math.floor((origin - end) / interval) + 1;
    for (let shift = first * interval - origin; start + shift < until; shift += interval)
      images.push({ start: start + shift, end: end + shift });
  }
  images.sort((a, b) => a.start - b.start || a.end - b.end);
  const timeline: Timeline = { starts: [], ends: [] };
  const { starts, ends } = timeline;
  for (const { start, end } of images) {
    const last = ends.length - 1;
    if (last >= 0 && start <= (ends[last] as number)) ends[last] = Math.max(ends[last] as number, end);
    else {
      starts.push(start);
      ends.push(end);
    }
  }
  return timeline;
}

/** What is taken on a chip from cycle `origin` on, for `until` cycles. */
export function viewFrom(wheel: Wheel, chip: number, origin: number, until: number): Reservations {
  const known = wheel.stretches.get(chip);
  if (known === undefined) return newReservations(wheel.resources);
  return { timelines: known.map((stretches) => timelineFrom(stretches, wheel.interval, origin, until)) };
}
