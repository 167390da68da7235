// LinearAttention: the recurrence over a state of keys by values, a step a token.
import { float, int, numberOf, string, stringOf } from "../../../ir/graph/attr.ts";
import type { TensorId } from "../../../ir/graph/graph.ts";
import { type Problem, problem } from "../../../ir/graph/op-row.ts";
import { shapeText } from "../../../ir/graph/shapes.ts";
import { sliceOf } from "./functions.ts";
import {
  type ExpandCall,
  type Expansion,
  type ExpansionTable,
  type Made,
  tooManySteps,
  type Writer,
} from "./writer.ts";

const rules: Readonly<Record<string, { readonly gated: boolean; readonly corrected: boolean }>> = {
  linear: { gated: false, corrected: false },
  gated: { gated: true, corrected: false },
  delta: { gated: false, corrected: true },
  gated_delta: { gated: true, corrected: true },
};

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly groups: number;
  readonly size: number;
  readonly valueSize: number;
}

function sizesOf(w: Writer, { inputs, attrs }: ExpandCall): Sizes | Problem {
  const [q = null, k = null, v = null, past = null, decay = null, beta = null] = inputs;
  const [queries, keys, values] = [w.shape(q), w.shape(k), w.shape(v)];
  const [all, heads] = [numberOf(attrs, "q_num_heads"), numberOf(attrs, "kv_num_heads")];
  const [batch = 0, length = 0, width = 0] = queries;
  const [size, valueSize, groups] = [width / all, (values[2] ?? 0) / heads, all / heads];
  const whole = [size, valueSize, groups].every((n) => Number.isInteger(n) && n >= 1);
  const fits = [queries, keys, values].every((s) => s.length === 3 && s[0] === batch && s[1] === length);
  if (!whole || !fits || keys[2] !== heads * size) {
    const shapes = [queries, keys, values].map(shapeText).join(", ");
    return problem("shape", `query, key and value ${shapes} do not fit ${all} and ${heads} heads`);
  }
  const state = [batch, heads, size, valueSize];
  if (past !== null && w.shape(past).join() !== state.join())
    return problem("shape", `past_state is ${shapeText(w.shape(past))}, needed: ${shapeText(state)}`);
  const checked = (name: string, x: TensorId | null, widths: readonly number[]): Problem | undefined => {
    const shape = w.shape(x);
    const ok = x === null || (shape.slice(0, 2).join() === `${batch},${length}` && widths.includes(shape[2] ?? 0));
    return ok ? undefined : problem("shape", `${name} ${shapeText(shape)} does not fit ${heads} heads of ${size}`);
  };
  const wrong = checked("decay", decay, [heads, heads * size]) ?? checked("beta", beta, [heads, 1]);
  return wrong ?? tooManySteps(length, "tokens") ?? { batch, length, heads, groups, size, valueSize };
}

/** [B, T, heads * n] -> [B, heads, T, n]. */
function split(w: Writer, x: Made, heads: number): Made {
  const [batch = 0, length = 0, width = 0] = w.shape(x);
  const parts = w.op("Reshape", [x, w.ints(batch, length, heads, width / heads)]);
  return w.op("Transpose", [parts], { perm: [0, 2, 1, 3] });
}

function attend(w: Writer, call: ExpandCall, s: Sizes): readonly Made[] {
  const [q, k, v, past, decay, beta] = call.inputs;
  const { batch, length, heads, groups, size, valueSize } = s;
  const given = numberOf(call.attrs, "scale");
  const scale = given === 0 ? 1 / Math.sqrt(size) : given;
  const queries = w.op("Mul", [split(w, q ?? undefined, heads * groups), w.like(q, scale)]);
  const columns = (x: Made, of: number): Made => w.op("Transpose", [split(w, x, of)], { perm: [0, 1, 3, 2] });
  const [keys, values] = [columns(k ?? undefined, heads), split(w, v ?? undefined, heads)];
  const kept = decay ? w.op("Exp", [columns(decay, heads)]) : undefined;
  const rates = beta ? split(w, beta, w.shape(beta)[2] ?? 1) : undefined;
  let state: Made = past ?? w.op("Expand", [w.like(q, 0), w.ints(batch, heads, size, valueSize)]);
  const lines: Made[] = [];
  for (let t = 0; t < length; t += 1) {
    if (kept !== undefined) state = w.op("Mul", [state, sliceOf(w, kept, 3, t, t + 1)]);
    const key = sliceOf(w, keys, 3, t, t + 1);
    let value = sliceOf(w, values, 2, t, t + 1);
    if (rates !== undefined) {
      const found = w.op("MatMul", [w.op("Transpose", [key], { perm: [0, 1, 3, 2] }), state]);
      value = w.op("Mul", [w.op("Sub", [value, found]), sliceOf(w, rates, 2, t, t + 1)]);
    }
    state = w.op("Add", [state, w.op("Mul", [key, value])]);
    const asked = w.op("Reshape", [sliceOf(w, queries, 2, t, t + 1), w.ints(batch, heads, groups, size)]);
    const answer = w.op("MatMul", [asked, state]);
    lines.push(w.op("Reshape", [answer, w.ints(batch, 1, heads * groups * valueSize)]));
  }
  return [w.op("Concat", lines, { axis: 1 }), state];
}

const linearAttention: Expansion = {
  summary: "a state of keys by values, decayed and corrected token by token, read by queries",
  inputs: ["query: float", "key: query", "value: query", "past_state?: query", "decay?: query", "beta?: query"],
  outputs: ["output", "present_state?"],
  attrs: {
    chunk_size: int(64),
    kv_num_heads: { ...int(), required: true },
    q_num_heads: { ...int(), required: true },
    scale: float(0),
    update_rule: string("gated_delta"),
  },
  expand: (w, call) => {
    const name = stringOf(call.attrs, "update_rule");
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) return problem("attr", `update_rule is ${name}, allowed: ${Object.keys(rules).join(", ")}`);
    if (rule.gated !== (call.inputs[4] !== null))
      return problem("arity", `${name} ${rule.gated ? "needs" : "has no"} decay`);
    if (rule.corrected !== (call.inputs[5] !== null))
      return problem("arity", `${name} ${rule.corrected ? "needs" : "has no"} beta`);
    const sizes = sizesOf(w, call);
    return "problem" in sizes ? sizes : attend(w, call, sizes);
  },
};

export const linearAttentionExpansions: ExpansionTable = { LinearAttention: linearAttention };
