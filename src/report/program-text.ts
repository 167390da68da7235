// A program's figures as text for people. Pure.
import type { HostReport, ProgramReport } from "./program-report.ts";
import { bytes, columns, fields, grouped, percent, seconds, short } from "./table.ts";

const cyclesAndTime = (cycles: number, clockHz: number): string =>
  `${grouped(cycles)} cycles = ${seconds(cycles / clockHz)}`;

/** The latency certificate: what it says and what it leaves out. */
export function certificateLines(report: ProgramReport): string {
  const { latencyCycles, clockHz, lowerBound, host } = report;
  return fields([
    [
      "latency",
      `${cyclesAndTime(latencyCycles, clockHz)} at ${clockHz / 1e6} MHz, inputs in SRAM to last output written`,
    ],
    ["made of", termsText(report)],
    ["lower bound", `${grouped(lowerBound.cycles)} cycles, by ${lowerBound.by}`],
    ["host transfers", host === null ? "not modelled by the target" : hostText(host)],
  ]);
}

const plural = { layer: "layers", block: "blocks", transfer: "transfers", end: "ends" } as const;

/** `96 layers x 1,729 + 5 transfers x 731 + 1 block x 316 - 8` */
const termsText = ({ latencyTerms }: ProgramReport): string =>
  latencyTerms
    .map(({ part, count, cycles }) => {
      if (part === "end") return `${cycles < 0 ? "-" : "+"} ${grouped(Math.abs(cycles))} at the end`;
      return `+ ${count} ${count === 1 ? part : plural[part]} x ${grouped(cycles)}`;
    })
    .join(" ")
    .replace(/^\+ /, "");

const hostText = ({ inputBytes, inputSeconds, outputBytes, outputSeconds }: HostReport): string =>
  `${bytes(inputBytes)} in ${seconds(inputSeconds)}, ${bytes(outputBytes)} out ${seconds(outputSeconds)} (not part of the latency)`;

export function programLines(report: ProgramReport): string {
  const { utilisation, inFlight, initiationIntervalCycles, throughputPerSecond, clockHz } = report;
  const { mxm, vxm, mem, links } = utilisation;
  return [
    fields([
      ["model", report.model],
      [
        "target",
        `${report.target}, ${report.chips} ${report.chips === 1 ? "chip" : "chips"}, ${report.topology}, ${report.precision}`,
      ],
    ]),
    certificateLines(report),
    fields([
      [
        "interval",
        `${cyclesAndTime(initiationIntervalCycles, clockHz)}, ${short(throughputPerSecond)} a second with ${inFlight} in flight`,
      ],
      ["utilisation", `mxm ${percent(mxm)}, vxm ${percent(vxm)}, mem ${percent(mem)}, links ${percent(links)}`],
      ["instructions", grouped(report.instructions)],
    ]),
  ].join("\n");
}

interface OtherCount {
  readonly chips: number;
  readonly latencyCycles: number;
  readonly initiationIntervalCycles: number;
}

const change = (value: number, base: number): string =>
  value === base ? "the same" : `${percent(Math.abs(value / base - 1))} ${value < base ? "less" : "more"}`;

/** Where the number of chips was chosen: which other number would be faster, which would do most a second. Nothing if none is better. */
export function othersText(report: ProgramReport, others: readonly OtherCount[]): readonly string[] {
  const { latencyCycles, initiationIntervalCycles: interval, clockHz } = report;
  // The smallest number within a hundredth of the best: one more chip for less is no advice.
  const best = (field: "latencyCycles" | "initiationIntervalCycles"): OtherCount | undefined =>
    others.find((other) => other[field] <= 1.01 * Math.min(...others.map((each) => each[field])));
  const line = (other: OtherCount): string =>
    `${other.chips} chips: latency ${grouped(other.latencyCycles)} cycles, ${change(other.latencyCycles, latencyCycles)}; ` +
    `${short(clockHz / other.initiationIntervalCycles)} a second, ${short(interval / other.initiationIntervalCycles)} times as many`;
  const [fastest, busiest] = [best("latencyCycles"), best("initiationIntervalCycles")];
  const chosen = [
    ...(fastest !== undefined && fastest.latencyCycles < latencyCycles ? [fastest] : []),
    ...(busiest !== undefined && busiest.initiationIntervalCycles < interval ? [busiest] : []),
  ];
  const lines = [...new Set(chosen)].map(line);
  if (others.length === 0) return [];
  const none = `no other number up to ${others.at(-1)?.chips ?? 0} chips is faster`;
  return [[...(fastest !== undefined && fastest.latencyCycles < latencyCycles ? [] : [none]), ...lines].join("\n")];
}

export function stageTable(report: ProgramReport): string {
  const rows = report.stages.map(({ chip, firstLayer, lastLayer, cycles, weightBytes }) => [
    `${chip}`,
    firstLayer === lastLayer ? `${firstLayer}` : `${firstLayer}-${lastLayer}`,
    grouped(cycles),
    bytes(weightBytes),
  ]);
  return columns(["chip", "layers", "cycles", "weights"], rows, [0, 1, 2, 3]);
}

export function sramTable(report: ProgramReport): string {
  const rows = report.sram.map((chip) => [
    `${chip.chip}`,
    bytes(chip.weightBytes),
    bytes(chip.stateBytes),
    bytes(chip.activationPeakBytes),
    bytes(chip.activationLowerBoundBytes),
    percent(chip.activationGap),
    bytes(chip.programBytes),
    bytes(chip.capacityBytes),
  ]);
  const head = ["chip", "weights", "state", "activations", "bound", "gap", "text", "capacity"];
  return `${columns(head, rows, [0, 1, 2, 3, 4, 5, 6, 7])}\n\n${bankTable(report)}`;
}

/** The address map as a whole: the highest word in use, and the least that must be. */
function bankTable(report: ProgramReport): string {
  const rows = report.sram.map(({ chip, fullestBank }) => [
    `${chip}`,
    bytes(fullestBank.peakBytes),
    bytes(fullestBank.lowerBoundBytes),
    percent(fullestBank.gap),
    bytes(fullestBank.capacityBytes),
  ]);
  return columns(["chip", "fullest bank", "bound", "gap", "capacity"], rows, [0, 1, 2, 3, 4]);
}

export function linkTable(report: ProgramReport): string {
  if (report.links.length === 0) return "no link carries anything";
  const rows = report.links.map(({ from, to, vectors, busyCycles }) => [
    `${from} -> ${to}`,
    grouped(vectors),
    grouped(busyCycles),
  ]);
  return columns(["link", "vectors", "busy cycles"], rows, [1, 2]);
}
