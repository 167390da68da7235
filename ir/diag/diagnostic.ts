// A user's mistake as a value. Compiler mistakes are `InvariantError`; nothing else is thrown in the pure layers.

export type DiagnosticLocation =
  | {
      readonly kind: "node";
      readonly name: string;
      readonly index: number;
      readonly opType: string;
      /** Version of the operator set the node is written in, where it is known. */
      readonly opset?: number;
      /** Names and types of the inputs, as far as they are known: `x float32[2x3]`. */
      readonly inputs?: readonly string[];
    }
  | { readonly kind: "tensor"; readonly name: string }
  | { readonly kind: "file"; readonly path: string; readonly offset?: number; readonly line?: number }
  | { readonly kind: "option"; readonly option: string }
  | { readonly kind: "instruction"; readonly chip: number; readonly unit: string; readonly cycle: number };

export interface Diagnostic {
  /** `LPUnnnn`, a row of ir/diag/codes.ts. */
  readonly code: string;
  readonly message: string;
  readonly location?: DiagnosticLocation;
  readonly notes?: readonly string[];
  readonly help?: string;
}

/** Either a value or everything that is wrong (never empty). */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
export const fail = (...diagnostics: readonly Diagnostic[]): Result<never> => ({ ok: false, diagnostics });

/** A mistake of lpuc itself (exit code 70). */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

export function assertNever(value: never): never {
  throw new InvariantError(`unexpected case ${JSON.stringify(value)}`);
}
