// The lowering of every operator, in one table.
import { activationLowerings } from "./lower-activation.ts";
import { castLowerings } from "./lower-cast.ts";
import { elementwiseLowerings } from "./lower-elementwise.ts";
import { indexLowerings } from "./lower-index.ts";
import { matmulLowerings } from "./lower-matmul.ts";
import { normLowerings } from "./lower-norm.ts";
import { reduceLowerings } from "./lower-reduce.ts";
import { viewLowerings } from "./lower-views.ts";
import type { LoweringTable } from "./site.ts";

export const lowerings: LoweringTable = {
  ...elementwiseLowerings,
  ...activationLowerings,
  ...castLowerings,
  ...viewLowerings,
  ...indexLowerings,
  ...reduceLowerings,
  ...normLowerings,
  ...matmulLowerings,
};
