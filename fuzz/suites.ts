// All fuzz suites as one table.
import { formatSuites } from "./formats.ts";
import { lineSuites } from "./line.ts";
import { machineSuites } from "./machines.ts";
import { onnxSuites } from "./onnx.ts";
import { programSuites } from "./program.ts";
import type { Suite } from "./suite.ts";

export const suites: readonly Suite[] = [
  ...onnxSuites,
  ...programSuites,
  ...formatSuites,
  ...lineSuites,
  ...machineSuites,
];
