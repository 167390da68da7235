// Border tensors: their standard homes and the regions they take on every chip that has them.
import type { StoredType } from "../../ir/dtype.ts";
import { storedTypes } from "../../ir/dtype.ts";
import type { Graph, TensorId } from "../../ir/graph/graph.ts";
import type { Target } from "../../ir/target/target.ts";
import { standardLaneDim } from "../lower/elementwise.ts";
import { partVectorsOf } from "../lower/homes.ts";
import { type Layout, makeLayout } from "../lower/layout.ts";
import type { Location } from "../schedule/state.ts";
import { borderLocation } from "./classes.ts";

export interface BorderPart {
  readonly region: string;
  readonly part: number;
  readonly location: Location;
  readonly words: number;
}

export interface BorderTensor {
  readonly tensor: TensorId;
  readonly type: StoredType;
  readonly layout: Layout;
  readonly partVectors: number;
  readonly parts: readonly BorderPart[];
}

export const regionKey = (tensor: TensorId, type: StoredType, part: number): string => `${tensor}:${type}:${part}`;

export function borderTensor(
  graph: Graph,
  target: Target,
  tensor: TensorId,
  type: StoredType,
  ordinal: number,
): BorderTensor {
  const shape = graph.tensors[tensor]?.shape ?? [];
  const { layout, vectors } = makeLayout(shape, standardLaneDim(shape, target.lanes), target.lanes);
  const partVectors = partVectorsOf(layout, vectors, target);
  const parts = Array.from(
    { length: Math.max(1, Math.ceil(vectors / partVectors)) },
    (_, part): BorderPart => ({
      region: regionKey(tensor, type, part),
      part,
      location: borderLocation(target, ordinal, { type, vectors }, storedTypes[type].bytes, part),
      words: Math.min(partVectors, vectors - part * partVectors),
    }),
  );
  return { tensor, type, layout, partVectors, parts };
}
