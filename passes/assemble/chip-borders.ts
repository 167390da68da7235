// What stands at the border of blocks on one chip: inputs, results, tensors that are exchanged, and vectors that only pass through it.
import type { StoredType } from "../../ir/dtype.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import type { ProgramSymbol } from "../../ir/machine/program.ts";
import { correspondence } from "../blocks/blocks.ts";
import { storedTypeOf } from "../lower/homes.ts";
import type { AssemblyInput } from "./assemble.ts";
import { type BorderTensor, borderTensor } from "./borders.ts";
import type { BorderUse } from "./chip-memory.ts";
import type { SystemTimeline } from "./timeline.ts";

export type ChipBorders = ReadonlyMap<string, { readonly tensor: BorderTensor; readonly use: Omit<BorderUse, "part"> }>;

/** Border tensors that a chip holds: inputs it reads, results it makes, tensors that arrive; with the cycles during which they are needed. */
export function chipBorders(
  input: AssemblyInput,
  timeline: SystemTimeline,
  ordinals: ReadonlyMap<TensorId, number>,
  chip: number,
  end: number,
): ChipBorders {
  const { target, chain, chipsOf, compiled } = input;
  const { graph } = input.sharded;
  const found = new Map<
    string,
    { tensor: BorderTensor; use: { from: number; until: number; role: ProgramSymbol["role"]; name: string } }
  >();
  // The host binds a stage's inputs before the stage's window and reads its results after it: with tokens in flight the next token's come later.
  const window = timeline.windows[chip] as { start: number; end: number };
  const graphInputs = new Set(graph.inputs.map((i) => i.tensor));
  const graphOutputs = new Set(graph.outputs.map((o) => o.tensor));
  const { states } = compiled;
  const kept = new Set(states.values());
  const add = (id: TensorId, type: StoredType, from: number, until: number): void => {
    const key = `${id}:${type}`;
    const known = found.get(key);
    if (known !== undefined) {
      known.use.from = Math.min(known.use.from, from);
      known.use.until = Math.max(known.use.until, until);
      return;
    }
    const role: ProgramSymbol["role"] = kept.has(id)
      ? "state"
      : graphInputs.has(id)
        ? "input"
        : graphOutputs.has(id)
          ? "output"
          : "activation";
    found.set(key, {
      tensor: borderTensor(graph, target, id, type, ordinals.get(id) ?? 0),
      use: { from, until, role, name: graph.tensors[id]?.name ?? "" },
    });
  };
  chain.blocks.forEach((block, i) => {
    if (!chipsOf[i]?.includes(chip)) return;
    const blockClass = compiled.classes[compiled.classOf[i] as number];
    if (blockClass === undefined) return;
    const instance = correspondence(blockClass.first, block);
    const [start, stop] = [timeline.blockStart[i] as number, timeline.blockEnd[i] as number];
    for (const border of [...blockClass.lowered.inputHomes, ...blockClass.lowered.outputHomes]) {
      const id = instance.get(border.tensor) as TensorId;
      const isInput = graphInputs.has(id);
      const state = states.get(id) ?? id;
      if (kept.has(state)) add(state, border.home.type, 0, Math.max(end, window.end));
      else add(id, border.home.type, isInput ? window.start : start, graphOutputs.has(id) ? window.end : stop);
    }
  });
  for (const { start, transfers, held } of timeline.traffic) {
    for (const { chip: holder, tensor: id } of held) {
      if (holder !== chip) continue;
      const type = storedTypeOf(graph.tensors[id] as (typeof graph.tensors)[number]);
      add(id, type, start, start + transfers.cycles);
    }
  }
  return found;
}

/** Every part of what a chip holds at the border, and what only passes through it. */
export function borderUses(borders: ChipBorders, timeline: SystemTimeline, chip: number): BorderUse[] {
  const own = [...borders.values()].flatMap(({ tensor, use }) =>
    tensor.parts.map((part): BorderUse => ({ ...use, part })),
  );
  const passing = timeline.traffic.flatMap(({ name, start, transfers }) =>
    transfers.stopovers.flatMap((stop): BorderUse[] =>
      stop.chip !== chip
        ? []
        : [
            {
              part: { region: stop.region, part: 0, location: stop.location, words: stop.words },
              from: start,
              until: start + transfers.cycles,
              role: "activation",
              name: `${name} on its way`,
            },
          ],
    ),
  );
  return [...own, ...passing];
}
