// A layer with a mixture of experts as exporters write it, every expert computed for every token: with the experts' weights stacked and multiplied in a
// batch, or one expert after the other.
import { constant, floats, i64, listed, modelOf, type NodeSpec, type Operand, scalar } from "./op-models.ts";

export interface MoeOptions {
  readonly style: "stacked" | "separate";
  readonly experts: number;
  /** Experts that count for a token. */
  readonly top: number;
  readonly tokens: number;
  readonly d: number;
  readonly ffn: number;
}

const weights = (shape: readonly number[], seed: number): Operand => {
  const scale = 1 / Math.sqrt(shape.at(-2) ?? 1);
  return constant(floats(shape, seed, -scale, scale));
};

const node = (op: string, inputs: readonly Operand[], output: string, attrs: NodeSpec["attrs"] = {}): NodeSpec => ({
  op,
  inputs,
  outputs: [output],
  attrs,
});

/** Probabilities of the best experts of every token, [tokens, top], made to sum to one; and which these are. */
function router({ experts, top, d }: MoeOptions, x: Operand): NodeSpec[] {
  return [
    node("MatMul", [x, weights([d, experts], 7)], "scores"),
    node("Softmax", ["scores"], "probabilities", { axis: -1n }),
    { op: "TopK", inputs: ["probabilities", constant(i64(top))], outputs: ["best", "which"], attrs: { axis: -1n } },
    node("ReduceSum", ["best", constant(i64(-1))], "sum", { keepdims: 1n }),
    node("Div", ["best", "sum"], "share"),
  ];
}

/** All experts in a batch, weighted by a sum of one-hot rows. */
function stacked({ experts, d, ffn }: MoeOptions, x: Operand): NodeSpec[] {
  return [
    node("OneHot", ["which", constant(scalar("int64", experts)), constant(listed("float32", [2], [0, 1]))], "hot", {
      axis: -1n,
    }),
    node("Unsqueeze", ["share", constant(i64(-1))], "column"),
    node("Mul", ["hot", "column"], "weighted"),
    node("ReduceSum", ["weighted", constant(i64(1))], "of each", { keepdims: 0n }),
    node("Transpose", ["of each"], "by expert", { perm: [1n, 0n] }),
    node("Unsqueeze", ["by expert", constant(i64(-1))], "factors"),
    node("Unsqueeze", [x, constant(i64(0))], "batch"),
    node("MatMul", ["batch", weights([experts, d, ffn], 11)], "gate"),
    node("MatMul", ["batch", weights([experts, d, ffn], 12)], "up"),
    node("Sigmoid", ["gate"], "gate sigmoid"),
    node("Mul", ["gate", "gate sigmoid"], "silu"),
    node("Mul", ["silu", "up"], "hidden"),
    node("MatMul", ["hidden", weights([experts, ffn, d], 13)], "down"),
    node("Mul", ["down", "factors"], "counted"),
    node("ReduceSum", ["counted", constant(i64(0))], "mixture", { keepdims: 0n }),
  ];
}

/** One expert after the other, each weighted by what the tokens that chose it give it. */
function separate({ experts, d, ffn }: MoeOptions, x: Operand): NodeSpec[] {
  const expert = (e: number): NodeSpec[] => {
    const is = (name: string): string => `${name} ${e}`;
    const out = e === experts - 1 ? "mixture" : is("so far");
    return [
      node("Equal", ["which", constant(scalar("int64", e))], is("chosen")),
      node("Where", [is("chosen"), "share", constant(scalar("float32", 0))], is("kept")),
      node("ReduceSum", [is("kept"), constant(i64(-1))], is("factor"), { keepdims: 1n }),
      node("MatMul", [x, weights([d, ffn], 100 + e)], is("gate")),
      node("MatMul", [x, weights([d, ffn], 200 + e)], is("up")),
      node("Sigmoid", [is("gate")], is("gate sigmoid")),
      node("Mul", [is("gate"), is("gate sigmoid")], is("silu")),
      node("Mul", [is("silu"), is("up")], is("hidden")),
      node("MatMul", [is("hidden"), weights([ffn, d], 300 + e)], is("down")),
      e === 0
        ? node("Mul", [is("down"), is("factor")], is("so far"))
        : node("Mul", [is("down"), is("factor")], is("counted")),
      ...(e === 0 ? [] : [node("Add", [`so far ${e - 1}`, is("counted")], out)]),
    ];
  };
  return Array.from({ length: experts }, (_, e) => expert(e)).flat();
}

/** `x + experts(x)`, with `x` the one input and `y` the one output. */
export function moeModel(options: MoeOptions): ReturnType<typeof modelOf> {
  const x = floats([options.tokens, options.d], 3, -1, 1);
  const nodes = [
    node("Mul", [x, constant(scalar("float32", 1))], "x"),
    ...router(options, "x"),
    ...(options.style === "stacked" ? stacked(options, "x") : separate(options, "x")),
    node("Add", ["x", "mixture"], "y"),
  ];
  return modelOf({ name: `moe-${options.style}`, opset: 17, nodes });
}
