// --pipeline, --stop-after and --dump-ir: how far a compilation goes, with which settings, and what is written on the way.
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { type PassName, passNames } from "../../passes/compile/pass-names.ts";
import type { ModelMade, ModelOptions } from "../compile-model.ts";
import { dumpLines, madeText } from "../dump.ts";
import { writeFileAtomic } from "../io.ts";
import { defaultPipeline, type Pipeline, parsePipeline } from "../pipeline.ts";
import { columns } from "../report/table.ts";
import { programName } from "./program-file.ts";
import { badOption, type Outcome, operand, optionValue, type Session, stageTimes } from "./session.ts";

/** The encoder makes a file of its own: there is nothing more to show. */
const dumpable = passNames.filter((name) => name !== "encode");

/** Follows a compilation: what the passes made, the files written, and a file that could not be. */
export interface Observer {
  /** The last pass that is done. */
  readonly last: PassName;
  readonly options: Pick<ModelOptions, "effort" | "repeats" | "onMade">;
  readonly made: { readonly pass: PassName; readonly what: string }[];
  readonly dumps: string[];
  readonly problems: Diagnostic[];
}

function pipelineOf(session: Session): Result<Pipeline> {
  const text = optionValue(session, "pipeline");
  if (text === undefined) return ok(defaultPipeline);
  const pipeline = parsePipeline(text);
  if (!("problems" in pipeline)) return ok(pipeline);
  return {
    ok: false,
    diagnostics: pipeline.problems.map(({ message, help }) => badOption("pipeline", message, help)),
  };
}

function passOption<N extends string>(
  session: Session,
  name: "stopAfter" | "dumpIr",
  known: readonly N[],
): Result<N | undefined> {
  const text = optionValue(session, name);
  const pass = known.find((candidate) => candidate === text);
  if (text === undefined || pass !== undefined) return ok(pass);
  const help = didYouMean(text, known) ?? `the passes are ${known.join(", ")}`;
  return { ok: false, diagnostics: [badOption(name, `there is no pass '${text}'`, help)] };
}

/** `model.lpu` -> `model.ir`: the folder for dumps stands beside the program. */
const dumpFolder = (session: Session): string =>
  `${(optionValue(session, "programFile") ?? programName(operand(session, 0))).replace(/\.lpu$/, "")}.ir`;

function* encodedLines(lines: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const line of lines) yield encoder.encode(`${line}\n`);
}

/** `reach` is how far the command goes by itself; what the options say, or everything that is wrong with them. */
export function observerOf(session: Session, reach: PassName): Result<Observer> {
  const pipeline = pipelineOf(session);
  const stop = passOption(session, "stopAfter", passNames);
  const dump = passOption(session, "dumpIr", [...dumpable, "all"] as const);
  if (!pipeline.ok || !stop.ok || !dump.ok) {
    return { ok: false, diagnostics: [pipeline, stop, dump].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const { passes, ...settings } = pipeline.value;
  const ends = [passes.at(-1), stop.value, reach].map((name) =>
    name === undefined ? passNames.length : passNames.indexOf(name),
  );
  const last = passNames[Math.min(...ends)] ?? reach;
  const observer: Observer = { last, made: [], dumps: [], problems: [], options: settings };
  const onMade = (made: ModelMade): boolean => follow(observer, made, dump.value, dumpFolder(session));
  return ok({ ...observer, options: { ...settings, onMade } });
}

function follow(observer: Observer, made: ModelMade, dump: string | undefined, folder: string): boolean {
  const { pass } = made;
  observer.made.push({ pass, what: madeText(made) });
  if (dump === "all" || dump === pass) {
    const file = `${folder}/${observer.made.length}.${pass}.lpir`;
    const written = writeFileAtomic(file, encodedLines(dumpLines(made)));
    if (!written.ok) {
      observer.problems.push(...written.diagnostics);
      return false;
    }
    observer.dumps.push(file);
  }
  return pass !== observer.last;
}

/** What is said of a compilation that ended before there was a program: early, or because a dump could not be written. */
export function stoppedOutcome(session: Session, observer: Observer): Result<Outcome> {
  if (observer.problems.length > 0) return { ok: false, diagnostics: observer.problems };
  const { last, made, dumps } = observer;
  const table = columns(
    ["pass", "made"],
    made.map(({ pass, what }) => [pass, what]),
  );
  return ok({
    json: {
      schema: "lpuc.stopped/1",
      model: operand(session, 0),
      stoppedAfter: last,
      made,
      dumps,
      passes: stageTimes(session),
    },
    text: `${[table, "", `stopped after ${last}`, ...dumps].join("\n")}\n`,
  });
}
