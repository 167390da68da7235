// Program files and their text: damaged as bytes (checksums then refuse nearly all) and inside their sections with the checksums put right;
// what is still a program is verified and executed.
import { verifyProgram } from "../backends/check/verify.ts";
import { readerOver, sectionNames } from "../backends/encode/container.ts";
import { decodeProgram } from "../backends/encode/decode.ts";
import { encodedBytes } from "../backends/encode/encode.ts";
import { textBytesOf } from "../backends/encode/queues.ts";
import { parseProgramText } from "../backends/encode/text-parse.ts";
import { programLines } from "../backends/encode/text-print.ts";
import { interpret } from "../backends/interp/interpret.ts";
import { invariant } from "../ir/diag/diagnostic.ts";
import { byteLengthOf } from "../ir/dtype.ts";
import type { Program } from "../ir/machine/program.ts";
import { compileGraph } from "../passes/compile/compile.ts";
import { legalise } from "../passes/legalise/legalise.ts";
import { bytesSource } from "../src/io.ts";
import { ffnModel, matmulModel } from "../src/modelgen/transformer-model.ts";
import { importModel } from "../src/onnx/import.ts";
import { presetTarget } from "../src/targets/presets.ts";
import { damagedBytes, damagedText } from "./bytes.ts";
import type { Random } from "./random.ts";
import { openedSections, sealed } from "./sealed-program.ts";
import { acceptance, refusal, type Suite, type Verdict } from "./suite.ts";

/** Longer runs say nothing more about crashes. */
const MAX_CYCLES = 200_000;

function compiled(model: Uint8Array, chips: number): Program {
  const target = presetTarget("ftlpu32");
  const none = { refused: "there is none", outside: false };
  const options = { path: "", dims: new Map(), shapes: new Map(), external: () => none };
  const imported = importModel(bytesSource(model), options);
  invariant(imported.ok && target !== undefined, "the sample is a model");
  const core = legalise(imported.value.graph, { precision: "fp16" });
  invariant(core.ok, "the sample is supported");
  const result = compileGraph(core.value, target, {
    chips,
    effort: 0,
    modelName: "fuzz",
    precision: "fp16",
    textBytesOf: (queues) => textBytesOf(queues, target.instructionFetchBytes),
  });
  invariant(result.ok, "the sample compiles");
  return result.value.program;
}

const samples = (): Program[] => [
  compiled(matmulModel({ m: 3, k: 40, n: 5 }), 1),
  compiled(ffnModel({ rows: 2, d: 8, ffn: 12, activation: "relu" }), 1),
];

/** A program that was read has to be judged, and to run or to fault. */
function judge(program: Program): Verdict {
  const report = verifyProgram(program);
  const inputs = program.bindings.filter(({ kind }) => kind === "input");
  const count = inputs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  if (program.latencyCycles <= MAX_CYCLES && count < 1 << 20) {
    const zeros = inputs.map(({ name, dtype, shape }) => {
      const bytes = new Uint8Array(
        byteLengthOf(
          dtype,
          shape.reduce((a, b) => a * b, 1),
        ),
      );
      return [name, { dtype, shape, bytes }] as const;
    });
    interpret(program, new Map(zeros));
  }
  return report.ok ? acceptance() : { accepted: false, codes: ["LPU6001"] };
}

function takeBytes(bytes: Uint8Array): Verdict {
  const program = decodeProgram(readerOver(bytes));
  return program.ok ? judge(program.value) : refusal(program.diagnostics);
}

function prepareFiles() {
  const files = samples().map(encodedBytes);
  const sections = files.map(openedSections);
  return {
    run: (random: Random): Verdict => {
      const at = random.below(files.length);
      if (random.chance(0.1)) return takeBytes(damagedBytes(random, files[at] ?? new Uint8Array(0)));
      const contents = new Map(sections[at]);
      const name = random.pick(sectionNames.filter((section) => section !== "image data"));
      const before = contents.get(name) ?? new Uint8Array(0);
      const after =
        name === "target"
          ? new TextEncoder().encode(damagedText(random, new TextDecoder().decode(before)))
          : damagedBytes(random, before);
      contents.set(name, after);
      return takeBytes(sealed(contents));
    },
  };
}

function prepareTexts() {
  const texts = samples().map((program) => [...programLines(program)].join("\n"));
  return {
    run: (random: Random): Verdict => {
      const program = parseProgramText(damagedText(random, random.pick(texts)));
      return program.ok ? judge(program.value) : refusal(program.diagnostics);
    },
  };
}

export const programSuites: readonly Suite[] = [
  { name: "program", title: "damaged .lpu files: decoded, verified, executed", prepare: prepareFiles },
  { name: "program-text", title: "damaged .lpasm texts: assembled, verified, executed", prepare: prepareTexts },
];
