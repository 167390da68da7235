// Multi-head and grouped-query attention in the styles that exporters write, with rotary positions and masks as they
// stand in real graphs. Knows the layer parts, not the order of a whole model.
import {
  addConstant,
  addInts,
  addNode,
  addNodeOutputs,
  type GraphDraft,
  intAttribute,
  intsAttribute,
} from "./graph-draft.ts";
import { activationType, addLinear, addRowReshape, addScalar, type Drafting } from "./layer-parts.ts";

/** Values shared by all layers: made once a model. */
export type SharedInputs = {
  /** Penalty [batch, 1, 1, seq] added to the scores. */
  readonly penalty: string | undefined;
  /** Causal mask [1, 1, seq, seq]: bool for `where`, a float penalty for `add`. */
  readonly causalMask: string | undefined;
  /** Tables [1, 1, seq, headSize]. */
  readonly rope: { readonly cos: string; readonly sin: string } | undefined;
};

const ROPE_BASE = 10000;
/** Rotary tables are rounded to this grid: every JavaScript engine then makes the same bytes. */
const ROPE_GRID = 2 ** 11;
const LARGEST_FINITE = { float32: 3.4028234663852886e38, float16: 65504 } as const;

function addPenalty(drafting: Drafting): string {
  const { draft, options } = drafting;
  const scope = "/mask";
  draft.inputs.push({ name: "attention_mask", type: "int64", dims: [options.batch, options.seq] });
  const rows = addNode(draft, scope, "Unsqueeze", ["attention_mask", addInts(draft, scope, [1])]);
  const wide = addNode(draft, scope, "Unsqueeze", [rows, addInts(draft, scope, [2])]);
  const to = intAttribute(options.precision === "float16" ? 10 : 1);
  const float = addNode(draft, scope, "Cast", [wide], { to });
  const missing = addNode(draft, scope, "Sub", [addScalar(drafting, scope, 1), float]);
  return addNode(draft, scope, "Mul", [missing, addScalar(drafting, scope, -10000)]);
}

function addCausalMask(drafting: Drafting): string {
  const { draft, options } = drafting;
  const cells = options.seq * options.seq;
  const isVisible = (cell: number) => cell % options.seq <= Math.floor(cell / options.seq);
  const dims = [1, 1, options.seq, options.seq];
  if (options.maskStyle === "where") {
    const visible = Array.from({ length: cells }, (_, cell) => (isVisible(cell) ? 1 : 0));
    return addConstant(draft, "/causal", "bool", dims, visible);
  }
  const type = options.precision === "float16" ? "float16" : "float32";
  const penalty = Array.from({ length: cells }, (_, cell) => (isVisible(cell) ? 0 : -LARGEST_FINITE[type]));
  return addConstant(draft, "/causal", type, dims, penalty);
}

function addRopeTable(drafting: Drafting, table: "cos" | "sin"): string {
  const { draft, options } = drafting;
  const size = options.d / options.heads;
  const values = Array.from({ length: options.seq * size }, (_, cell) => {
    const pair = (cell % size) % (size / 2);
    const angle = Math.floor(cell / size) * ROPE_BASE ** ((-2 * pair) / size);
    return Math.round(Math[table](angle) * ROPE_GRID) / ROPE_GRID;
  });
  return addConstant(draft, `/rope/${table}`, activationType(options), [1, 1, options.seq, size], values);
}

/** Masks and tables that the options ask for. */
export function addSharedInputs(drafting: Drafting): SharedInputs {
  const { options } = drafting;
  return {
    penalty: options.attentionMask ? addPenalty(drafting) : undefined,
    causalMask: options.causal ? addCausalMask(drafting) : undefined,
    rope:
      options.positions === "rope"
        ? { cos: addRopeTable(drafting, "cos"), sin: addRopeTable(drafting, "sin") }
        : undefined,
  };
}

function addSlice(draft: GraphDraft, scope: string, value: string, from: number, to: number): string {
  const bounds = [[from], [to], [-1]].map((ints) => addInts(draft, scope, ints));
  return addNode(draft, scope, "Slice", [value, ...bounds]);
}

/** Rotates the halves of each head: x cos + [-x2, x1] sin. */
function addRope(
  drafting: Drafting,
  scope: string,
  value: string,
  tables: { readonly cos: string; readonly sin: string },
): string {
  const { draft, options } = drafting;
  const size = options.d / options.heads;
  const direct = addNode(draft, scope, "Mul", [value, tables.cos]);
  const low = addSlice(draft, scope, value, 0, size / 2);
  const high = addSlice(draft, scope, value, size / 2, size);
  const turned = addNode(draft, scope, "Concat", [addNode(draft, scope, "Neg", [high]), low], {
    axis: intAttribute(-1),
  });
  return addNode(draft, scope, "Add", [direct, addNode(draft, scope, "Mul", [turned, tables.sin])]);
}

function addProjections(drafting: Drafting, scope: string, value: string): readonly [string, string, string] {
  const { draft, options } = drafting;
  const kvWidth = (options.d / options.heads) * options.kvHeads;
  const widths = [options.d, kvWidth, kvWidth];
  if (options.qkv === "fused") {
    const outputs = options.d + 2 * kvWidth;
    const joined = addLinear(drafting, `${scope}/qkv`, value, { inputs: options.d, outputs, bias: options.bias });
    const sizes = addInts(draft, scope, widths);
    const parts = addNodeOutputs(draft, scope, "Split", [joined, sizes], { axis: intAttribute(-1) }, 3);
    return [parts[0] ?? "", parts[1] ?? "", parts[2] ?? ""];
  }
  const project = (part: string, outputs: number) =>
    addLinear(drafting, `${scope}/${part}`, value, { inputs: options.d, outputs, bias: options.bias });
  return [project("q", options.d), project("k", kvWidth), project("v", kvWidth)];
}

/** [batch, seq, heads * size] as [batch, heads, seq, size]. */
function addHeads(drafting: Drafting, scope: string, value: string, heads: number): string {
  const split = addRowReshape(drafting, scope, value, [heads, drafting.options.d / drafting.options.heads]);
  return addNode(drafting.draft, scope, "Transpose", [split], { perm: intsAttribute([0, 2, 1, 3]) });
}

/** Repeats each K or V head for the query heads that share it. */
function addRepeat(drafting: Drafting, scope: string, value: string): string {
  const { draft, options } = drafting;
  const { batch, seq, heads, kvHeads } = options;
  if (heads === kvHeads) return value;
  const size = options.d / heads;
  const apart = addNode(draft, scope, "Unsqueeze", [value, addInts(draft, scope, [2])]);
  const shape = addInts(draft, scope, [batch, kvHeads, heads / kvHeads, seq, size]);
  const wide = addNode(draft, scope, "Expand", [apart, shape]);
  return addNode(draft, scope, "Reshape", [wide, addInts(draft, scope, [batch, heads, seq, size])]);
}

function addScores(drafting: Drafting, scope: string, query: string, keys: string, shared: SharedInputs): string {
  const { draft, options } = drafting;
  const scale = Math.sqrt(options.d / options.heads);
  const isQueryScaled = options.scaleStyle === "multiply-query";
  const scaledQuery = isQueryScaled
    ? addNode(draft, scope, "Mul", [query, addScalar(drafting, scope, 1 / scale)])
    : query;
  const product = addNode(draft, scope, "MatMul", [scaledQuery, keys]);
  let scores = isQueryScaled ? product : addNode(draft, scope, "Div", [product, addScalar(drafting, scope, scale)]);
  if (shared.penalty !== undefined) scores = addNode(draft, scope, "Add", [scores, shared.penalty]);
  if (shared.causalMask === undefined) return scores;
  if (options.maskStyle === "add") return addNode(draft, scope, "Add", [scores, shared.causalMask]);
  return addNode(draft, scope, "Where", [shared.causalMask, scores, addScalar(drafting, scope, -Infinity)]);
}

/** The attention half of a layer, its output projection included. */
export function addAttention(drafting: Drafting, scope: string, value: string, shared: SharedInputs): string {
  const { draft, options } = drafting;
  const [q, k, v] = addProjections(drafting, scope, value);
  let query = addHeads(drafting, scope, q, options.heads);
  let key = addHeads(drafting, scope, k, options.kvHeads);
  if (shared.rope !== undefined) {
    query = addRope(drafting, `${scope}/rope_q`, query, shared.rope);
    key = addRope(drafting, `${scope}/rope_k`, key, shared.rope);
  }
  const values = addRepeat(drafting, scope, addHeads(drafting, scope, v, options.kvHeads));
  const repeated = addRepeat(drafting, scope, key);
  const keys = addNode(draft, scope, "Transpose", [repeated], { perm: intsAttribute([0, 1, 3, 2]) });
  const scores = addScores(drafting, scope, query, keys, shared);
  const weights = addNode(draft, scope, "Softmax", [scores], { axis: intAttribute(-1) });
  const context = addNode(draft, scope, "MatMul", [weights, values]);
  const rows = addNode(draft, scope, "Transpose", [context], { perm: intsAttribute([0, 2, 1, 3]) });
  const joined = addRowReshape(drafting, scope, rows, [options.d]);
  return addLinear(drafting, `${scope}/out`, joined, { inputs: options.d, outputs: options.d, bias: options.bias });
}
