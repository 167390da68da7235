// The commands as one table: the command line, its help and the refusal of what is not there yet derive from the rows.
import type { Result } from "../../ir/diag/diagnostic.ts";
import { asmCommand, disasmCommand } from "./assembler.ts";
import { bisectCommand } from "./bisect.ts";
import { checkCommand } from "./check.ts";
import { compareCommand } from "./compare.ts";
import { compileCommand } from "./compile.ts";
import { completionCommand } from "./completion.ts";
import { conformanceCommand } from "./conformance.ts";
import { diffCommand } from "./diff.ts";
import { explainCommand } from "./explain.ts";
import { exploreCommand } from "./explore.ts";
import { generateCommand } from "./generate.ts";
import { inspectCommand } from "./inspect.ts";
import { opsCommand } from "./ops.ts";
import {
  comparing,
  compiling,
  compilingMany,
  compilingPart,
  exploring,
  generating,
  type OptionName,
} from "./options.ts";
import { allocCommand, ofModels, partitionCommand, routeCommand } from "./passes-alone.ts";
import { runCommand } from "./run.ts";
import { scheduleCommand } from "./schedule.ts";
import type { Outcome, Session } from "./session.ts";
import { targetsCommand } from "./targets.ts";
import { verifyCommand } from "./verify.ts";

export interface CommandRow {
  readonly name: string;
  /** As commander reads them: `<needed>`, `[optional]`. */
  readonly operands: string;
  readonly summary: string;
  readonly options: readonly OptionName[];
  readonly run: (session: Session) => Result<Outcome> | Promise<Result<Outcome>>;
}

export const commandRows: readonly CommandRow[] = [
  {
    name: "compile",
    operands: "<model.onnx>",
    summary: "compile a model to a program and print its figures",
    options: ["programFile", "problemFormat", "emitPlacement", ...compiling],
    run: compileCommand,
  },
  {
    name: "run",
    operands: "<program.lpu|model.onnx>",
    summary: "execute a program in the interpreter, cycle by cycle",
    options: ["input", "dataSet", "outputFile", "outputDir", "against", "tolerance", "interpreter", ...compiling],
    run: runCommand,
  },
  {
    name: "bisect",
    operands: "<model.onnx>",
    summary: "find the first tensor that leaves its reference, and the smallest model that shows it",
    options: ["input", "dataSet", "reference", "tolerance", "reproductionDir", ...compilingPart],
    run: bisectCommand,
  },
  {
    name: "verify",
    operands: "<program.lpu>",
    summary: "check a program against every invariant, independently of the compiler",
    options: ["seed", "listed"],
    run: verifyCommand,
  },
  {
    name: "check",
    operands: "<model.onnx>",
    summary: "say everything that is wrong with a model, or what it needs; schedule nothing",
    options: ["problemFormat", ...compiling],
    run: checkCommand,
  },
  {
    name: "inspect",
    operands: "<program.lpu>",
    summary: "show what is in a program",
    options: ["section"],
    run: inspectCommand,
  },
  {
    name: "disasm",
    operands: "<program.lpu>",
    summary: "print a program as text; with a filter, list some of its instructions",
    options: ["chip", "unit", "cycles", "resultFile"],
    run: disasmCommand,
  },
  {
    name: "asm",
    operands: "<text.lpasm>",
    summary: "assemble the text of a program: the inverse of disasm, to the byte",
    options: ["assembledFile"],
    run: asmCommand,
  },
  {
    name: "schedule",
    operands: "<program.lpu>",
    summary: "write the emitted schedule",
    options: ["format", "resultFile"],
    run: scheduleCommand,
  },
  {
    name: "diff",
    operands: "<before.lpu> <after.lpu>",
    summary: "show what changed from one build of a program to another",
    options: ["listedChanges"],
    run: diffCommand,
  },
  {
    name: "conformance",
    operands: "<dir...>",
    summary: "run folders of the ONNX backend tests: compile, verify, execute, compare",
    options: ["caseTolerance", "compareTo", "resume", ...compilingMany],
    run: conformanceCommand,
  },
  {
    name: "generate",
    operands: "<model.onnx>",
    summary: "continue a text token by token, each token an execution in the interpreter",
    options: ["prompt", "tokenizer", "count", ...generating],
    run: generateCommand,
  },
  {
    name: "partition",
    operands: "<problem.json|model.onnx>",
    summary: "solve a partitioning problem alone, or show a model on several numbers of chips",
    options: ["partitionChips", "capacity", "budget", ...ofModels],
    run: partitionCommand,
  },
  {
    name: "explore",
    operands: "<model.onnx>",
    summary: "compile a model for many systems and show which of them nothing else beats",
    options: [
      "sweepTargets",
      "sweepChips",
      "sweepTopologies",
      "sweepPrecisions",
      "sweepParallel",
      "sweepTensorParallel",
      "set",
      "exploreFormat",
      ...exploring,
    ],
    run: exploreCommand,
  },
  {
    name: "compare",
    operands: "<model.onnx>",
    summary: "hold a model's schedule against the published peaks of GPUs, TPUs and wafers",
    options: ["device", ...comparing],
    run: compareCommand,
  },
  {
    name: "alloc",
    operands: "<problem.csv>",
    summary: "solve an allocation problem alone",
    options: ["capacity", "budget", "resultFile"],
    run: allocCommand,
  },
  {
    name: "route",
    operands: "<problem.json>",
    summary: "solve a routing problem alone",
    options: ["chunks", "objective", "steps", "budget"],
    run: routeCommand,
  },
  {
    name: "targets",
    operands: "[name|file]",
    summary: "list the machines lpuc knows, or every number of one with its source",
    options: [],
    run: targetsCommand,
  },
  { name: "ops", operands: "", summary: "list the operators lpuc knows", options: [], run: opsCommand },
  {
    name: "explain",
    operands: "<code>",
    summary: "explain a diagnostic code such as LPU2004",
    options: [],
    run: explainCommand,
  },
  {
    name: "completion",
    operands: "<bash|zsh|fish>",
    summary: "print what a shell needs to complete command lines",
    options: [],
    run: (session) => completionCommand(session, commandRows),
  },
];
