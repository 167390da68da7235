// The operators that are written out as others at import, in one table, and the writing of one call.
import { invariant } from "../../../ir/diag/diagnostic.ts";
import type { Attrs } from "../../../ir/graph/attr.ts";
import { checkCall, parametersOf } from "../../../ir/graph/infer.ts";
import { isProblem } from "../../../ir/graph/op-row.ts";
import { constantValue, typeOfTensor } from "../../../passes/fold/draft.ts";
import { type Emitted, type Importer, type RawCall, reportProblem } from "../import-scope.ts";
import { decoderMaskedExpansions } from "./decoder-masked.ts";
import { functionExpansions } from "./functions.ts";
import { fusedActivationExpansions } from "./fused-activations.ts";
import { linearAttentionExpansions } from "./linear-attention.ts";
import { lossExpansions } from "./losses.ts";
import { quantisedExpansions } from "./quantised.ts";
import { recurrentExpansions } from "./recurrent.ts";
import { resizeExpansions } from "./resize.ts";
import { signalExpansions } from "./signal.ts";
import { transposedConvolutionExpansions } from "./transposed-convolution.ts";
import { type ExpansionTable, writerFor } from "./writer.ts";

export const expansions: ExpansionTable = {
  ...decoderMaskedExpansions,
  ...functionExpansions,
  ...fusedActivationExpansions,
  ...linearAttentionExpansions,
  ...lossExpansions,
  ...quantisedExpansions,
  ...recurrentExpansions,
  ...resizeExpansions,
  ...signalExpansions,
  ...transposedConvolutionExpansions,
};

/** Adds the nodes that stand for a call and gives its results; undefined after reporting what is wrong. */
export function expandCall(importer: Importer, call: RawCall, name: string, given: Attrs): Emitted {
  const expansion = expansions[name];
  invariant(expansion !== undefined, `${name} is written out as others`);
  const { draft } = importer;
  const inputs = [...call.inputs];
  while (inputs.length > 0 && inputs.at(-1) === null) inputs.pop();
  const { attrs, problems } = checkCall(expansion, {
    inputs: inputs.map((id) => (id === null ? null : typeOfTensor(draft, id))),
    constant: (index) => {
      const id = inputs[index] ?? null;
      return id === null ? undefined : constantValue(draft, id);
    },
    attrs: given,
    outputCount: call.outputs.length,
  });
  for (const found of problems) reportProblem(importer, call.origin, found);
  if (problems.length > 0) return undefined;
  while (inputs.length < parametersOf(expansion).length) inputs.push(null);
  const { opset, outputs } = call;
  const made = expansion.expand(writerFor(importer, call), { inputs, attrs, outputCount: outputs.length, opset });
  if (isProblem(made)) {
    reportProblem(importer, call.origin, made);
    return undefined;
  }
  const results = outputs.map((name, i) => (name === null ? null : made[i]));
  return results.includes(undefined) ? undefined : results.map((id) => id ?? null);
}
