// Arbitrary core graphs with values for their inputs. Sums and products in them are exact in any order, so that a program must give the evaluator's
// numbers, not numbers near them. Must not know any compiler.
import fc from "fast-check";
import type { Graph } from "../../ir/graph/graph.ts";
import type { TensorValue } from "../../ir/graph/values.ts";
import {
  addInput,
  addNode,
  asWhole,
  type CoreBuilder,
  finishGraph,
  type Known,
  newCoreBuilder,
} from "./core-builder.ts";
import { type Scene, type Step, type StepKind, stepKinds, takeStep } from "./core-steps.ts";

export interface GraphCase {
  readonly graph: Graph;
  /** By input name. */
  readonly inputs: ReadonlyMap<string, TensorValue>;
}

export interface GraphOptions {
  /** Steps a layer has, at most; a step is one to five nodes. */
  readonly steps?: number;
  /** Repetitions of the layer, at most. */
  readonly layers?: number;
  /** Elements a tensor has, at most. */
  readonly elements?: number;
  /** Operand types of matrix products. */
  readonly precisions?: readonly ("fp16" | "fp32" | "int8")[];
  readonly kinds?: readonly StepKind[];
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 12, 17, 33] as const;
const largestInput = 4;

interface Recipe {
  readonly shape: readonly number[];
  readonly indices: number;
  readonly before: readonly Step[];
  readonly layer: readonly Step[];
  readonly layers: number;
  readonly after: readonly Step[];
  readonly seed: number;
}

function recipes(options: Required<GraphOptions>): fc.Arbitrary<Recipe> {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom(...options.kinds),
    x: fc.nat(7),
    y: fc.nat(31),
    choice: fc.nat(11),
    size: fc.nat(63),
  });
  const shape = fc
    .array(fc.constantFrom(...sizes), { minLength: 1, maxLength: 4 })
    .map((list) =>
      list.filter((_, i) => list.slice(0, i + 1).reduce((n: number, size) => n * size, 1) <= options.elements),
    );
  return fc.record({
    shape: shape.map((list) => (list.length > 0 ? list : [1])),
    indices: fc.nat(3),
    before: fc.array(step, { maxLength: Math.ceil(options.steps / 2) }),
    layer: fc.array(step, { maxLength: options.steps }),
    layers: fc.integer({ min: 0, max: options.layers }),
    after: fc.array(step, { maxLength: Math.ceil(options.steps / 2) }),
    seed: fc.nat(1_000_000),
  });
}

function takeSteps(scene: Scene, steps: readonly Step[]): readonly Known[] {
  let values = scene.values;
  for (const step of steps) {
    const made = takeStep({ ...scene, values }, step);
    // Bytes are for products and conversions only; other steps see words.
    if (made !== undefined && made.dtype !== "int8" && made.dtype !== "uint8") values = [...values, made];
  }
  return values;
}

/** A layer ends in what it began with, so that it can be repeated. */
function closeLayer(builder: CoreBuilder, start: Known, values: readonly Known[]): Known {
  const alike = values.findLast((value) => value !== start && value.shape.join() === start.shape.join()) ?? start;
  const sum = addNode(builder, "add", [start, asWhole(builder, alike, 64)], {
    limit: start.limit + 64,
    isWhole: true,
  });
  return asWhole(builder, sum, start.limit);
}

function buildCase(recipe: Recipe, options: Required<GraphOptions>): GraphCase {
  const builder = newCoreBuilder();
  const { seed, layer, layers } = recipe;
  const x = addInput(builder, "float32", recipe.shape, largestInput, seed);
  const indices = recipe.indices === 0 ? [] : [addInput(builder, "int32", [recipe.indices], 9, seed + 1)];
  const scene = { builder, seed, precisions: options.precisions, mostElements: options.elements };
  let values = takeSteps({ ...scene, values: [...indices, x] }, recipe.before);
  if (layers > 0) {
    const last = values.findLast((value) => value.dtype === "float32") ?? x;
    let state = asWhole(builder, last, 64);
    for (let i = 0; i < layers; i++) {
      const inner = takeSteps({ ...scene, seed: seed + i * 1000, values: [...indices, state] }, layer);
      state = closeLayer(builder, state, inner.slice(indices.length));
    }
    values = [...indices, state];
  }
  takeSteps({ ...scene, values }, recipe.after);
  // A graph computes something.
  if (builder.nodes.length === 0) addNode(builder, "add", [x, x], { limit: 2 * x.limit, isWhole: true });
  return { graph: finishGraph(builder, "drawn"), inputs: builder.values };
}

export function graphCases(options: GraphOptions = {}): fc.Arbitrary<GraphCase> {
  const whole: Required<GraphOptions> = {
    steps: options.steps ?? 5,
    layers: options.layers ?? 3,
    elements: options.elements ?? 512,
    precisions: options.precisions ?? ["fp16", "fp32", "int8"],
    kinds: options.kinds ?? stepKinds,
  };
  return recipes(whole).map((recipe) => buildCase(recipe, whole));
}
