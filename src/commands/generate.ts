// `lpuc generate`: continues a text token by token, each token an execution of the program in the interpreter.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { compileModel } from "../compile-model.ts";
import { readTokenizer, type Tokenizer } from "../formats/tokenizer.ts";
import { type Generated, generate, languageModel } from "../generate.ts";
import { readFileBytes } from "../io.ts";
import { programReport } from "../report/program-report.ts";
import { certificateLines } from "../report/program-text.ts";
import { grouped, seconds } from "../report/table.ts";
import { assertionsOf, failedAssertions } from "./asserts.ts";
import { modelOptions } from "./model-options.ts";
import {
  badOption,
  endStage,
  type Outcome,
  operand,
  optionValue,
  progress,
  type Session,
  stage,
  stageTimes,
  warn,
  wholeOption,
} from "./session.ts";

const USUAL_COUNT = 32;

function tokenizerOf(session: Session): Result<Tokenizer> {
  const path = optionValue(session, "tokenizer");
  if (path === undefined) return fail(badOption("tokenizer", "which file has the model's tokens is not said"));
  const bytes = readFileBytes(path);
  if (!bytes.ok) return bytes;
  const tokenizer = readTokenizer(bytes.value);
  if (typeof tokenizer !== "string") return ok(tokenizer);
  return fail(diagnostic("LPU1042", tokenizer, { location: { kind: "file", path } }));
}

function promptOf(session: Session, tokenizer: Tokenizer): Result<readonly number[]> {
  const tokens = tokenizer.encode(optionValue(session, "prompt") ?? "");
  if (typeof tokens === "string") return fail(badOption("prompt", `the tokenizer does not cover the text: ${tokens}`));
  if (tokens.length > 0) return ok(tokens);
  return fail(badOption("prompt", "there is no text to continue, and the tokenizer has no token that begins one"));
}

const reasons = {
  count: "as many tokens as asked for",
  end: "the model ended the text",
  context: "the sequence is as long as the model takes",
} as const satisfies Record<Generated["why"], string>;

export function generateCommand(session: Session): Result<Outcome> {
  const count = wholeOption(session, "count", 1);
  const options = modelOptions(session);
  const assertions = assertionsOf(session);
  const tokenizer = tokenizerOf(session);
  const prompt = tokenizer.ok ? promptOf(session, tokenizer.value) : ok([]);
  if (!count.ok || !options.ok || !assertions.ok || !tokenizer.ok || !prompt.ok) {
    const parts = [count, options, assertions, tokenizer, prompt];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const compiled = compileModel(operand(session, 0), options.value);
  endStage(session);
  if (!compiled.ok) return compiled;
  warn(session, compiled.value.imported.warnings);
  const { program } = compiled.value;
  const model = languageModel(program);
  if (!model.ok) return model;
  const { size, end, decode } = tokenizer.value;
  if (size > model.value.vocabulary) {
    const message = `the tokenizer has ${size} tokens, the model's logits ${model.value.vocabulary}`;
    return fail(badOption("tokenizer", message));
  }
  stage(session, "interpret");
  const told: number[] = [];
  const generated = generate(model.value, {
    prompt: prompt.value,
    count: count.value ?? USUAL_COUNT,
    end,
    onToken: (token) => {
      told.push(token);
      progress(
        session,
        decode([...prompt.value, ...told])
          .slice(-60)
          .replaceAll(/\s+/g, " "),
      );
    },
  });
  endStage(session);
  if (!generated.ok) return generated;
  const { tokens, executions, why } = generated.value;
  const report = programReport(program);
  const { caches } = model.value;
  const resident = caches.filter(({ isResident }) => isResident).length;
  const text = decode([...prompt.value, ...tokens]);
  const executedCycles = executions * program.latencyCycles;
  const lines = [
    text,
    `${grouped(tokens.length)} tokens behind ${grouped(prompt.value.length)} of the prompt: ${reasons[why]}`,
    certificateLines(report),
    `executed      ${grouped(executions)} times, ${grouped(executedCycles)} cycles = ${seconds(executedCycles / report.clockHz)}, ${Math.round(report.clockHz / report.latencyCycles)} tokens a second`,
    ...(caches.length === 0
      ? []
      : [`caches        ${resident} stay in SRAM from token to token, the host carries ${caches.length - resident}`]),
  ];
  const json = {
    model: report.model,
    target: report.target,
    chips: report.chips,
    precision: report.precision,
    text,
    promptTokens: prompt.value,
    tokens,
    stopped: why,
    executions,
    latencyCycles: report.latencyCycles,
    executedCycles,
    seconds: executedCycles / report.clockHz,
    host: report.host,
    cachesInSram: resident,
    cachesOnHost: caches.length - resident,
    passes: stageTimes(session),
  };
  return ok({ json, text: `${lines.join("\n\n")}\n`, problems: failedAssertions(assertions.value, report) });
}
