// The names a graph node may carry: core ops (lower case) and canonical ONNX operators (as ONNX spells them, contrib ops with their domain).
import type { CoreOp } from "./core-ops.ts";
import type { OnnxOp } from "./onnx-ops.ts";

export type OpName = CoreOp | OnnxOp;
