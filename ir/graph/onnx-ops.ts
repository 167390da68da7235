// The ONNX operators of the graph form "onnx": one row an operator, in its newest-opset form (axes, splits, pads... as inputs that are constants
// after folding). Rows are added here first; the compiler then lists what has to be written for them.

export interface OnnxOpRow {
  readonly summary: string;
}

export const onnxOps = {
  MatMul: { summary: "matrix product with numpy broadcasting" },
} as const satisfies Record<string, OnnxOpRow>;

export type OnnxOp = keyof typeof onnxOps;
