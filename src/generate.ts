// Token by token through a program: what its inputs and outputs mean, one execution a token, the largest logit next. Caches that are state stay in
// SRAM; others the host carries: what an execution puts out is put in before the next.
import { describeFault } from "../backends/interp/fault.ts";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { KeptState } from "../backends/interp/kept.ts";
import { diagnostic } from "../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../ir/diag/diagnostic.ts";
import { byteLengthOf, type DType, dtypes } from "../ir/dtype.ts";
import { elementCount } from "../ir/graph/graph.ts";
import { bytesOf, is64Bit, numbersOf, valueFromBigints, valueFromBytes, valueFromNumbers } from "../ir/graph/values.ts";
import type { Binding, Program } from "../ir/machine/program.ts";
import { isResident } from "../ir/machine/resident.ts";

type Role = "tokens" | "positions" | "mask";

interface Cache {
  readonly input: Binding;
  readonly output: Binding;
  /** It stays in SRAM from one execution to the next. */
  readonly isResident: boolean;
}

export interface LanguageModel {
  readonly program: Program;
  /** Inputs with a role; all else are caches. */
  readonly roles: ReadonlyMap<Binding, Role>;
  readonly caches: readonly Cache[];
  readonly logits: Binding;
  /** Tokens that go in at once: 1 with caches, else the whole window. */
  readonly window: number;
  readonly vocabulary: number;
  /** Most tokens of a sequence. */
  readonly context: number;
}

const rolePatterns: readonly (readonly [Role, RegExp])[] = [
  ["mask", /mask/i],
  ["positions", /pos/i],
  ["tokens", /ids|token/i],
];

const typeText = ({ name, dtype, shape }: Binding): string => `${name} ${dtype}[${shape.join("x")}]`;

function roleOf(input: Binding, alone: boolean): Role | undefined {
  const { kind } = dtypes[input.dtype];
  if (kind === "float" && !/mask/i.test(input.name)) return undefined;
  const known = rolePatterns.find(([, pattern]) => pattern.test(input.name));
  return known?.[0] ?? (alone ? "tokens" : undefined);
}

const refusal = (message: string): Diagnostic => diagnostic("LPU2011", message);

/** What the inputs and outputs of a program mean for a language model; all that has no meaning is said at once. */
export function languageModel(program: Program): Result<LanguageModel> {
  const inputs = program.bindings.filter(({ kind }) => kind === "input");
  const outputs = program.bindings.filter(({ kind }) => kind === "output");
  const roles = new Map<Binding, Role>();
  const caches: Cache[] = [];
  const problems: Diagnostic[] = [];
  for (const input of inputs) {
    const role = roleOf(input, inputs.length === 1);
    const output = outputs.find(({ renews }) => renews !== undefined && program.bindings[renews] === input);
    if (role !== undefined) roles.set(input, role);
    else if (output !== undefined) caches.push({ input, output, isResident: isResident(program, input) });
    else {
      const what = `input ${typeText(input)} is neither tokens, positions, a mask nor a cache that an output of its name, type and shape renews`;
      problems.push(refusal(`${what}; a cache has to keep its shape, with the place to write to given by a position`));
    }
  }
  const tokens = [...roles].flatMap(([input, role]) => (role === "tokens" ? [input] : []));
  const window = elementCount(tokens[0]?.shape ?? []);
  if (tokens.length !== 1)
    problems.push(
      refusal(`${tokens.length} inputs are tokens: ${tokens.map(typeText).join(", ") || "none"}; there has to be one`),
    );
  else if (caches.length > 0 && window !== 1)
    problems.push(
      refusal(`with caches one token goes in at a time, but ${typeText(tokens[0] as Binding)} has ${window}`),
    );
  const rest = outputs.filter((output) => !caches.some((cache) => cache.output === output));
  const logits = rest.find(({ name }) => /logit/i.test(name)) ?? rest[0];
  if (logits === undefined) problems.push(refusal("no output is left for the logits"));
  else if (tokens.length === 1 && elementCount(logits.shape.slice(0, -1)) !== window)
    problems.push(refusal(`output ${typeText(logits)} does not have a row of logits for each of ${window} tokens`));
  if (problems.length > 0 || logits === undefined) return { ok: false, diagnostics: problems };
  const context = caches.length === 0 ? window : Math.min(...caches.map(({ input }) => input.shape.at(-2) ?? 1));
  return ok({ program, roles, caches, logits, window, vocabulary: logits.shape.at(-1) ?? 1, context });
}

function tensorOf({ dtype, shape }: Binding, at: (index: number) => number): HostTensor {
  const numbers = Array.from({ length: elementCount(shape) }, (_, index) => at(index));
  const value = is64Bit(dtype)
    ? valueFromBigints(dtype, shape, numbers.map(BigInt))
    : valueFromNumbers(dtype, shape, numbers);
  return { dtype, shape, bytes: bytesOf(value).slice() };
}

const zeros = (dtype: DType, shape: readonly number[]): HostTensor => ({
  dtype,
  shape,
  bytes: new Uint8Array(byteLengthOf(dtype, elementCount(shape))),
});

/** The token with the largest logit of a row; of equal ones the first. */
function bestToken(logits: HostTensor, row: number, vocabulary: number): number {
  const data = numbersOf(valueFromBytes(logits.dtype, logits.shape, logits.bytes));
  let best = 0;
  for (let token = 1; token < vocabulary; token++)
    if ((data[row * vocabulary + token] ?? 0) > (data[row * vocabulary + best] ?? 0)) best = token;
  return best;
}

export interface Generated {
  /** Without the prompt. */
  readonly tokens: readonly number[];
  readonly executions: number;
  readonly why: "count" | "end" | "context";
}

export interface GenerateOptions {
  readonly prompt: readonly number[];
  /** Most tokens to generate. */
  readonly count: number;
  readonly end: number | undefined;
  readonly onToken: (token: number) => void;
}

/** Inputs of the execution that has read all of `sequence` up to `upTo` when it ends. */
function inputsFor(
  model: LanguageModel,
  sequence: readonly number[],
  upTo: number,
  caches: ReadonlyMap<string, HostTensor>,
) {
  const first = model.window === 1 ? upTo - 1 : 0;
  const inputs = new Map<string, HostTensor>(caches);
  for (const [input, role] of model.roles) {
    if (role === "tokens")
      inputs.set(
        input.name,
        tensorOf(input, (i) => sequence[first + i] ?? 0),
      );
    else if (role === "positions")
      inputs.set(
        input.name,
        tensorOf(input, (i) => first + i),
      );
    else
      inputs.set(
        input.name,
        tensorOf(input, (i) => (i < upTo ? 1 : 0)),
      );
  }
  return inputs;
}

/** Continues `prompt`, which has at least one token. */
export function generate(model: LanguageModel, options: GenerateOptions): Result<Generated> {
  const { prompt, count, end, onToken } = options;
  const { program, window, logits, vocabulary, context } = model;
  const sequence = [...prompt];
  let kept: KeptState | undefined;
  let caches: ReadonlyMap<string, HostTensor> = new Map(
    model.caches.map(({ input }) => [input.name, zeros(input.dtype, input.shape)]),
  );
  let executions = 0;
  const generated = (why: Generated["why"]): Result<Generated> =>
    ok({ tokens: sequence.slice(prompt.length), executions, why });
  // With caches every token of the prompt is an execution of its own.
  for (let upTo = window === 1 ? 1 : prompt.length; ; upTo++) {
    if (sequence.length - prompt.length >= count) return generated("count");
    if (upTo > context) return generated("context");
    const carried = kept === undefined ? {} : { kept };
    const result = interpret(program, inputsFor(model, sequence, upTo, caches), { isFast: true, ...carried });
    if (!result.ok) return fail(diagnostic("LPU6002", describeFault(result.fault)));
    executions++;
    kept = result.keep();
    caches = new Map(
      model.caches
        .filter((cache) => !cache.isResident)
        .map(({ input, output }) => [input.name, result.outputs.get(output.name) ?? zeros(input.dtype, input.shape)]),
    );
    const told = result.outputs.get(logits.name);
    if (upTo < sequence.length || told === undefined) continue;
    const token = bestToken(told, window === 1 ? 0 : upTo - 1, vocabulary);
    if (token === end) return generated("end");
    sequence.push(token);
    onToken(token);
  }
}
