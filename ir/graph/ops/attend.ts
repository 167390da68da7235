// The arithmetic that all attention operators share, on plain arrays: scores, softcap, bias, softmax, weighted sum. In double.
import { exp, tanh } from "../../numeric/real.ts";
import { largestOf, transform } from "../values.ts";

/** Heads split out of [batch, sequence, heads x size]: element (b, h, s, i) at ((b * heads + h) * sequence + s) * size + i. */
export function splitHeads(source: ArrayLike<number>, batch: number, sequence: number, heads: number): Float64Array {
  const result = new Float64Array(source.length);
  const size = source.length / (batch * sequence * heads);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let s = 0; s < sequence; s++) {
        const from = ((b * sequence + s) * heads + h) * size;
        const to = ((b * heads + h) * sequence + s) * size;
        for (let i = 0; i < size; i++) result[to + i] = source[from + i] ?? 0;
      }
    }
  }
  return result;
}

/** The inverse of `splitHeads`. */
export const joinHeads = (source: ArrayLike<number>, batch: number, sequence: number, heads: number): Float64Array =>
  splitHeads(source, batch, heads, sequence);

/** [batch, heads, past + new, size] from two parts. */
export function appendKeys(
  past: ArrayLike<number>,
  pastLength: number,
  added: ArrayLike<number>,
  newLength: number,
  size: number,
): Float64Array {
  const planes = added.length / (newLength * size);
  const total = pastLength + newLength;
  const result = new Float64Array(planes * total * size);
  for (let p = 0; p < planes; p++) {
    for (let i = 0; i < pastLength * size; i++) result[p * total * size + i] = past[p * pastLength * size + i] ?? 0;
    for (let i = 0; i < newLength * size; i++) {
      result[(p * total + pastLength) * size + i] = added[p * newLength * size + i] ?? 0;
    }
  }
  return result;
}

export interface AttentionProblem {
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly size: number;
  readonly valueSize: number;
  readonly scale: number;
  /** 0 for none. */
  readonly softcap: number;
  readonly q: ArrayLike<number>;
  readonly k: ArrayLike<number>;
  readonly v: ArrayLike<number>;
  /** Added to the score of key j for query i; -Infinity hides it. */
  readonly bias: (b: number, h: number, i: number, j: number) => number;
  /** Logit of an extra key without a value, a head. */
  readonly sink?: (h: number) => number;
}

export interface AttentionResult {
  /** [batch, heads, queries, valueSize] */
  readonly y: Float64Array;
  /** [batch, heads, queries, keys]: scaled products, then softcapped, then with the bias, then softmax. */
  readonly stages: readonly [Float64Array, Float64Array, Float64Array, Float64Array];
}

/** e^x / sum in place; a line with nothing visible becomes 0. */
function softmaxVisible(line: Float64Array, sink: number): void {
  const top = Math.max(largestOf(line), sink);
  if (top === -Infinity) {
    line.fill(0);
    return;
  }
  let sum = sink === -Infinity ? 0 : exp(sink - top);
  transform(line, (x) => exp(x - top));
  for (let j = 0; j < line.length; j++) sum += line[j] ?? 0;
  transform(line, (x) => x / sum);
}

export function attend(p: AttentionProblem): AttentionResult {
  const { batch, heads, queries, keys, size, valueSize } = p;
  const count = batch * heads * queries * keys;
  const stage = (): Float64Array => new Float64Array(count);
  const stages = [stage(), stage(), stage(), stage()] as const;
  const [raw, capped, biased, weights] = stages;
  const y = new Float64Array(batch * heads * queries * valueSize);
  for (let row = 0; row < batch * heads * queries; row++) {
    const [b, h, i] = [Math.floor(row / (heads * queries)), Math.floor(row / queries) % heads, row % queries];
    const plane = b * p.kvHeads + Math.floor(h / (heads / p.kvHeads));
    for (let j = 0; j < keys; j++) {
      const at = row * keys + j;
      let sum = 0;
      for (let l = 0; l < size; l++) sum += (p.q[row * size + l] ?? 0) * (p.k[(plane * keys + j) * size + l] ?? 0);
      const score = sum * p.scale;
      const cap = p.softcap === 0 ? score : p.softcap * tanh(score / p.softcap);
      raw[at] = score;
      capped[at] = cap;
      biased[at] = cap + p.bias(b, h, i, j);
    }
    const line = biased.slice(row * keys, (row + 1) * keys);
    softmaxVisible(line, p.sink?.(h) ?? -Infinity);
    weights.set(line, row * keys);
    for (let j = 0; j < keys; j++) {
      const weight = line[j] ?? 0;
      if (weight === 0) continue;
      for (let l = 0; l < valueSize; l++) {
        y[row * valueSize + l] =
          (y[row * valueSize + l] ?? 0) + weight * (p.v[(plane * keys + j) * valueSize + l] ?? 0);
      }
    }
  }
  return { y, stages };
}
