// The points of `lpuc explore`: every combination of the values its options list, in a fixed order, each with the options it is compiled with.
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { modelPrecisions } from "../../ir/graph/precision.ts";
import type { ModelOptions } from "../compile-model.ts";
import { defaultTargetName } from "../targets/presets.ts";
import { loadChangedTarget, modelOptions } from "./model-options.ts";
import type { OptionName } from "./options.ts";
import { badOption, optionValues, type Session } from "./session.ts";

/** What a point was asked for, as it was written. */
export interface Point {
  readonly target: string;
  readonly topology: string | null;
  readonly chips: string;
  readonly parallel: string | null;
  readonly tensorParallel: string | null;
  readonly precision: string;
  /** Changed numbers of the target, by path. */
  readonly set: Readonly<Record<string, number>>;
}

export interface PlannedPoint {
  readonly point: Point;
  readonly options: Result<ModelOptions>;
}

/** More is a mistake in the lists. */
const MOST_POINTS = 10_000;
const MOST_CHIPS = 10_000;

const parallelNames = ["pipeline", "tensor", "auto"];

/** All values of an option that takes lists, each once. */
const listed = (session: Session, name: OptionName): readonly string[] => [
  ...new Set(optionValues(session, name).flatMap((text) => text.split(","))),
];

/** `1,2,4-6,auto` as 1, 2, 4, 5, 6, auto. */
function chipCounts(session: Session): Result<readonly string[]> {
  const counts: string[] = [];
  const problems: Diagnostic[] = [];
  for (const text of listed(session, "sweepChips")) {
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
    const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
    if (text === "auto") counts.push(text);
    else if (range === null || first < 1 || last < first || last > MOST_CHIPS) {
      problems.push(badOption("sweepChips", `'${text}' is no number of chips, range such as 1-8, or auto`));
    } else for (let count = first; count <= last; count++) counts.push(`${count}`);
  }
  return problems.length === 0 ? ok([...new Set(counts)]) : { ok: false, diagnostics: problems };
}

/** Values that must be among `known`. */
function namesOf(session: Session, name: OptionName, known: readonly string[]): Result<readonly string[]> {
  const names = listed(session, name);
  const unknown = names.filter((text) => !known.includes(text));
  if (unknown.length === 0) return ok(names);
  return fail(
    ...unknown.map((text) => badOption(name, `'${text}' is none of ${known.join(", ")}`, didYouMean(text, known))),
  );
}

/** `--set link.latency=450,900`. */
function settings(session: Session): Result<readonly (readonly [path: string, values: readonly number[]])[]> {
  const problems: Diagnostic[] = [];
  const found = new Map<string, readonly number[]>();
  for (const text of optionValues(session, "set")) {
    const at = text.indexOf("=");
    const path = text.slice(0, at);
    const words = text.slice(at + 1).split(",");
    const values = words.map((word) => (word.trim() === "" ? Number.NaN : Number(word)));
    if (at <= 0 || !values.every(Number.isFinite) || !/^[A-Za-z0-9]+(\.[A-Za-z0-9]+)*$/.test(path)) {
      problems.push(badOption("set", `'${text}' does not have the form link.latency=450,900`));
    } else if (found.has(path)) problems.push(badOption("set", `'${path}' is set twice`));
    else found.set(path, [...new Set(values)]);
  }
  return problems.length === 0 ? ok([...found]) : { ok: false, diagnostics: problems };
}

/** Every choice of one value from each list; the last list runs fastest. */
function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((heads, list) => heads.flatMap((head) => list.map((item) => [...head, item])), [[]]);
}

/** `{ "link.latency": 450 }` as `{ link: { latency: 450 } }`. */
function nested(set: Readonly<Record<string, number>>): Readonly<Record<string, unknown>> {
  const root: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(set)) {
    const keys = path.split(".");
    let at = root;
    for (const key of keys.slice(0, -1)) {
      const inner = Object.hasOwn(at, key) ? at[key] : undefined;
      const next: Record<string, unknown> = typeof inner === "object" && inner !== null ? { ...inner } : {};
      at[key] = next;
      at = next;
    }
    at[keys.at(-1) ?? ""] = value;
  }
  return root;
}

/** The options of one point, as if they had been given to `lpuc compile`. */
function optionsOf(session: Session, point: Point): Result<ModelOptions> {
  const given = new Map<OptionName, readonly string[]>(session.given);
  const values = { ...point, chips: point.chips };
  for (const name of ["target", "topology", "chips", "parallel", "tensorParallel", "precision"] as const) {
    const value = values[name];
    if (value !== null) given.set(name, [value]);
  }
  const options = modelOptions({ ...session, given });
  if (!options.ok || Object.keys(point.set).length === 0) return options;
  const target = loadChangedTarget(point.target, nested(point.set));
  if (!target.ok) return target;
  const { topology } = options.value;
  return ok({
    ...options.value,
    target: target.value,
    ...(topology === undefined ? {} : { topology: { ...target.value.topology, kind: topology.kind } }),
  });
}

const orOne = <T>(values: readonly T[], usual: T): readonly T[] => (values.length === 0 ? [usual] : values);

export function plannedPoints(session: Session): Result<readonly PlannedPoint[]> {
  const chips = chipCounts(session);
  const precisions = namesOf(session, "sweepPrecisions", modelPrecisions);
  const parallels = namesOf(session, "sweepParallel", parallelNames);
  const sets = settings(session);
  if (!chips.ok || !precisions.ok || !parallels.ok || !sets.ok) {
    const parts = [chips, precisions, parallels, sets];
    return { ok: false, diagnostics: parts.flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const lists: readonly (readonly (string | null)[])[] = [
    orOne(listed(session, "sweepTargets"), defaultTargetName),
    orOne<string | null>(listed(session, "sweepTopologies"), null),
    orOne<string | null>(parallels.value, null),
    orOne<string | null>(listed(session, "sweepTensorParallel"), null),
    orOne(precisions.value, "fp16"),
    orOne(chips.value, "auto"),
  ];
  const settingLists = sets.value.map(([path, values]) => values.map((value) => [path, value] as const));
  const count = [...lists, ...settingLists].reduce((product, { length }) => product * length, 1);
  if (count > MOST_POINTS) {
    return fail(badOption("sweepChips", `the lists have ${count} combinations; at most ${MOST_POINTS} are explored`));
  }
  const points = combinations(settingLists).flatMap((set) =>
    combinations(lists).map(([target, topology, parallel, tensorParallel, precision, number]): Point => {
      return {
        target: target ?? defaultTargetName,
        topology: topology ?? null,
        chips: number ?? "auto",
        parallel: parallel ?? null,
        tensorParallel: tensorParallel ?? null,
        precision: precision ?? "fp16",
        set: Object.fromEntries(set),
      };
    }),
  );
  return ok(points.map((point) => ({ point, options: optionsOf(session, point) })));
}
