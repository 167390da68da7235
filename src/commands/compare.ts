// `lpuc compare MODEL.onnx`: the schedule of the compiled program beside what published peaks of other machines leave possible.
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { compileModel } from "../compile-model.ts";
import { type Device, devices } from "../devices/published.ts";
import { type ProgramReport, programReport } from "../report/program-report.ts";
import { requirementsOf, weightsOf } from "../report/requirements.ts";
import { type Bound, boundOf, type Work, workOf } from "../report/roofline.ts";
import { bytes, columns, fields, grouped, seconds, short } from "../report/table.ts";
import { assertionsOf, failedAssertions } from "./asserts.ts";
import { modelOptions } from "./model-options.ts";
import { badOption, endStage, isSet, type Outcome, operand, optionValues, type Session, warn } from "./session.ts";

interface Row {
  readonly device: Device;
  readonly bound: Bound | undefined;
}

function chosenDevices(session: Session): Result<readonly Device[]> {
  const names = optionValues(session, "device");
  const known = devices.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    return fail(
      ...unknown.map((name) =>
        badOption("device", `there is no device '${name}'`, didYouMean(name, known) ?? `there are ${known.join(", ")}`),
      ),
    );
  }
  return ok(names.length === 0 ? devices : devices.filter(({ name }) => names.includes(name)));
}

function rowOf(device: Device, work: Work): Row {
  const { fp16, int8, fp32 } = device.peakOperationsPerSecond;
  const operationsPerSecond = { fp16: fp16?.value ?? null, int8: int8?.value ?? null, fp32: fp32?.value ?? null };
  const memoryBytesPerSecond = device.memoryBytesPerSecond.value;
  const bound = boundOf(work, {
    operationsPerSecond,
    memoryBytesPerSecond,
    onChipBytes: device.onChipBytes?.value ?? null,
  });
  return { device, bound };
}

/** Of the kinds of product that the work has. */
const macsText = ({ macs }: Work): string =>
  Object.entries(macs)
    .filter(([, count]) => count > 0)
    .map(([mode, count]) => `${grouped(count)} in ${mode}`)
    .join(", ") || "0";

function tableOf(report: ProgramReport, rows: readonly Row[]): string {
  const own = [
    `${report.target}, ${report.chips} ${report.chips === 1 ? "chip" : "chips"}`,
    "scheduled cycles",
    seconds(report.latencySeconds),
    "",
    "",
    short(report.throughputPerSecond),
  ];
  const others = rows.map(({ device, bound }) =>
    bound === undefined
      ? [device.title, "no published peak of this type", "-", "", "", "-"]
      : [
          device.title,
          "bound from published peaks",
          seconds(bound.latencySeconds),
          bound.by === "memory" && bound.readsWeights ? "memory, weights" : bound.by,
          `${short(bound.latencySeconds / report.latencySeconds)}x`,
          short(bound.throughputPerSecond),
        ],
  );
  const head = ["machine", "what it is", "latency, batch 1", "by", "of the schedule", "a second"];
  return columns(head, [own, ...others], [2, 4, 5]);
}

const notes = [
  "A schedule is what the program takes, to the cycle. A bound is what no program can beat: products at the peak rate, memory at its full",
  "bandwidth, both at once, and no launch of kernels, no exchange and no vector work counted. Weights that fit a known cache are not read",
  "from memory; where no cache is published they are. `a second` of a bound is for batches so large that weights cost nothing; of the",
  "schedule, for inferences one by one.",
].join("\n");

const sourceLines = (shown: readonly Device[]): string =>
  shown
    .flatMap(({ name, peakOperationsPerSecond, memoryBytesPerSecond, onChipBytes }) => {
      const numbers = { ...peakOperationsPerSecond, memory: memoryBytesPerSecond, onChip: onChipBytes };
      return Object.entries(numbers).map(([what, number]) =>
        number === null ? `${name}.${what}: not published` : `${name}.${what}: ${number.value}: ${number.source}`,
      );
    })
    .join("\n");

export function compareCommand(session: Session): Result<Outcome> {
  const options = modelOptions(session);
  const assertions = assertionsOf(session);
  const shown = chosenDevices(session);
  if (!options.ok || !assertions.ok || !shown.ok) {
    const parts = [options, assertions, shown];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const path = operand(session, 0);
  const compiled = compileModel(path, options.value);
  endStage(session);
  if (!compiled.ok) return compiled;
  const { imported, core, program } = compiled.value;
  warn(session, imported.warnings);
  const { target, precision } = options.value;
  const work = workOf(core, requirementsOf(weightsOf(core), target, precision).weightBytesAtLeast);
  const report = programReport(program);
  const rows = shown.value.map((device) => rowOf(device, work));
  const heading = fields([
    ["model", imported.graph.name],
    ["products", `${macsText(work)} (multiply-accumulates)`],
    ["weights", bytes(work.weightBytes)],
    ["in and out", bytes(work.exchangedBytes)],
  ]);
  const sources = isSet(session, "verbose")
    ? [sourceLines(shown.value)]
    : ["-v lists every published number with its source."];
  const { chips, latencyCycles, latencySeconds, initiationIntervalCycles, throughputPerSecond } = report;
  return ok({
    json: {
      model: path,
      precision,
      work,
      scheduled: {
        label: "scheduled cycles",
        target: target.name,
        chips,
        latencyCycles,
        latencySeconds,
        initiationIntervalCycles,
        throughputPerSecond,
      },
      devices: rows.map(({ device, bound }) => ({
        ...device,
        label: "bound from published peaks",
        bound: bound ?? null,
      })),
    },
    text: `${[heading, tableOf(report, rows), notes, ...sources].join("\n\n")}\n`,
    problems: failedAssertions(assertions.value, report),
  });
}
