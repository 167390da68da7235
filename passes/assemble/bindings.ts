// Where the host puts the inputs of the model and finds its outputs: the border tensors of all chips, as pieces of the model's own tensors.
import { invariant } from "../../ir/diag/diagnostic.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { renewedInputs } from "../../ir/graph/renewed-inputs.ts";
import type { Binding, Placement } from "../../ir/machine/program.ts";
import { shareSize, shareStart } from "../shard/axes.ts";
import { pieceOrigin } from "../shard/sharded.ts";
import type { AssemblyInput, ChipUse } from "./assemble.ts";
import { partPlacements } from "./boxes.ts";
import type { ChipBorders } from "./chip-borders.ts";
import { regionOf } from "./chip-memory.ts";

/** A placement in the model's tensor, of which the chip has a piece. */
export const shifted = (placement: Placement, origin: readonly number[]): Placement => ({
  ...placement,
  origin: placement.origin.map((first, d) => first + (origin[d] as number)),
});

/** Without the first `skip` indices along `dim`, which another placement has; undefined where nothing is left. */
function withoutFirst(placement: Placement, dim: number, skip: number): Placement | undefined {
  const extent = placement.extent[dim] as number;
  if (skip <= 0) return placement;
  if (skip >= extent) return undefined;
  const [digit] = placement.digits[dim] ?? [];
  if (digit === undefined) return undefined;
  invariant(digit.lane === 0, "shares that overlap are whole vectors");
  return {
    ...placement,
    origin: placement.origin.map((first, d) => (d === dim ? first + skip : first)),
    extent: placement.extent.map((size, d) => (d === dim ? size - skip : size)),
    digits: placement.digits.map((list, d) => (d === dim ? [{ ...digit, size: extent - skip }] : list)),
    address: placement.address + skip * digit.vector,
  };
}

/** Rank of a chip in its stage. */
export const rankOfChip = ({ chipsOf }: AssemblyInput, chip: number): number =>
  chipsOf.find((chips) => chips.includes(chip))?.indexOf(chip) ?? 0;

export function makeBindings(
  input: AssemblyInput,
  bordersByChip: readonly ChipBorders[],
  uses: readonly ChipUse[],
): Binding[] {
  const { model, sharded, target } = input;
  const { pieces } = sharded;
  const { states } = input.compiled;
  /** Placements of a rank's tensor on a chip, in the tensor of the model. */
  const placementsOn = (id: TensorId, chip: number): Placement[] => {
    const piece = pieces.get(id);
    const origin =
      piece === undefined || piece.dim === null ? undefined : pieceOrigin(sharded, piece, rankOfChip(input, chip));
    return [...(bordersByChip[chip]?.values() ?? [])]
      .filter(({ tensor }) => tensor.tensor === (states.get(id) ?? id))
      .flatMap(({ tensor }) =>
        tensor.parts.flatMap((part) => {
          const address = uses[chip]?.memory.addresses.get(regionOf.border(part.region)) ?? 0;
          const slices = Array.from({ length: part.location.width }, (_, i) => ({
            hemisphere: part.location.hemisphere,
            slice: part.location.column * target.mem.slicesPerColumn + part.location.sub + i,
          }));
          const first = part.part * tensor.partVectors;
          const where = { chip, type: tensor.type, pack: 0, slices, address };
          return partPlacements(tensor.layout, first, first + part.words, where);
        }),
      )
      .map((placement) => (origin === undefined ? placement : shifted(placement, origin)));
  };
  const chips = bordersByChip.map((_, chip) => chip);
  const inputs = model.inputs.map((one): Binding => {
    const held = sharded.graph.inputs.filter(({ tensor }) => pieces.get(tensor)?.tensor === one.tensor);
    return {
      name: one.name,
      kind: "input",
      dtype: one.dtype,
      shape: model.tensors[one.tensor]?.shape ?? [],
      tensor: one.tensor,
      placements: chips.flatMap((chip) => held.flatMap(({ tensor }) => placementsOn(tensor, chip))),
    };
  });
  const renewed = renewedInputs(
    inputs,
    model.outputs.map(({ name, dtype, tensor }) => ({ name, dtype, shape: model.tensors[tensor]?.shape ?? [] })),
  );
  const outputs = model.outputs.map((one, i): Binding => {
    const id = sharded.graph.outputs[i]?.tensor as TensorId;
    const renews = renewed[i];
    return {
      name: one.name,
      kind: "output",
      dtype: one.dtype,
      shape: model.tensors[one.tensor]?.shape ?? [],
      tensor: one.tensor,
      placements: outputPlacements(input, id, (chip) => placementsOn(id, chip), chips),
      ...(renews === undefined ? {} : { renews }),
    };
  });
  return [...inputs, ...outputs];
}

/** One copy of an output: of the first chip that has it, or of the first of each rank where ranks have shares of it. */
function outputPlacements(
  input: AssemblyInput,
  id: TensorId,
  placementsOn: (chip: number) => readonly Placement[],
  chips: readonly number[],
): Placement[] {
  const { model, sharded } = input;
  const { ways } = sharded;
  const piece = sharded.pieces.get(id);
  const holders = chips.filter((chip) => placementsOn(chip).length > 0);
  const type = placementsOn(holders[0] ?? 0)[0]?.type;
  const copyOn = (chip: number | undefined): Placement[] =>
    chip === undefined ? [] : placementsOn(chip).filter((placement) => placement.type === type);
  if (piece === undefined || piece.dim === null) return copyOn(holders[0]);
  const { dim } = piece;
  const size = model.tensors[piece.tensor]?.shape[dim] as number;
  return Array.from({ length: ways }, (_, rank) => rank).flatMap((rank) => {
    const overlap = rank * shareSize(size, ways) - shareStart(size, ways, rank);
    return copyOn(holders.find((chip) => rankOfChip(input, chip) === rank)).flatMap((placement) => {
      const before = (placement.origin[dim] as number) - shareStart(size, ways, rank);
      return withoutFirst(placement, dim, overlap - before) ?? [];
    });
  });
}
