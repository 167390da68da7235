// Where units stand on a chip. Columns run west to east: MXM.W, SXM.W, MEM.W (highest slice first), VXM, MEM.E, SXM.E, MXM.E.
import type { Target } from "./target.ts";

export type Hemisphere = "W" | "E";
export type Direction = "W" | "E";

/** One stream register file column of memory holds `slicesPerColumn` slices of one hemisphere. */
export function memColumnsPerHemisphere(target: Target): number {
  return target.mem.slicesPerHemisphere / target.mem.slicesPerColumn;
}

export function columnCount(target: Target): number {
  return 2 * memColumnsPerHemisphere(target) + 5;
}

export function mxmColumn(target: Target, hemisphere: Hemisphere): number {
  return hemisphere === "W" ? 0 : columnCount(target) - 1;
}

export function sxmColumn(target: Target, hemisphere: Hemisphere): number {
  return hemisphere === "W" ? 1 : columnCount(target) - 2;
}

export function vxmColumn(target: Target): number {
  return memColumnsPerHemisphere(target) + 2;
}

/** Column of a memory slice; slice 0 of each hemisphere is next to the VXM. */
export function memColumn(target: Target, hemisphere: Hemisphere, slice: number): number {
  const group = Math.floor(slice / target.mem.slicesPerColumn);
  return hemisphere === "W" ? vxmColumn(target) - 1 - group : vxmColumn(target) + 1 + group;
}

/** Even ports stand at the west edge, odd ports at the east edge. */
export function linkColumn(target: Target, port: number): number {
  return port % 2 === 0 ? 0 : columnCount(target) - 1;
}

export function planeHemisphere(target: Target, plane: number): Hemisphere {
  return plane < target.mxm.planes / 2 ? "W" : "E";
}

/** Words of one slice, both banks; bank b holds addresses [b * wordsPerBank, (b + 1) * wordsPerBank). */
export function wordsPerSlice(target: Target): number {
  return target.mem.banks * target.mem.wordsPerBank;
}

export function sliceCount(target: Target): number {
  return 2 * target.mem.slicesPerHemisphere;
}

/**
 * The diagonal a stream value keeps while it moves: cycle - column going east, cycle + column going west. Two values on the same stream,
 * direction and diagonal are on the same register at the same time as soon as both exist.
 */
export function diagonal(direction: Direction, cycle: number, column: number): number {
  return direction === "E" ? cycle - column : cycle + column;
}

/** Least whole number of cycles between two vectors sent on one link. */
export function linkVectorPeriod(target: Target): number {
  return Math.ceil((target.link.framedBytesPerVector * target.clockHz) / target.link.bytesPerSecond);
}
