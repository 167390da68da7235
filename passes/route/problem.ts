// The transfer scheduling problem: vectors to be moved between chips over directed links, each link one vector at a time, and schedules for it.
// Holds the data, its text form and the parser of that text. Must not know how it is solved or checked.

export type RouteLink = {
  readonly from: number;
  readonly to: number;
  /** Cycles between two vectors on the link. */
  readonly cyclesPerVector: number;
  /** Cycles from sending a vector to its arrival. */
  readonly latency: number;
};

export type RouteTransfer = {
  readonly name: string;
  readonly source: number;
  /** All get every vector. */
  readonly destinations: readonly number[];
  readonly vectors: number;
  /** Cycle from which the first vector can be sent; each next one `readyEvery` cycles later. */
  readonly earliest: number;
  readonly readyEvery: number;
  /** Preferred latest arrival of the last vector, at all destinations. */
  readonly latest: number | undefined;
};

export type Forwarding = "cut-through" | "store-and-forward";

export type RouteProblem = {
  readonly chips: number;
  readonly links: readonly RouteLink[];
  readonly transfers: readonly RouteTransfer[];
  /** Cut-through: a vector may be sent on by itself. Store-and-forward: when the whole burst that brought it has arrived. */
  readonly forwarding: Forwarding;
  /** Least cycles between the arrival of a vector and its being sent on. */
  readonly forwardCycles: number;
  /** Vectors of other chips' transfers that a chip can hold at a time. */
  readonly bufferVectors: number | undefined;
  /** The schedule is repeated every so many cycles and must not collide with itself. */
  readonly intervalCycles: number | undefined;
};

/** Vector `firstVector + i` is put on the link at `start + i * cyclesPerVector`. */
export type RouteBurst = {
  readonly transfer: number;
  readonly firstVector: number;
  readonly vectors: number;
  readonly link: number;
  readonly start: number;
};

export type RouteBounds = {
  readonly latenessCycles: number;
  readonly completionCycles: number;
  /** What gives the completion bound. */
  readonly reason: string;
  /** Least interval at which the transfers could be repeated. */
  readonly intervalCycles: number;
};

export type RouteSolution = {
  readonly kind: "solution";
  /** By transfer, then start. */
  readonly bursts: readonly RouteBurst[];
  /** Last arrival of each transfer. */
  readonly arrivals: readonly number[];
  /** Of the worst transfer; 0 where all are in time. */
  readonly latenessCycles: number;
  /** Last arrival of all. */
  readonly completionCycles: number;
  /** Vectors held for others, at most, by each chip. */
  readonly bufferPeaks: readonly number[];
  readonly bounds: RouteBounds;
  readonly workUnits: number;
};

export type Unroutable = {
  readonly kind: "unroutable";
  readonly transfer: number;
  /** `reach`: there is no way; `interval`: no slots left in the interval; `buffer`: no way that the buffers allow. */
  readonly reason: "reach" | "interval" | "buffer";
  readonly destination: number;
};

type RouteTextError = { readonly line: number; readonly message: string };
export type RouteParse =
  | { readonly ok: true; readonly problem: RouteProblem }
  | { readonly ok: false; readonly errors: readonly RouteTextError[] };

/** Everything that makes this no problem at all. */
export function verifyRouteProblem(problem: RouteProblem): readonly string[] {
  const faults: string[] = [];
  const isChip = (chip: number): boolean => Number.isInteger(chip) && chip >= 0 && chip < problem.chips;
  const isCount = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (!isCount(problem.chips, 1)) faults.push(`${problem.chips} is no number of chips`);
  if (!isCount(problem.forwardCycles, 0)) faults.push(`forwarding takes ${problem.forwardCycles} cycles`);
  if (!isCount(problem.bufferVectors ?? 0, 0)) faults.push(`the buffer holds ${problem.bufferVectors} vectors`);
  if (!isCount(problem.intervalCycles ?? 1, 1)) faults.push(`the interval has ${problem.intervalCycles} cycles`);
  problem.links.forEach(({ from, to, cyclesPerVector, latency }, link) => {
    if (!isChip(from) || !isChip(to) || from === to) faults.push(`link ${link} joins ${from} and ${to}`);
    if (!isCount(cyclesPerVector, 1)) faults.push(`link ${link} takes ${cyclesPerVector} cycles for a vector`);
    if (!isCount(latency, 1)) faults.push(`link ${link} has a latency of ${latency} cycles`);
  });
  problem.transfers.forEach((transfer, t) => {
    const { name, source, destinations, vectors, earliest, readyEvery, latest } = transfer;
    const who = `transfer ${t} (${name})`;
    if (!isChip(source)) faults.push(`${who} starts at chip ${source}`);
    if (destinations.length === 0) faults.push(`${who} goes nowhere`);
    for (const chip of destinations)
      if (!isChip(chip) || chip === source) faults.push(`${who} goes from chip ${source} to chip ${chip}`);
    if (new Set(destinations).size !== destinations.length) faults.push(`${who} names a destination twice`);
    if (!isCount(vectors, 1)) faults.push(`${who} has ${vectors} vectors`);
    if (!isCount(earliest, 0) || !isCount(readyEvery, 0)) faults.push(`${who} is ready at ${earliest}, ${readyEvery}`);
    if (!isCount(latest ?? 0, 0)) faults.push(`${who} should arrive by ${latest}`);
  });
  return faults;
}

export function printRouteProblem(problem: RouteProblem): string {
  const or = (value: number | undefined): string => (value === undefined ? "none" : `${value}`);
  const { chips, forwarding, forwardCycles, bufferVectors, intervalCycles } = problem;
  const lines = [
    `route chips=${chips} forwarding=${forwarding} forward=${forwardCycles} buffer=${or(bufferVectors)} interval=${or(intervalCycles)}`,
  ];
  for (const { from, to, cyclesPerVector, latency } of problem.links)
    lines.push(`link ${from}>${to} every=${cyclesPerVector} latency=${latency}`);
  for (const { name, source, destinations, vectors, earliest, readyEvery, latest } of problem.transfers)
    lines.push(
      `transfer ${JSON.stringify(name)} ${source}>${destinations.join(",")} vectors=${vectors} earliest=${earliest} ready-every=${readyEvery} latest=${or(latest)}`,
    );
  return `${lines.join("\n")}\n`;
}

const HEADER =
  /^route chips=(\d+) forwarding=(cut-through|store-and-forward) forward=(\d+) buffer=(\d+|none) interval=(\d+|none)$/;
const LINK = /^link (\d+)>(\d+) every=(\d+) latency=(\d+)$/;
const TRANSFER =
  /^transfer ("(?:[^"\\]|\\.)*") (\d+)>(\d+(?:,\d+)*) vectors=(\d+) earliest=(\d+) ready-every=(\d+) latest=(\d+|none)$/;

export function parseRouteProblem(text: string): RouteParse {
  const lines = text.split("\n");
  const header = HEADER.exec(lines[0] ?? "");
  if (header === null) {
    const message =
      'expected "route chips=N forwarding=cut-through|store-and-forward forward=N buffer=N|none interval=N|none"';
    return { ok: false, errors: [{ line: 1, message }] };
  }
  const errors: RouteTextError[] = [];
  const links: RouteLink[] = [];
  const transfers: RouteTransfer[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === "") continue;
    const link = parseLink(line);
    const transfer = parseTransfer(line);
    if (link !== undefined) links.push(link);
    else if (transfer !== undefined) transfers.push(transfer);
    else errors.push({ line: i + 1, message: 'expected "link FROM>TO every=..." or "transfer "NAME" FROM>TO,... "' });
  }
  const problem: RouteProblem = {
    chips: Number(header[1]),
    links,
    transfers,
    forwarding: header[2] === "cut-through" ? "cut-through" : "store-and-forward",
    forwardCycles: Number(header[3]),
    bufferVectors: orNone(header[4]),
    intervalCycles: orNone(header[5]),
  };
  if (errors.length === 0)
    errors.push(...verifyRouteProblem(problem).map((message): RouteTextError => ({ line: 1, message })));
  return errors.length > 0 ? { ok: false, errors } : { ok: true, problem };
}

function orNone(word: string | undefined): number | undefined {
  return word === "none" ? undefined : Number(word);
}

function parseLink(line: string): RouteLink | undefined {
  const match = LINK.exec(line);
  if (match === null) return undefined;
  const [from = 0, to = 0, cyclesPerVector = 0, latency = 0] = match.slice(1).map(Number);
  return { from, to, cyclesPerVector, latency };
}

function parseTransfer(line: string): RouteTransfer | undefined {
  const match = TRANSFER.exec(line);
  const name = match === null ? undefined : parseName(match[1] ?? "");
  if (match === null || name === undefined) return undefined;
  return {
    name,
    source: Number(match[2]),
    destinations: (match[3] ?? "").split(",").map(Number),
    vectors: Number(match[4]),
    earliest: Number(match[5]),
    readyEvery: Number(match[6]),
    latest: orNone(match[7]),
  };
}

function parseName(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
