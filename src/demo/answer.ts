// The demonstration: the trained adder on four chips. Compiles models/adder.onnx, proves the schedule legal, then answers a prompt digit by
// digit, each by one execution of the program in the interpreter, cycle by cycle.
import { verifyProgram } from "../../backends/check/verify.ts";
import { describeFault } from "../../backends/interp/fault.ts";
import type { HostTensor } from "../../backends/interp/host.ts";
import { interpret } from "../../backends/interp/interpret.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, invariant, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { bytesOf, int64s, numbersOf, reshaped, valueFromBytes } from "../../ir/graph/values.ts";
import type { Program } from "../../ir/machine/program.ts";
import { compileModel } from "../compile-model.ts";
import { isRecord } from "../formats/json-value.ts";
import { readFileBytes } from "../io.ts";
import { programReport } from "../report/program-report.ts";
import { certificateLines, stageTable } from "../report/program-text.ts";
import { columns, grouped } from "../report/table.ts";
import { defaultTargetName, presetTarget } from "../targets/presets.ts";

const chips = 4;

type Write = (text: string) => void;

/** What models/adder.json says of the model. */
interface Adder {
  readonly vocabulary: readonly string[];
  readonly input: string;
  readonly output: string;
  readonly sequenceLength: number;
  readonly promptLength: number;
  readonly answerLength: number;
  readonly fillToken: number;
}

const numberNames = ["sequenceLength", "promptLength", "answerLength", "fillToken"];

function readAdder(path: string): Result<Adder> {
  const bytes = readFileBytes(path);
  if (!bytes.ok) return bytes;
  const json: unknown = JSON.parse(new TextDecoder().decode(bytes.value));
  const isAdder =
    isRecord(json) &&
    Array.isArray(json.vocabulary) &&
    typeof json.input === "string" &&
    typeof json.output === "string" &&
    numberNames.every((name) => typeof json[name] === "number");
  invariant(isAdder, `${path} does not describe the adder`);
  return ok(json as unknown as Adder);
}

function promptTokens(adder: Adder, prompt: string): Result<readonly number[]> {
  const tokens = [...prompt].map((character) => adder.vocabulary.indexOf(character));
  if (/^\d{3}\+\d{3}=$/.test(prompt) && tokens.length === adder.promptLength && !tokens.includes(-1)) return ok(tokens);
  return fail(diagnostic("LPU0002", `'${prompt}' does not have the form 123+456=`));
}

/** The token with the largest logit in one row. */
function bestToken(logits: HostTensor, row: number): number {
  const data = numbersOf(valueFromBytes(logits.dtype, logits.shape, logits.bytes));
  const width = logits.shape.at(-1) ?? 0;
  let best = 0;
  for (let token = 1; token < width; token++) {
    if ((data[row * width + token] ?? 0) > (data[row * width + best] ?? 0)) best = token;
  }
  return best;
}

interface Step {
  readonly token: number;
  readonly cycles: number;
}

/** One execution: the token at `position`. */
function nextToken(program: Program, adder: Adder, tokens: readonly number[], position: number): Result<Step> {
  const padded = Array.from({ length: adder.sequenceLength }, (_, i) => tokens[i] ?? adder.fillToken);
  const ids = reshaped(int64s(padded), [1, adder.sequenceLength]);
  const input = { dtype: ids.dtype, shape: ids.shape, bytes: bytesOf(ids) };
  const result = interpret(program, new Map([[adder.input, input]]));
  if (!result.ok) return fail(diagnostic("LPU6002", describeFault(result.fault)));
  const logits = result.outputs.get(adder.output);
  invariant(logits !== undefined, `the program has no output ${adder.output}`);
  return ok({ token: bestToken(logits, position - 1), cycles: result.executedCycles });
}

/** Says how the program was verified, or what it breaks. */
function verified(program: Program, write: Write): readonly Diagnostic[] {
  const report = verifyProgram(program);
  const facts = report.invariants.reduce((sum, { checked }) => sum + checked, 0);
  const broken = report.invariants.filter(({ violationCount }) => violationCount > 0).map(({ name }) => name);
  if (broken.length > 0) return [diagnostic("LPU6001", `the program breaks: ${broken.join(", ")}`)];
  write(`verified: all ${report.invariants.length} invariants hold, ${grouped(facts)} facts checked\n\n`);
  return [];
}

/** Answers `prompt` with the adder in the folder `models`, saying everything through `write`; gives what went wrong. */
export function demo(models: string, prompt: string, write: Write): readonly Diagnostic[] {
  const adder = readAdder(`${models}/adder.json`);
  if (!adder.ok) return adder.diagnostics;
  const tokens = promptTokens(adder.value, prompt);
  if (!tokens.ok) return tokens.diagnostics;
  const target = presetTarget(defaultTargetName);
  invariant(target !== undefined, "the default target is a preset");
  write(`compiling models/adder.onnx for ${chips} chips of ${target.name} ...\n`);
  const options = { target, chips, dims: new Map(), shapes: new Map(), precision: "fp16" } as const;
  const compiled = compileModel(`${models}/adder.onnx`, options);
  if (!compiled.ok) return compiled.diagnostics;
  const { program } = compiled.value;
  const report = programReport(program);
  write(`${stageTable(report)}\n\n`);
  const broken = verified(program, write);
  if (broken.length > 0) return broken;
  const sequence = [...tokens.value];
  const rows: string[][] = [];
  while (sequence.length < adder.value.promptLength + adder.value.answerLength) {
    const before = sequence.map((token) => adder.value.vocabulary[token]).join("");
    const step = nextToken(program, adder.value, sequence, sequence.length);
    if (!step.ok) return step.diagnostics;
    rows.push([before, adder.value.vocabulary[step.value.token] ?? "?", grouped(step.value.cycles)]);
    sequence.push(step.value.token);
  }
  write(`${columns(["sequence so far", "next", "cycles executed"], rows, [2])}\n\n`);
  const answer = sequence.map((token) => adder.value.vocabulary[token]).join("");
  write(`${certificateLines(report)}\n\n${answer}\n`);
  return [];
}
