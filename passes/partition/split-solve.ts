// The best way to split a layer: dynamic programming over its operators in order. A state says in which layouts each tensor that is still
// to be read is there; of two ways to the same state the better one is kept, so the answer is exact. Must not know how answers are checked.
import {
  type Conversion,
  conversionNames,
  conversions,
  LAYER_INPUT,
  type SplitProblem,
  type SplitSolution,
  type SplitWay,
  type TensorLayout,
} from "./split-problem.ts";

/** More states than any layer of a transformer has; beyond that the worst are dropped. */
const MOST_STATES = 4096;

type Held = { readonly op: number; readonly layouts: readonly TensorLayout[] };

type State = {
  readonly held: readonly Held[];
  readonly cycles: number;
  readonly bytes: number;
  readonly before: State | undefined;
  readonly did: Step | undefined;
};

type Step =
  | { readonly kind: "way"; readonly way: number }
  | { readonly kind: "convert"; readonly op: number; readonly conversion: Conversion };

/** `problem` must be well formed: `verifySplitProblem` finds nothing. Undefined where the ways do not meet. */
export function solveSplit(problem: SplitProblem): SplitSolution | undefined {
  const { ops } = problem;
  const lastReader = new Map<number, number>([[ops.length - 1, ops.length]]);
  ops.forEach(({ inputs }, i) => {
    for (const input of inputs) lastReader.set(input, Math.max(i, lastReader.get(input) ?? 0));
  });
  const start: State = {
    held: [{ op: LAYER_INPUT, layouts: ["whole"] }],
    cycles: 0,
    bytes: 0,
    before: undefined,
    did: undefined,
  };
  let states: readonly State[] = [start];
  let isExact = true;
  ops.forEach((op, i) => {
    const reached = new Map<string, State>();
    for (const state of states) {
      op.ways.forEach((way, w) => {
        for (const ready of readied(problem, state, op.inputs, way.reads)) {
          const held = ready.held.filter((tensor) => (lastReader.get(tensor.op) ?? -1) > i);
          keepBetter(problem, reached, {
            held: [...held, { op: i, layouts: [way.writes] }],
            cycles: ready.cycles + way.computeCycles,
            bytes: ready.bytes + way.weightBytes + way.stateBytes,
            before: ready,
            did: { kind: "way", way: w },
          });
        }
      });
    }
    states = [...reached.values()];
    if (states.length > MOST_STATES) {
      states = [...states].sort((a, b) => compare(problem, a, b)).slice(0, MOST_STATES);
      isExact = false;
    }
  });
  const finished = new Map<string, State>();
  for (const state of states)
    for (const done of readied(problem, state, [ops.length - 1], "whole"))
      keepBetter(problem, finished, { ...done, held: [] });
  const [best] = [...finished.values()];
  return best === undefined ? undefined : described(problem, best, isExact);
}

/** The state with all of `inputs` in `layout`, by each sequence of conversions that may be worth it. */
function readied(
  problem: SplitProblem,
  state: State,
  inputs: readonly number[],
  layout: "whole" | "split",
): readonly State[] {
  let states: readonly State[] = [state];
  for (const input of new Set(inputs)) states = states.flatMap((one) => converted(problem, one, input, layout));
  return states;
}

function converted(problem: SplitProblem, state: State, op: number, layout: "whole" | "split"): readonly State[] {
  const layouts = state.held.find((tensor) => tensor.op === op)?.layouts ?? [];
  if (layouts.includes(layout)) return [state];
  const found: State[] = [];
  for (const conversion of conversionNames) {
    const { from, to } = conversions[conversion];
    if (!layouts.includes(from) || layouts.includes(to)) continue;
    const cycles = op === LAYER_INPUT ? problem.inputCycles : problem.ops[op]?.cycles;
    const next: State = {
      held: state.held.map((tensor) => (tensor.op === op ? { op, layouts: withLayout(layouts, to) } : tensor)),
      cycles: state.cycles + (cycles?.[conversion] ?? 0),
      bytes: state.bytes,
      before: state,
      did: { kind: "convert", op, conversion },
    };
    // One conversion may lead there by way of the other layout, as a reduce-scatter and an all-gather do.
    found.push(...(to === layout ? [next] : converted(problem, next, op, layout)));
  }
  return found;
}

const layoutOrder: readonly TensorLayout[] = ["whole", "split", "partial"];

function withLayout(layouts: readonly TensorLayout[], added: TensorLayout): readonly TensorLayout[] {
  return layoutOrder.filter((layout) => layout === added || layouts.includes(layout));
}

function compare({ objective }: SplitProblem, a: State, b: State): number {
  return objective === "cycles" ? a.cycles - b.cycles || a.bytes - b.bytes : a.bytes - b.bytes || a.cycles - b.cycles;
}

function keepBetter(problem: SplitProblem, states: Map<string, State>, state: State): void {
  const key = state.held.map(({ op, layouts }) => `${op}:${layouts.join()}`).join(";");
  const known = states.get(key);
  if (known === undefined || compare(problem, state, known) < 0) states.set(key, state);
}

function described({ ops, inputCycles }: SplitProblem, last: State, isExact: boolean): SplitSolution {
  const steps: Step[] = [];
  for (let state: State | undefined = last; state !== undefined; state = state.before)
    if (state.did !== undefined) steps.push(state.did);
  steps.reverse();
  const ways = steps.flatMap((step) => (step.kind === "way" ? [step.way] : []));
  const made = steps.flatMap((step) => (step.kind === "convert" ? [{ op: step.op, conversion: step.conversion }] : []));
  const chosen = ways.flatMap((way, i): readonly SplitWay[] => {
    const made = ops[i]?.ways[way];
    return made === undefined ? [] : [made];
  });
  const sum = (field: "computeCycles" | "weightBytes" | "stateBytes"): number =>
    chosen.reduce((total, way) => total + way[field], 0);
  const collectiveCycles = made.reduce(
    (total, { op, conversion }) => total + ((op === LAYER_INPUT ? inputCycles : ops[op]?.cycles)?.[conversion] ?? 0),
    0,
  );
  return {
    ways,
    conversions: made,
    computeCycles: sum("computeCycles"),
    collectiveCycles,
    weightBytes: sum("weightBytes"),
    stateBytes: sum("stateBytes"),
    isExact,
  };
}
