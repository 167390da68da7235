// HiGHS as an independent oracle: takes a program in CPLEX LP text, gives its optimum.
import highsModule from "highs";

// The package's types describe its CommonJS build, Node loads its ESM build, whose default export is the loader itself.
const loadHighs = highsModule as unknown as typeof highsModule.default;

/** The least objective, or undefined where the program has no solution. */
export async function integerOptimum(text: string): Promise<number | undefined> {
  const highs = await loadHighs();
  const solution = highs.solve(text);
  if (solution.Status === "Optimal") return solution.ObjectiveValue;
  if (solution.Status === "Infeasible") return undefined;
  throw new Error(`HiGHS stopped with "${solution.Status}"`);
}
