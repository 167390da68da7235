// The whole line for a drawn graph on a drawn system: compile, verify, execute, compare with the evaluator. What is promised of it holds or there
// is a witness. Knows how the parts are put together, not how cases are drawn.
import { verifyProgram } from "../../backends/check/verify.ts";
import { textBytesOf } from "../../backends/encode/queues.ts";
import { type InterpretResult, interpret } from "../../backends/interp/interpret.ts";
import { type Diagnostic, InvariantError } from "../../ir/diag/diagnostic.ts";
import { evaluateGraph } from "../../ir/graph/evaluate-graph.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { bytesOf, numbersOf, type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";
import { verifyGraph } from "../../ir/graph/verify.ts";
import type { Program } from "../../ir/machine/program.ts";
import { compileGraph } from "../../passes/compile/compile.ts";
import type { GraphCase } from "./graphs.ts";
import type { System } from "./systems.ts";

/** A broken promise, and what shows it. */
export interface Witness {
  readonly invariant: string;
  readonly message: string;
}

export type LineSystem = Pick<System, "target" | "chips" | "spec">;

export type LineResult =
  /** The graph does not fit the system, or asks for what the target lacks. */
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "compiled"; readonly program: Program };

/** Exit codes of refusals that are no fault of the compiler: a bad system, not supported, does not fit. */
const refusals: ReadonlySet<string> = new Set(["LPU3", "LPU4"]);

export function compileCore(graph: Graph, system: LineSystem): LineResult {
  const { target, chips, spec } = system;
  const compiled = compileGraph(graph, target, {
    chips,
    topology: spec,
    modelName: graph.name,
    precision: "fp32",
    effort: 0,
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  return compiled.ok
    ? { kind: "compiled", program: compiled.value.program }
    : { kind: "refused", diagnostics: compiled.diagnostics };
}

/** Elements that differ, as a witness; sums of zeros may differ in their sign. */
function difference(name: string, actual: TensorValue | undefined, expected: TensorValue): Witness[] {
  const [a, b] = [actual === undefined ? [] : numbersOf(actual), numbersOf(expected)];
  const at = Array.from(b).findIndex((number, i) => !(a[i] === number || (Number.isNaN(a[i]) && Number.isNaN(number))));
  if (at < 0 && a.length === b.length) return [];
  const message = `${name}[${at}] is ${a[at]}, the evaluator has ${b[at]}`;
  return [{ invariant: "numbers", message }];
}

/** The fast interpreter must do what the reference did, to the bit. */
function interpreterWitnesses(
  { outputs, executedCycles }: Extract<InterpretResult, { ok: true }>,
  fast: InterpretResult,
): readonly Witness[] {
  const invariant = "interpreters";
  if (!fast.ok) return [{ invariant, message: `only the fast one faults: ${fast.fault.message}` }];
  const found: Witness[] = [];
  if (fast.executedCycles !== executedCycles)
    found.push({ invariant, message: `${executedCycles} cycles, the fast one ${fast.executedCycles}` });
  for (const [name, { bytes }] of outputs) {
    const other = fast.outputs.get(name)?.bytes;
    if (other?.length !== bytes.length || other.some((byte, i) => byte !== bytes[i]))
      found.push({ invariant, message: `${name} differs between the reference and the fast interpreter` });
  }
  return found;
}

/** What execution of a program shows to be wrong, for these inputs. */
export function executionWitnesses(program: Program, { graph, inputs }: GraphCase): readonly Witness[] {
  const host = new Map(
    [...inputs].map(([name, value]) => [name, { dtype: value.dtype, shape: value.shape, bytes: bytesOf(value) }]),
  );
  const result = interpret(program, host);
  if (!result.ok) {
    const { kind, chip, unit, cycle, message } = result.fault;
    return [{ invariant: "execution", message: `${kind}: chip ${chip}, ${unit}, cycle ${cycle}: ${message}` }];
  }
  const found: Witness[] = [...interpreterWitnesses(result, interpret(program, host, { isFast: true }))];
  if (result.executedCycles !== program.latencyCycles)
    found.push({
      invariant: "latency",
      message: `${result.executedCycles} cycles executed, ${program.latencyCycles} promised`,
    });
  for (const [name, expected] of evaluateGraph(graph, inputs)) {
    const output = result.outputs.get(name);
    const actual = output === undefined ? undefined : valueFromBytes(output.dtype, output.shape, output.bytes);
    found.push(...difference(name, actual, expected));
  }
  return found;
}

/** Every promise of the line that a program breaks for these inputs. */
function programWitnesses(program: Program, drawn: GraphCase): readonly Witness[] {
  const found: Witness[] = [];
  for (const { name, violations } of verifyProgram(program).invariants)
    for (const { chip, unit, cycle, message } of violations)
      found.push({ invariant: name, message: `chip ${chip}, ${unit}, cycle ${cycle}: ${message}` });
  return [...found, ...executionWitnesses(program, drawn)];
}

/** Compiles a case for a system and gives every promise that does not hold; undefined where the system is refused the graph. */
export function lineWitnesses(drawn: GraphCase, system: LineSystem): readonly Witness[] | undefined {
  const malformed = verifyGraph(drawn.graph);
  if (malformed.length > 0) return malformed.map(({ rule, message }) => ({ invariant: `graph ${rule}`, message }));
  try {
    const result = compileCore(drawn.graph, system);
    if (result.kind === "compiled") return programWitnesses(result.program, drawn);
    const wrong = result.diagnostics.filter(({ code }) => !refusals.has(code.slice(0, 4)));
    return wrong.length === 0 ? undefined : wrong.map(({ code, message }) => ({ invariant: code, message }));
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return [{ invariant: "compiler", message: error.message }];
  }
}
