// The text form of a pipeline: passes in their order, each with settings, such as `import,legalise,shard,blocks{layers=off},lower,schedule{effort=4}`.
// It may end early; what it leaves out at the end is not done. Knows no command line.
import { didYouMean } from "../ir/diag/suggest.ts";
import { type PassName, type PassSetting, passNames, passSettings } from "../passes/compile/pass-names.ts";

export interface Pipeline {
  readonly passes: readonly PassName[];
  readonly effort?: number;
  readonly repeats?: boolean;
}

export interface PipelineProblem {
  readonly message: string;
  readonly help?: string | undefined;
}

const isPassName = (name: string): name is PassName => passNames.some((known) => known === name);

export const defaultPipeline: Pipeline = { passes: passNames };

const settingText = (setting: PassSetting): string =>
  "words" in setting ? setting.words.join("|") : `${setting.least}..${setting.most}`;

/** `schedule{effort=0..100}`; only the name of a pass without settings. */
export function passText(name: PassName): string {
  const settings: Readonly<Record<string, PassSetting>> = passSettings[name];
  const texts = Object.entries(settings).map(([key, setting]) => `${key}=${settingText(setting)}`);
  return texts.length === 0 ? name : `${name}{${texts.join(",")}}`;
}

function settingProblem(setting: PassSetting, value: string): string | undefined {
  if ("words" in setting) return setting.words.includes(value) ? undefined : `is none of ${setting.words.join(", ")}`;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  const fits = number >= setting.least && number <= setting.most;
  return fits ? undefined : `is not a whole number from ${setting.least} to ${setting.most}`;
}

/** Settings of one pass, `name=value` each; problems are added to the list. */
function settingsOf(pass: PassName, text: string, problems: PipelineProblem[]): ReadonlyMap<string, string> {
  const known: Readonly<Record<string, PassSetting>> = passSettings[pass];
  const given = new Map<string, string>();
  for (const part of text.split(",")) {
    const [key = "", value = ""] = part.split("=", 2).map((word) => word.trim());
    const setting = Object.hasOwn(known, key) ? known[key] : undefined;
    if (setting === undefined) {
      problems.push({ message: `${pass} has no setting '${key}'`, help: didYouMean(key, Object.keys(known)) });
      continue;
    }
    const problem = settingProblem(setting, value);
    if (problem === undefined) given.set(key, value);
    else problems.push({ message: `${pass}: ${key}: '${value}' ${problem}` });
  }
  return given;
}

/** Passes come in their only order, from the first, without gaps: each takes what the one before gives. */
function orderProblem(passes: readonly string[]): PipelineProblem | undefined {
  const wrong = passes.findIndex((name, i) => name !== passNames[i]);
  if (wrong < 0) return undefined;
  const expected = passNames[wrong];
  const found = passes[wrong];
  const message =
    expected === undefined ? `nothing comes after ${passNames.at(-1)}` : `expected ${expected}, found ${found}`;
  return { message, help: `the passes in their order are ${passNames.join(",")}; a pipeline may end early` };
}

export function parsePipeline(text: string): Pipeline | { readonly problems: readonly PipelineProblem[] } {
  const problems: PipelineProblem[] = [];
  const passes: PassName[] = [];
  const settings = new Map<string, string>();
  const pattern = /\s*([^,{}]*?)\s*(?:\{([^{}]*)\})?\s*(,|$)/y;
  for (let more = true; more; ) {
    const match = pattern.exec(text);
    if (match === null) return { problems: [{ message: `'${text}' does not have the form pass,pass{setting=value}` }] };
    const [, name = "", inner, comma] = match;
    if (isPassName(name)) {
      passes.push(name);
      if (inner !== undefined)
        for (const [key, value] of settingsOf(name, inner, problems)) settings.set(`${name}.${key}`, value);
    } else problems.push({ message: `there is no pass '${name}'`, help: didYouMean(name, passNames) });
    more = comma === ",";
  }
  const disorder = problems.length === 0 ? orderProblem(passes) : undefined;
  if (disorder !== undefined) problems.push(disorder);
  if (problems.length > 0) return { problems };
  const effort = settings.get("schedule.effort");
  const layers = settings.get("blocks.layers");
  return {
    passes,
    ...(effort === undefined ? {} : { effort: Number(effort) }),
    ...(layers === undefined ? {} : { repeats: layers === "on" }),
  };
}
