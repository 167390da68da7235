// Reads the equation of Einsum against operand shapes. Dimensions under an ellipsis become labels "...0", "...1" counted from the right.
import { isProblem, type Problem, problem } from "../op-row.ts";
import { shapeText } from "../shapes.ts";

export interface Equation {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
  /** Size of each label, in order of first appearance. */
  readonly sizes: ReadonlyMap<string, number>;
}

const termPattern = /^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/;

function labelsOf(term: string, rank: number): string[] | Problem {
  if (!termPattern.test(term)) return problem("attr", `term "${term}" of the equation cannot be read`);
  const [before = "", after] = term.split("...");
  const hidden = after === undefined ? 0 : rank - before.length - after.length;
  if (hidden < 0 || (after === undefined && before.length !== rank)) {
    return problem("shape", `term "${term}" of the equation does not fit an operand of rank ${rank}`);
  }
  const dots = Array.from({ length: hidden }, (_, i) => `...${hidden - 1 - i}`);
  return [...before, ...dots, ...(after ?? "")];
}

/** Without an arrow: the ellipsis, then the labels that occur once, in alphabetical order. */
function implicitOutput(inputs: readonly (readonly string[])[]): string[] {
  const all = inputs.flat();
  const hidden = Math.max(
    0,
    ...all.filter((label) => label.startsWith(".")).map((label) => Number(label.slice(3)) + 1),
  );
  const once = [...new Set(all)].filter(
    (label) => !label.startsWith(".") && all.indexOf(label) === all.lastIndexOf(label),
  );
  return [
    ...Array.from({ length: hidden }, (_, i) => `...${hidden - 1 - i}`),
    ...once.sort((a, b) => (a < b ? -1 : 1)),
  ];
}

function sizesOf(
  inputs: readonly (readonly string[])[],
  shapes: readonly (readonly number[])[],
): Map<string, number> | Problem {
  const sizes = new Map<string, number>();
  for (const [t, labels] of inputs.entries()) {
    for (const [i, label] of labels.entries()) {
      const size = shapes[t]?.[i] ?? 1;
      const known = sizes.get(label) ?? 1;
      if (known !== 1 && size !== 1 && known !== size) {
        return problem("shape", `label ${label} has sizes ${known} and ${size} in ${shapes.map(shapeText).join(", ")}`);
      }
      if (known === 1) sizes.set(label, size);
    }
  }
  return sizes;
}

export function parseEquation(text: string, shapes: readonly (readonly number[])[]): Equation | Problem {
  const [left = "", right, extra] = text.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (extra !== undefined || terms.length !== shapes.length) {
    return problem("attr", `equation "${text}" has ${terms.length} terms for ${shapes.length} operands`);
  }
  const inputs: string[][] = [];
  for (const [t, term] of terms.entries()) {
    const labels = labelsOf(term, shapes[t]?.length ?? 0);
    if (isProblem(labels)) return labels;
    inputs.push(labels);
  }
  const sizes = sizesOf(inputs, shapes);
  if (isProblem(sizes)) return sizes;
  const hidden = [...sizes.keys()].filter((label) => label.startsWith(".")).length;
  const explicit =
    right === undefined ? undefined : right.replace("...", "").length + (right.includes("...") ? hidden : 0);
  const output = right === undefined || explicit === undefined ? implicitOutput(inputs) : labelsOf(right, explicit);
  if (isProblem(output)) return output;
  const unknown = output.find((label) => !sizes.has(label));
  if (unknown !== undefined) return problem("attr", `output label ${unknown} of "${text}" occurs in no operand`);
  return { inputs, output, sizes };
}
