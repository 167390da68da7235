// The suite of the whole line: a drawn graph on a drawn machine is compiled, verified, executed and compared; what fails is made as small as it
// can be and written to a file, from which a crasher is made. Knows how failures are shown, not how cases are drawn.
import { join } from "node:path";
import fc from "fast-check";
import { printGraph } from "../ir/graph/print.ts";
import { writeFileAtomic } from "../src/io.ts";
import { type GraphCase, graphCases, type LineSystem, lineWitnesses, systems, type Witness } from "../src/testing.ts";
import type { Random } from "./random.ts";
import { FuzzFailure, type Suite, type Verdict } from "./suite.ts";

/** Smaller cases that are tried in the search for the smallest. */
const mostShrinks = 1500;

/** Many small cases, and a large one now and then. */
const lineCases = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(graphCases({ steps: 4, layers: 2, elements: 128 }), systems({ chips: 4 })) },
  { weight: 1, arbitrary: fc.tuple(graphCases({ steps: 8, layers: 3, elements: 2048 }), systems({ chips: 6 })) },
);

function witnessesOf(drawn: GraphCase, system: LineSystem): readonly Witness[] | undefined {
  try {
    return lineWitnesses(drawn, system);
  } catch (error) {
    return [{ invariant: "thrown", message: error instanceof Error ? (error.stack ?? error.message) : String(error) }];
  }
}

/** All that makes the case again: the machine, the graph as text, the inputs, and what is wrong. */
function reproducer({ graph, inputs }: GraphCase, system: LineSystem, witnesses: readonly Witness[]): string {
  const { sources: _sources, ...target } = system.target;
  const lines = [
    ...witnesses.map(({ invariant, message }) => `# ${invariant}: ${message.split("\n")[0] ?? ""}`),
    `# target ${JSON.stringify(target)}`,
    `# chips ${system.chips}, topology ${JSON.stringify(system.spec)}`,
    ...[...inputs].map(([name, { data }]) => `# input ${name} ${Array.from(data, Number).join(" ")}`),
    printGraph(graph),
  ];
  return `${lines.join("\n")}\n`;
}

/** Draws a case and takes it down the line; of what fails, the smallest case is written to a file named after `suite`. */
export function tryCase(suite: string, cases: fc.Arbitrary<[GraphCase, LineSystem]>, seed: number): Verdict {
  const [[drawn, system] = []] = fc.sample(cases, { seed, numRuns: 1 });
  if (drawn === undefined || system === undefined) throw new RangeError("nothing was drawn");
  const witnesses = witnessesOf(drawn, system);
  if (witnesses === undefined) return { accepted: false, codes: [] };
  const [first] = witnesses;
  if (first === undefined) return { accepted: true, codes: [] };
  // The smallest case that is wrong in the same way.
  const isWrong = (graph: GraphCase, on: LineSystem): boolean =>
    (witnessesOf(graph, on) ?? []).some(({ invariant }) => invariant === first.invariant);
  let left = mostShrinks;
  const property = fc.property(cases, ([graph, on]) => left-- <= 0 || !isWrong(graph, on));
  const shrunk = fc.check(property, { seed, numRuns: 1 }).counterexample?.[0] ?? ([drawn, system] as const);
  const file = join("fuzz", "found", `${suite}-${seed}.txt`);
  const text = reproducer(shrunk[0], shrunk[1], witnessesOf(shrunk[0], shrunk[1]) ?? witnesses);
  writeFileAtomic(file, [new TextEncoder().encode(text)]);
  throw new FuzzFailure(`${first.invariant}: ${first.message}; the smallest case is in ${file}`);
}

export const lineSuites: readonly Suite[] = [
  {
    name: "line",
    title: "random graphs on random machines: compiled, verified, executed, compared",
    testInputs: 100,
    prepare: () => ({ run: (random: Random) => tryCase("line", lineCases, random.below(2 ** 31)) }),
  },
];
