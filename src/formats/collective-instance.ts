// Reads a collective instance as JSON: `links_dst_src[d][s]` chunks a round over the link s -> d, `pre` and `post` blocks each rank holds and must
// hold, optional `switches` as [sources, destinations, chunks a round]. Pure; must not know files or the solver.
import {
  type CollectiveLink,
  type CollectiveProblem,
  type LinkGroup,
  verifyCollective,
} from "../../passes/route/collective-problem.ts";
import { type Fault, isRecord, list, type Reading, wholeNumber } from "./json-value.ts";

export type CollectiveInstance = {
  readonly topology: string;
  readonly collective: string;
  readonly problem: CollectiveProblem;
};

export function looksLikeCollective(value: unknown): boolean {
  return isRecord(value) && "links_dst_src" in value;
}

/** Ranks an instance may have; its link table is square. */
const mostRanks = 4096;

export function readCollective(value: unknown): Reading<CollectiveInstance> {
  const faults: Fault[] = [];
  const record = isRecord(value) ? value : {};
  const name = (field: string): string => (typeof record[field] === "string" ? record[field] : "unnamed");
  const collective = name("collective");
  const table = list(record.links_dst_src, "links_dst_src", faults);
  const ranks = table.length;
  if (ranks === 0 || ranks > mostRanks)
    faults.push({ path: "links_dst_src", message: `${ranks} is no number of ranks` });
  const links = readLinks(table, faults);
  const groups = readSwitches(record.switches, links, faults);
  const pre = readHoldings(record.pre, "pre", ranks, faults);
  const post = readHoldings(record.post, "post", ranks, faults);
  if (faults.length > 0) return { ok: false, faults };
  const count = 1 + [...pre, ...post].flat().reduce((most, block) => Math.max(most, block), -1);
  const sources: number[][] = Array.from({ length: count }, () => []);
  const destinations: number[][] = Array.from({ length: count }, () => []);
  pre.forEach((blocks, rank) => {
    for (const block of new Set(blocks)) sources[block]?.push(rank);
  });
  post.forEach((blocks, rank) => {
    for (const block of new Set(blocks)) destinations[block]?.push(rank);
  });
  const blocks = sources.map((from, block) => ({ sources: from, destinations: destinations[block] ?? [] }));
  const problem: CollectiveProblem = { ranks, links, groups, blocks, isCombining: /reduce/i.test(collective) };
  const wrong = verifyCollective(problem);
  if (wrong.length > 0) return { ok: false, faults: wrong.map((message) => ({ path: "", message })) };
  return { ok: true, value: { topology: name("topology"), collective, problem } };
}

function readLinks(table: readonly unknown[], faults: Fault[]): readonly CollectiveLink[] {
  const links: CollectiveLink[] = [];
  table.forEach((row, to) => {
    const cells = list(row, `links_dst_src[${to}]`, faults);
    if (cells.length !== table.length && Array.isArray(row))
      faults.push({ path: `links_dst_src[${to}]`, message: `${cells.length} entries for ${table.length} ranks` });
    cells.forEach((cell, from) => {
      const path = `links_dst_src[${to}][${from}]`;
      const perRound = wholeNumber(cell, path, faults);
      if (perRound < 0) faults.push({ path, message: `${perRound} chunks a round` });
      if (perRound > 0 && from !== to) links.push({ from, to, perRound });
    });
  });
  return links;
}

function readSwitches(value: unknown, links: readonly CollectiveLink[], faults: Fault[]): readonly LinkGroup[] {
  if (value === undefined) return [];
  return list(value, "switches", faults).map((item, i): LinkGroup => {
    const path = `switches[${i}]`;
    const [from, to, rate] = list(item, path, faults);
    const ranks = (part: unknown, where: string): ReadonlySet<number> =>
      new Set(list(part, where, faults).map((rank, at) => wholeNumber(rank, `${where}[${at}]`, faults)));
    const sources = ranks(from, `${path}[0]`);
    const sinks = ranks(to, `${path}[1]`);
    const perRound = wholeNumber(rate, `${path}[2]`, faults);
    const members = links.flatMap((link, index) => (sources.has(link.from) && sinks.has(link.to) ? [index] : []));
    return { links: members, perRound };
  });
}

function readHoldings(value: unknown, field: string, ranks: number, faults: Fault[]): readonly (readonly number[])[] {
  const rows = list(value, field, faults);
  if (Array.isArray(value) && rows.length !== ranks)
    faults.push({ path: field, message: `${rows.length} entries for ${ranks} ranks` });
  return rows.map((row, rank) =>
    list(row, `${field}[${rank}]`, faults).map((block, i) => {
      const path = `${field}[${rank}][${i}]`;
      const number = wholeNumber(block, path, faults);
      if (number >= 0 && number < 1_000_000) return number;
      faults.push({ path, message: `${number} is no block` });
      return 0;
    }),
  );
}
