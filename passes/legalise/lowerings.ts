// The lowering of every operator, in one table.
import { activationLowerings } from "./lower-activation.ts";
import { attentionLowerings } from "./lower-attention.ts";
import { castLowerings } from "./lower-cast.ts";
import { contribLowerings } from "./lower-contrib.ts";
import { convLowerings } from "./lower-conv.ts";
import { elementwiseLowerings } from "./lower-elementwise.ts";
import { indexLowerings } from "./lower-index.ts";
import { matmulLowerings } from "./lower-matmul.ts";
import { normLowerings } from "./lower-norm.ts";
import { qdqLowerings } from "./lower-qdq.ts";
import { quantiseLowerings } from "./lower-quantise.ts";
import { quantisedProductLowerings } from "./lower-quantised-products.ts";
import { reduceLowerings } from "./lower-reduce.ts";
import { trigonometryLowerings } from "./lower-trigonometry.ts";
import { viewLowerings } from "./lower-views.ts";
import type { LoweringTable } from "./site.ts";

export const lowerings: LoweringTable = {
  ...elementwiseLowerings,
  ...activationLowerings,
  ...trigonometryLowerings,
  ...castLowerings,
  ...viewLowerings,
  ...indexLowerings,
  ...reduceLowerings,
  ...normLowerings,
  ...matmulLowerings,
  ...attentionLowerings,
  ...contribLowerings,
  ...convLowerings,
  ...quantiseLowerings,
  ...quantisedProductLowerings,
  ...qdqLowerings,
};
