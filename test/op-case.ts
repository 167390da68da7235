// How cases of operators are written down: one node, or a few in a row.
import { type Attribute, floats, type NodeSpec, type OpCase, type Operand } from "./op-models.ts";

export type Attrs = Readonly<Record<string, Attribute>>;

interface More {
  readonly opset?: number;
  readonly domain?: string;
  readonly outputs?: readonly string[];
  readonly toScale?: boolean;
}

/** One node. */
export function one(label: string, op: string, inputs: readonly Operand[], attrs: Attrs = {}, more: More = {}): OpCase {
  const { opset = 21, toScale = false, ...rest } = more;
  return { name: `${op} ${label}`, opset, nodes: [{ op, inputs, attrs, ...rest }], toScale };
}

/** Several nodes. */
export const chain = (name: string, nodes: readonly NodeSpec[], opset = 21): OpCase => ({ name, opset, nodes });

export const positive = (shape: readonly number[], seed = 1): Operand => floats(shape, seed, 0.1, 3);
