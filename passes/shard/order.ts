// When exchanges take place in a chain of blocks.
import type { BlockChain } from "../blocks/blocks.ts";
import type { Exchange } from "./sharded.ts";

/** Exchanges that take place after each block: those of its phase, after the phase's last block. */
export function exchangesAfter(chain: BlockChain, exchanges: readonly Exchange[], block: number): Exchange[] {
  const phase = chain.blocks[block]?.phase ?? 0;
  const next = chain.blocks[block + 1]?.phase;
  if (next === phase) return [];
  return exchanges.filter((exchange) => exchange.phase >= phase && (next === undefined || exchange.phase < next));
}
