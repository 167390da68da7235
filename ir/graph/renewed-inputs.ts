// State that a model keeps between executions, such as a decoder's keys and values: ONNX has it as inputs and outputs, and only their names say so.
import type { DType } from "../dtype.ts";

interface Named {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

const isStateName = (name: string): boolean => /past|cache|state/i.test(name);

/** What is left when the words that tell the two ends apart are taken away: equal for the two ends of one. */
const keptName = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/past|present|key_values|next|new|prev|cache|state|in(?![a-z])|out(?![a-z])|[^a-z0-9]/g, "");

/**
 * For each output, which input holds its value in the next execution, undefined where none does: exporters write past_key_values.0.key and
 * present.0.key, past_key_0 and present_key_0, k_cache_in and k_cache_out. Both ends have one type and shape; each is of one pair at most.
 */
export function renewedInputs(inputs: readonly Named[], outputs: readonly Named[]): readonly (number | undefined)[] {
  const taken = new Set<number>();
  return outputs.map((output) => {
    const found = inputs.findIndex(
      (input, index) =>
        !taken.has(index) &&
        isStateName(input.name) &&
        input.name !== output.name &&
        input.dtype === output.dtype &&
        input.shape.join() === output.shape.join() &&
        keptName(input.name) === keptName(output.name),
    );
    if (found < 0) return undefined;
    taken.add(found);
    return found;
  });
}
