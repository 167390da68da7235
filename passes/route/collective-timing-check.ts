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
  | "bound";

export type TimedViolation = {
  readonly code: TimedViolationCode;
  /** Index of the send that shows it; -1 for the end. */
  readonly send: number;
  readonly message: string;
};

type Report = (code: TimedViolationCode, send: number, message: string) => void;
/** One state of a chunk at a chip: the parts in it, and when its first and last vector are. */
type Content = { readonly parts: ReadonlySet<number>; readonly first: number; readonly last: number };

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
  let completion = 0;
  blocks.forEach((block, b) => {
    for (let i = 0; i < chunks; i++) {
      const list = byChunk.get(b * chunks + i) ?? [];
      byChunk.delete(b * chunks + i);
      const [first] = list;
      if (first !== undefined) sizes.set(b, (sizes.get(b) ?? 0) + first.send.vectors);
      for (const { send, index } of list)
        if (send.vectors !== first?.send.vectors) report("send", index, `chunk ${send.chunk} changes its size`);
      completion = Math.max(completion, playChunk(task, timed, block, list, sums, report));
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
  return found;
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

/** Plays one chunk; gives when its last destination has it. */
function playChunk(
  task: CollectiveTask,
  { problem }: TimedCollective,
  block: Block,
  list: readonly { readonly send: TimedSend; readonly index: number }[],
  sums: string[],
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
      const start = receive(task, held, next.chip, next.content, next.isAdded, next.index, report);
      const sent = list.find(({ index }) => index === next.index)?.send;
      if (start !== undefined) sums.push(sumText(sent?.chunk, next.chip, start, sent?.vectors));
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
      return first + wait <= start && end + wait <= last;
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
