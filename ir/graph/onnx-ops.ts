// The ONNX operators of the graph form "onnx", one row each, in the newest-opset form: axes, splits, pads, starts... are inputs (constants after
// folding), tensor attributes are inputs, element types in attributes are names. Contrib operators carry their domain in the name.
import { activationOps } from "./ops/activation.ts";
import { arithmeticOps } from "./ops/arithmetic.ts";
import { attentionOps } from "./ops/attention.ts";
import { castOps } from "./ops/cast.ts";
import { contribAttentionOps } from "./ops/contrib-attention.ts";
import { contribDecoderOps } from "./ops/contrib-decoder.ts";
import { contribFusedOps } from "./ops/contrib-fused.ts";
import { contribQuantisedOps } from "./ops/contrib-quantised.ts";
import { convolutionOps } from "./ops/convolution.ts";
import { gatherOps } from "./ops/gather.ts";
import { generateOps } from "./ops/generate.ts";
import { logicOps } from "./ops/logic.ts";
import { matmulOps } from "./ops/matmul.ts";
import { movementOps } from "./ops/movement.ts";
import { normOps } from "./ops/norm.ts";
import { poolOps } from "./ops/pool.ts";
import { quantiseOps } from "./ops/quantise.ts";
import { rankingOps } from "./ops/ranking.ts";
import { reduceOps } from "./ops/reduce.ts";
import { scatterOps } from "./ops/scatter.ts";
import { shapeOps } from "./ops/shape.ts";
import { softmaxOps } from "./ops/softmax.ts";
import { unaryOps } from "./ops/unary.ts";

export const onnxOps = {
  ...arithmeticOps,
  ...unaryOps,
  ...activationOps,
  ...logicOps,
  ...castOps,
  ...matmulOps,
  ...normOps,
  ...softmaxOps,
  ...reduceOps,
  ...shapeOps,
  ...movementOps,
  ...gatherOps,
  ...generateOps,
  ...scatterOps,
  ...rankingOps,
  ...convolutionOps,
  ...poolOps,
  ...quantiseOps,
  ...attentionOps,
  ...contribAttentionOps,
  ...contribDecoderOps,
  ...contribFusedOps,
  ...contribQuantisedOps,
} as const;

export type OnnxOp = keyof typeof onnxOps;

export const isOnnxOp = (name: string): name is OnnxOp => Object.hasOwn(onnxOps, name);
