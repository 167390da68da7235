// Invariant `capacity`: claimed buffers, images and program text fit the slices and no two of them want a word at the same time.
import type { Program, ProgramSymbol } from "../../ir/machine/program.ts";
import { wordsPerSlice } from "../../ir/target/geometry.ts";
import { countChecked, type Findings, violate } from "./report.ts";

interface Extent {
  readonly first: number;
  readonly end: number;
  readonly from: number;
  readonly until: number;
  readonly name: string;
}

const whole = (value: number, from: number, until: number): boolean =>
  Number.isSafeInteger(value) && value >= from && value < until;

/** Reports extents that overlap in words and cycles: a sweep over time with the live ones sorted by word. */
export function reportOverlaps(extents: readonly Extent[], report: (a: Extent, b: Extent) => void): void {
  const order = extents.map((extent, index) => ({ extent, index }));
  const starts = [...order].sort((a, b) => a.extent.from - b.extent.from || a.index - b.index);
  const ends = [...order].sort((a, b) => a.extent.until - b.extent.until || a.index - b.index);
  const live: Extent[] = [];
  const positionOf = (first: number): number => {
    let low = 0;
    let high = live.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((live[middle]?.first ?? 0) < first) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  let ended = 0;
  for (const { extent } of starts) {
    for (; ended < ends.length; ended++) {
      const old = ends[ended]?.extent;
      if (old === undefined || old.until > extent.from) break;
      const at = positionOf(old.first);
      if (live[at] === old) live.splice(at, 1);
    }
    if (extent.first >= extent.end || extent.from >= extent.until) continue;
    const at = positionOf(extent.first);
    const below = live[at - 1];
    const above = live[at];
    if (below !== undefined && below.end > extent.first) report(below, extent);
    else if (above !== undefined && above.first < extent.end) report(above, extent);
    else live.splice(at, 0, extent);
  }
}

function isWellFormed(findings: Findings, symbol: ProgramSymbol): boolean {
  const { target } = findings.program;
  const words = wordsPerSlice(target);
  const say = (message: string): boolean => {
    violate(findings, "capacity", message, { chip: symbol.chip, tensor: symbol.name });
    return false;
  };
  if (!whole(symbol.chip, 0, findings.program.chips.length)) return say(`buffer ${symbol.name} is on no chip`);
  const slices = symbol.slices.every(
    ({ hemisphere, slice }) =>
      (hemisphere === "W" || hemisphere === "E") && whole(slice, 0, target.mem.slicesPerHemisphere),
  );
  if (!slices) return say(`buffer ${symbol.name} names a slice that the chip does not have`);
  if (
    !whole(symbol.words, 0, words + 1) ||
    !whole(symbol.address, 0, words + 1) ||
    symbol.address + symbol.words > words
  ) {
    const end = symbol.address + symbol.words - 1;
    return say(`buffer ${symbol.name} takes words ${symbol.address}..${end} of a slice of ${words}`);
  }
  if (!(symbol.from <= symbol.until))
    return say(`buffer ${symbol.name} lives from ${symbol.from} until ${symbol.until}`);
  const end = findings.program.latencyCycles - target.verticalRipple;
  if (symbol.role === "state" && (symbol.from > 0 || symbol.until < end))
    say(
      `state buffer ${symbol.name} is held from ${symbol.from} until ${symbol.until}, not from 0 until the end at ${end}`,
    );
  return true;
}

function extentsBySlice(symbols: readonly ProgramSymbol[]): ReadonlyMap<string, readonly Extent[]> {
  const slices = new Map<string, Extent[]>();
  for (const symbol of symbols) {
    const { address, words, from, until, name } = symbol;
    const extent: Extent = { first: address, end: address + words, from, until, name };
    for (const { hemisphere, slice } of symbol.slices) {
      const key = `${symbol.chip} ${hemisphere}${slice}`;
      const list = slices.get(key);
      if (list === undefined) slices.set(key, [extent]);
      else list.push(extent);
    }
  }
  return slices;
}

/** Words of a slice that some buffer takes at some time. */
function claimedWords(extents: readonly Extent[]): number {
  let total = 0;
  let reach = 0;
  for (const extent of [...extents].sort((a, b) => a.first - b.first || a.end - b.end)) {
    total += Math.max(0, extent.end - Math.max(reach, extent.first));
    reach = Math.max(reach, extent.end);
  }
  return total;
}

function checkText(findings: Findings, program: Program, slices: ReadonlyMap<string, readonly Extent[]>): void {
  const { target } = program;
  program.chips.forEach((chip, index) => {
    countChecked(findings, "capacity");
    let free = 0;
    for (const hemisphere of ["W", "E"]) {
      for (let slice = 0; slice < target.mem.slicesPerHemisphere; slice++) {
        free += wordsPerSlice(target) - claimedWords(slices.get(`${index} ${hemisphere}${slice}`) ?? []);
      }
    }
    for (const symbol of program.symbols) {
      if (symbol.chip === index && symbol.role === "text") free += symbol.words * symbol.slices.length;
    }
    const room = free * target.lanes;
    const instructions = chip.queues.reduce((sum, queue) => sum + queue.instructions.length, 0);
    if (!whole(chip.textBytes, 0, Number.MAX_SAFE_INTEGER) || chip.textBytes > room) {
      violate(findings, "capacity", `program text of ${chip.textBytes} bytes; ${room} are left beside the buffers`, {
        chip: index,
      });
    } else if (chip.textBytes < instructions) {
      const message = `program text of ${chip.textBytes} bytes cannot hold ${instructions} instructions`;
      violate(findings, "capacity", message, { chip: index });
    }
  });
}

/** The words [first, end) that the buffers of a slice do not hold from the start: first such word, -1 if there is none. */
function unclaimedWord(extents: readonly Extent[], first: number, end: number): number {
  let at = first;
  for (const extent of [...extents].sort((a, b) => a.first - b.first || a.end - b.end)) {
    if (extent.first > at || at >= end) break;
    at = Math.max(at, extent.end);
  }
  return at < end ? at : -1;
}

/** Images must stand in buffers that hold something before cycle 0. */
function checkImageClaims(
  findings: Findings,
  chip: number,
  key: string,
  images: readonly Extent[],
  extents: readonly Extent[],
): void {
  for (const image of images) {
    const word = unclaimedWord(extents, image.first, image.end);
    if (word < 0) continue;
    const message = `word ${word} of MEM.${key} has initial contents but is in no weight, constant or state buffer`;
    violate(findings, "capacity", message, { chip });
  }
}

function checkImages(findings: Findings, program: Program): void {
  const fixed = program.symbols.filter(({ role }) => role === "weight" || role === "constant" || role === "state");
  const claims = extentsBySlice(fixed);
  const { target } = program;
  program.chips.forEach((chip, index) => {
    const slices = new Map<string, Extent[]>();
    for (const image of chip.images) {
      countChecked(findings, "capacity");
      const key = `${image.hemisphere}${image.slice}`;
      const words = image.byteLength / target.lanes;
      const end = image.address + words;
      const exists = whole(image.slice, 0, target.mem.slicesPerHemisphere);
      if (
        !exists ||
        !whole(words, 0, wordsPerSlice(target) + 1) ||
        !whole(image.address, 0, wordsPerSlice(target) + 1 - words)
      ) {
        const where = `words ${image.address}..${end - 1} of MEM.${key}`;
        violate(findings, "capacity", `an image of ${image.byteLength} bytes does not fit ${where}`, { chip: index });
        continue;
      }
      const extent: Extent = {
        first: image.address,
        end,
        from: 0,
        until: 1,
        name: `words ${image.address}..${end - 1}`,
      };
      const list = slices.get(key);
      if (list === undefined) slices.set(key, [extent]);
      else list.push(extent);
    }
    for (const [key, extents] of slices) {
      checkImageClaims(findings, index, key, extents, claims.get(`${index} ${key}`) ?? []);
      reportOverlaps(extents, (a, b) => {
        violate(findings, "capacity", `images ${a.name} and ${b.name} of MEM.${key} overlap`, { chip: index });
      });
    }
  });
}

export function checkCapacity(findings: Findings): void {
  const { program } = findings;
  countChecked(findings, "capacity", program.symbols.length);
  const slices = extentsBySlice(program.symbols.filter((symbol) => isWellFormed(findings, symbol)));
  const told = new Set<string>();
  for (const [key, extents] of slices) {
    reportOverlaps(extents, (a, b) => {
      const pair = `${a.name}\n${b.name}`;
      if (told.has(pair)) return;
      told.add(pair);
      const [chip, slice] = key.split(" ");
      const words = `${Math.max(a.first, b.first)}..${Math.min(a.end, b.end) - 1}`;
      const cycles = `${Math.max(a.from, b.from)}..${Math.min(a.until, b.until) - 1}`;
      const message = `buffers ${a.name} and ${b.name} both hold words ${words} of MEM.${slice} in cycles ${cycles}`;
      violate(findings, "capacity", message, { chip: Number(chip), tensor: b.name });
    });
  }
  checkText(findings, program, slices);
  checkImages(findings, program);
}
