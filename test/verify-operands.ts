// Short names for what programs by hand are made of: targets, layout digits, operands and outputs of ALUs.
import type { Target } from "../ir/target/target.ts";
import { presetTarget } from "../src/targets/presets.ts";

export function target(name: string): Target {
  const found = presetTarget(name);
  if (found === undefined) throw new Error(`no preset ${name}`);
  return found;
}

export const rows = (size: number) => [{ size, vector: 1, lane: 0 }];
export const along = (size: number) => [{ size, vector: 0, lane: 1 }];
export const stream = (first: number, direction: "W" | "E" = "E", delay = 0) =>
  ({ kind: "stream", stream: first, direction, type: "f32", delay }) as const;
export const alu = (index: number, delay = 0) => ({ kind: "alu", alu: index, delay }) as const;
export const none = { kind: "none" } as const;
export const out = (first: number) => ({ kind: "stream", stream: first, direction: "E", type: "f32" }) as const;
