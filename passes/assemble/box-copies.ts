// From boxes of border tensors to copies of vectors: which runs of words of which part become which of another tensor, or of the same one elsewhere.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { Layout } from "../lower/layout.ts";
import type { BorderPart, BorderTensor } from "./borders.ts";
import type { CopyEnd } from "./transfer.ts";

export interface Box {
  readonly sourceOrigin: readonly number[];
  readonly targetOrigin: readonly number[];
  readonly extent: readonly number[];
}

export interface Run {
  readonly source: CopyEnd;
  readonly target: CopyEnd;
  readonly words: number;
}

/** Vector and lane that each index of a dimension adds. */
function dimTable(layout: Layout, dim: number): { vectors: Int32Array; lanes: Int32Array } {
  const size = layout.shape[dim] as number;
  const vectors = new Int32Array(size);
  const lanes = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    let rest = i;
    for (const digit of [...(layout.dims[dim] ?? [])].reverse()) {
      const value = rest % digit.size;
      rest = (rest - value) / digit.size;
      vectors[i] = (vectors[i] as number) + value * digit.vector;
      lanes[i] = (lanes[i] as number) + value * digit.lane;
    }
  }
  return { vectors, lanes };
}

/** Distinct steps (vector of the source, vector of the target) along each dimension of a box. */
function dimSteps(source: Layout, target: Layout, box: Box): (readonly [number, number])[][] {
  return box.extent.map((count, d) => {
    const [from, to] = [dimTable(source, d), dimTable(target, d)];
    const steps = new Map<string, readonly [number, number]>();
    for (let i = 0; i < count; i++) {
      const [s, t] = [(box.sourceOrigin[d] as number) + i, (box.targetOrigin[d] as number) + i];
      invariant(from.lanes[s] === to.lanes[t], "a box keeps its lanes");
      const step = [from.vectors[s] as number, to.vectors[t] as number] as const;
      steps.set(step.join(), step);
    }
    return [...steps.values()];
  });
}

/** Vectors of the source and of the target of a box, by ascending vectors of the source. */
function vectorPairs(source: Layout, target: Layout, box: Box): (readonly [number, number])[] {
  let pairs: (readonly [number, number])[] = [[source.vector, target.vector]];
  for (const steps of dimSteps(source, target, box))
    pairs = pairs.flatMap(([s, t]) => steps.map(([a, b]) => [s + a, t + b] as const));
  return pairs.sort(([a], [b]) => a - b);
}

const partOf = (tensor: BorderTensor, vector: number): BorderPart => {
  const part = tensor.parts[Math.floor(vector / tensor.partVectors)];
  invariant(part !== undefined, "a vector is in a part");
  return part;
};

/** The runs of words that copy a box between two chips, part by part. */
export function boxRuns(source: BorderTensor, target: BorderTensor, box: Box, from: number, to: number): Run[] {
  const runs: Run[] = [];
  let last: { s: number; t: number; words: number } | undefined;
  const flush = (): void => {
    if (last === undefined) return;
    const [a, b] = [partOf(source, last.s), partOf(target, last.t)];
    runs.push({
      source: { chip: from, region: a.region, location: a.location, offset: last.s % source.partVectors },
      target: { chip: to, region: b.region, location: b.location, offset: last.t % target.partVectors },
      words: last.words,
    });
  };
  for (const [s, t] of vectorPairs(source.layout, target.layout, box)) {
    const joins =
      last !== undefined &&
      s === last.s + last.words &&
      t === last.t + last.words &&
      s % source.partVectors !== 0 &&
      t % target.partVectors !== 0;
    if (joins && last !== undefined) last.words++;
    else {
      flush();
      last = { s, t, words: 1 };
    }
  }
  flush();
  return runs;
}
