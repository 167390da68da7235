// Independent check of a collective in cycles, by playing its sends in time: is every slot used once, is what is sent there by then, are all sums
// whole at the end, and is the last one there when it is claimed to be? Knows the task and the sends only, not the steps they came from.
import type { Block } from "./collective-problem.ts";
import type { CollectiveTask, TimedCollective, TimedSend } from "./collective-timing.ts";

export type TimedViolationCode =
  | "send"
  | "slot"
  | "absent"
  | "partial"
  | "double"
  | "missing"
  | "sum"
  | "completion"
  | "bound"
  | "buffer";

export type TimedViolation = {
  readonly code: TimedViolationCode;
  /** Index of the send that shows it; -1 for the end. */
  readonly send: number;
  readonly message: string;
};

type Report = (code: TimedViolationCode, send: number, message: string) => void;
/** One state of a chunk at a chip: the parts in it, and when its first and last vector are. */
type Content = { readonly parts: ReadonlySet<number>; readonly first: number; readonly last: number };
/** One vector that a chip holds for others. */
type Hold = { readonly chip: number; readonly from: number; readonly until: number };

export function checkTimedCollective(task: CollectiveTask, timed: TimedCollective): readonly TimedViolation[] {
  const found: TimedViolation[] = [];
  const report: Report = (code, send, message) => {
    found.push({ code, send, message });
  };
  checkSlots(task, timed, report);
  const { blocks } = timed.problem;
  const { chunks } = timed.schedule;
  const sends = timed.sends.map((send, index) => ({ send, index })).sort((a, b) => a.send.start - b.send.start);
  const byChunk = new Map<number, { readonly send: TimedSend; readonly index: number }[]>();
  for (const entry of sends) byChunk.set(entry.send.chunk, [...(byChunk.get(entry.send.chunk) ?? []), entry]);
  const sizes = new Map<number, number>();
  const sums: string[] = [];
  const holds: Hold[] = [];
  let completion = 0;
  blocks.forEach((block, b) => {
    for (let i = 0; i < chunks; i++) {
      const list = byChunk.get(b * chunks + i) ?? [];
      byChunk.delete(b * chunks + i);
      const [first] = list;
      if (first !== undefined) sizes.set(b, (sizes.get(b) ?? 0) + first.send.vectors);
      for (const { send, index } of list)
        if (send.vectors !== first?.send.vectors) report("send", index, `chunk ${send.chunk} changes its size`);
      completion = Math.max(completion, playChunk(task, timed, block, list, { sums, holds }, report));
    }
  });
  for (const list of byChunk.values())
    for (const { send, index } of list) report("send", index, `there is no chunk ${send.chunk}`);
  if (completion !== timed.completionCycles)
    report("completion", -1, `the last is there at ${completion}, claimed is ${timed.completionCycles}`);
  if (completion < timed.boundCycles) report("bound", -1, `${completion} is below the bound ${timed.boundCycles}`);
  const claimed = timed.sums.map(({ chunk, chip, start, vectors }) => sumText(chunk, chip, start, vectors)).sort();
  sums.sort();
  const wrong = claimed.findIndex((text, i) => text !== sums[i]);
  if (claimed.length !== sums.length || wrong >= 0)
    report(
      "sum",
      -1,
      `${sums.length} sums are made, claimed are ${claimed.length}; ${claimed[wrong] ?? "none"} is not one`,
    );
  checkSizes(task, blocks, sizes, report);
  checkHolds(task, timed, holds, report);
  return found;
}

function checkHolds(task: CollectiveTask, { bufferPeaks }: TimedCollective, holds: readonly Hold[], report: Report) {
  for (let chip = 0; chip < task.chips; chip++) {
    const events = holds
      .filter((hold) => hold.chip === chip && hold.until > hold.from)
      .flatMap(({ from, until }) => [
        { at: from, change: 1 },
        { at: until, change: -1 },
      ])
      .sort((a, b) => a.at - b.at || a.change - b.change);
    let [held, most] = [0, 0];
    for (const { change } of events) {
      held += change;
      most = Math.max(most, held);
    }
    const claimed = bufferPeaks[chip] ?? 0;
    if (most > claimed) report("buffer", -1, `chip ${chip} holds ${most} vectors for others, claimed are ${claimed}`);
    if (claimed > (task.bufferVectors ?? claimed))
      report("buffer", -1, `chip ${chip} holds ${claimed} vectors for others, it has room for ${task.bufferVectors}`);
  }
}

/** When vector i of so many is there, if they come evenly. */
function timeOf(
  { first, last }: { readonly first: number; readonly last: number },
  i: number,
  vectors: number,
): number {
  return vectors < 2 ? first : first + (i * (last - first)) / (vectors - 1);
}

/** Together the blocks that anybody needs from elsewhere hold the whole tensor. */
function checkSizes(
  task: CollectiveTask,
  blocks: readonly Block[],
  sizes: ReadonlyMap<number, number>,
  report: Report,
): void {
  const { kind, vectors, chips } = task;
  const isWhole = blocks.length === 1 || (kind === "all-reduce" && blocks.every((b) => b.destinations.length === 1));
  const isShared = (kind === "all-reduce" || kind === "reduce-scatter") && !isWhole;
  if (isShared) {
    const sum = [...sizes.values()].reduce((total, size) => total + size, 0);
    if (sum !== vectors && chips > 1) report("missing", -1, `the blocks have ${sum} of ${vectors} vectors`);
    return;
  }
  blocks.forEach(({ sources, destinations }, block) => {
    const isNeeded = destinations.some((chip) => sources.some((source) => source !== chip));
    const moved =
      kind === "all-reduce" || kind === "reduce"
        ? isNeeded
        : isNeeded && !destinations.every((chip) => sources.includes(chip));
    if (moved && sizes.get(block) !== vectors)
      report("missing", -1, `block ${block} has ${sizes.get(block) ?? 0} of ${vectors} vectors`);
  });
}

function checkSlots({ links }: CollectiveTask, { sends }: TimedCollective, report: Report): void {
  const byLink = links.map((): { readonly from: number; readonly until: number; readonly index: number }[] => []);
  sends.forEach(({ link, start, vectors }, index) => {
    const every = links[link]?.cyclesPerVector;
    if (
      every === undefined ||
      !Number.isSafeInteger(start) ||
      start < 0 ||
      !Number.isSafeInteger(vectors) ||
      vectors < 1
    )
      report("send", index, `${vectors} vectors over link ${link} at ${start}`);
    else byLink[link]?.push({ from: start, until: start + vectors * every, index });
  });
  byLink.forEach((list, link) => {
    list.sort((a, b) => a.from - b.from);
    list.forEach(({ from, index }, i) => {
      const before = list[i - 1];
      if (before !== undefined && before.until > from)
        report("slot", index, `link ${link} is busy until ${before.until}, send ${index} starts at ${from}`);
    });
  });
}

/** What a chip that does not want a chunk for itself holds of it: from when it has something of others until it sent it on for the last time. */
function holdOnWay(
  task: CollectiveTask,
  isKeeper: boolean,
  states: readonly Content[],
  chip: number,
  sent: readonly TimedSend[],
  holds: Hold[],
): void {
  const others = states.find(({ last }) => last > 0);
  if (isKeeper || others === undefined || sent.length === 0) return;
  const vectors = sent[0]?.vectors ?? 0;
  for (let i = 0; i < vectors; i++) {
    const leaving = sent.map(({ link, start }) => start + i * (task.links[link]?.cyclesPerVector ?? 0));
    holds.push({ chip, from: timeOf(others, i, vectors), until: Math.max(...leaving) + 1 });
  }
}

/** Plays one chunk; gives when its last destination has it. */
function playChunk(
  task: CollectiveTask,
  { problem }: TimedCollective,
  block: Block,
  list: readonly { readonly send: TimedSend; readonly index: number }[],
  { sums, holds }: { readonly sums: string[]; readonly holds: Hold[] },
  report: Report,
): number {
  const isSum = problem.isCombining;
  const held = new Map<number, Content[]>();
  for (const chip of block.sources) held.set(chip, [{ parts: new Set([isSum ? chip : -1]), first: 0, last: 0 }]);
  const arrivals: {
    readonly chip: number;
    readonly content: Content;
    readonly isAdded: boolean;
    readonly index: number;
  }[] = [];
  const settle = (until: number): void => {
    arrivals.sort((a, b) => a.content.first - b.content.first || a.index - b.index);
    for (let next = arrivals[0]; next !== undefined && next.content.first <= until; next = arrivals[0]) {
      arrivals.shift();
      const now = held.get(next.chip)?.at(-1);
      const start = receive(task, held, next.chip, next.content, next.isAdded, next.index, report);
      const sent = list.find(({ index }) => index === next.index)?.send;
      if (start === undefined || now === undefined) continue;
      sums.push(sumText(sent?.chunk, next.chip, start, sent?.vectors));
      const vectors = sent?.vectors ?? 0;
      for (let i = 0; i < vectors; i++) {
        const from = timeOf(next.content, i, vectors);
        holds.push({ chip: next.chip, from, until: Math.max(from, timeOf(now, i, vectors)) });
      }
    }
  };
  for (const { send, index } of list) {
    const { link, start, vectors, isAdded } = send;
    const way = task.links[link];
    if (way === undefined) continue;
    settle(start);
    const last = start + (vectors - 1) * way.cyclesPerVector;
    const states = held.get(way.from) ?? [];
    const isThere = ({ first, last: end }: Content): boolean => {
      const wait = end === 0 ? 0 : task.forwardCycles;
      return first + wait <= start && end + wait <= (task.forwarding === "store-and-forward" ? start : last);
    };
    const carried = states.findLast(isThere);
    if (states.length === 0) report("absent", index, `chip ${way.from} sends chunk ${send.chunk} and does not have it`);
    else if (carried === undefined || states.at(-1) !== carried)
      report("partial", index, `chip ${way.from} sends chunk ${send.chunk} at ${start}, before all of it is there`);
    const parts = (carried ?? states.at(-1))?.parts ?? new Set<number>();
    const content = { parts, first: start + way.latency, last: last + way.latency };
    arrivals.push({ chip: way.to, content, isAdded, index });
  }
  settle(Number.POSITIVE_INFINITY);
  for (const [chip, states] of held) {
    const isKeeper = block.destinations.includes(chip) || (!isSum && block.sources.includes(chip));
    const sent = list.map(({ send }) => send).filter(({ link }) => task.links[link]?.from === chip);
    holdOnWay(task, isKeeper, states, chip, sent, holds);
  }
  let completion = 0;
  const wanted = isSum ? block.sources : [-1];
  for (const chip of block.destinations) {
    const end = held.get(chip)?.at(-1);
    const lacking = wanted.filter((part) => end?.parts.has(part) !== true);
    if (list.length === 0 && end !== undefined && lacking.length > 0) continue;
    if (end === undefined ? list.length > 0 : lacking.length > 0)
      report("missing", -1, `chip ${chip} ends without the parts of ${lacking.join(",")}`);
    completion = Math.max(completion, end?.last ?? 0);
  }
  return completion;
}

const sumText = (chunk: number | undefined, chip: number, start: number, vectors: number | undefined): string =>
  `${vectors} vectors of chunk ${chunk} at chip ${chip} from ${start}`;

/** When what arrives begins to be added to what is there; undefined where nothing is added. */
function receive(
  task: CollectiveTask,
  held: Map<number, Content[]>,
  chip: number,
  content: Content,
  isAdded: boolean,
  index: number,
  report: Report,
): number | undefined {
  const states = held.get(chip) ?? [];
  const now = states.at(-1);
  if (!isAdded || now === undefined) {
    held.set(chip, [...states, content]);
    return undefined;
  }
  const twice = [...content.parts].filter((part) => now.parts.has(part));
  if (twice.length > 0) report("double", index, `the part of ${twice.join(",")} is added at chip ${chip} again`);
  const parts = new Set([...now.parts, ...content.parts]);
  const start = Math.max(now.first, content.first);
  const last = Math.max(now.last, content.last) + task.addCycles;
  held.set(chip, [...states, { parts, first: start + task.addCycles, last }]);
  return start;
}
