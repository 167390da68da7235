// What programs that test schedulers may import, as `lpuc/testing`: arbitraries for fast-check and the named invariants. docs/testing.md tells how.
export type { Diagnostic } from "../ir/diag/diagnostic.ts";
export { evaluateGraph } from "../ir/graph/evaluate-graph.ts";
export type { Graph } from "../ir/graph/graph.ts";
export { parseGraph } from "../ir/graph/parse.ts";
export { printGraph } from "../ir/graph/print.ts";
export type { TensorValue } from "../ir/graph/values.ts";
export type { Program } from "../ir/machine/program.ts";
export type { Target, TopologySpec } from "../ir/target/target.ts";
export type { Topology } from "../ir/target/topology.ts";
export type { ChoiceBuffer, ChoicePlace, ChoiceProblem } from "../passes/alloc/choice-problem.ts";
export { type ChoiceResult, solveChoices } from "../passes/alloc/choice-solve.ts";
export type { AllocBuffer, AllocGap, AllocProblem } from "../passes/alloc/problem.ts";
export { solveAlloc } from "../passes/alloc/solve.ts";
export type { DagEdge, DagNode, DagProblem, DagSolution } from "../passes/partition/dag-problem.ts";
export { solveDag } from "../passes/partition/dag-solve.ts";
export type { ChainLayer, ChainProblem, ChainSolution, ChainStage } from "../passes/partition/problem.ts";
export { solveChain } from "../passes/partition/solve.ts";
export type {
  CollectiveProblem,
  CollectiveSchedule,
  CollectiveSolution,
} from "../passes/route/collective-problem.ts";
export { solveCollective } from "../passes/route/collective-solve.ts";
export type { RouteBurst, RouteLink, RouteProblem, RouteSolution, RouteTransfer } from "../passes/route/problem.ts";
export { solveRoute } from "../passes/route/solve.ts";
export { type AllocProblemOptions, allocProblems, anyAllocProblem, choiceProblems } from "./testing/alloc-problems.ts";
export { collectiveProblems, type LegalCollective, legalCollectives } from "./testing/collective-problems.ts";
export type { StepKind } from "./testing/core-steps.ts";
export { type GraphCase, type GraphOptions, graphCases } from "./testing/graphs.ts";
export {
  allocationInvariants,
  brokenInvariants,
  chainInvariants,
  choiceInvariants,
  collectiveInvariants,
  type Invariant,
  placementInvariants,
  programInvariants,
  routeInvariants,
} from "./testing/invariants.ts";
export { type Allocator, type AllocatorLaw, allocatorLaws, allocatorProperty } from "./testing/laws.ts";
export {
  type LegalAllocation,
  type LegalProgram,
  type LegalRoute,
  legalAllocations,
  legalPrograms,
  legalRoutes,
} from "./testing/legal.ts";
export { compileCore, type LineResult, type LineSystem, lineWitnesses, type Witness } from "./testing/line.ts";
export { chainProblems, placementProblems } from "./testing/partition-problems.ts";
export { routeProblems } from "./testing/route-problems.ts";
export { type System, systems, targets, type Wiring, wirings } from "./testing/systems.ts";
export { type TilingOptions, tiledAllocProblems } from "./testing/tilings.ts";
