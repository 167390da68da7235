// What each switch plane of the topology `switch` is set to. A plane holds one rotation of the chips for the whole program: chip c's port goes
// to chip c + shift. Knows numbers only.

/**
 * One shift a plane, so that every chip reaches every other in one hop if there are planes enough, else in two; spare planes double the
 * first ones. undefined where two hops are not enough.
 */
export function switchShifts(chips: number, planes: number): readonly number[] | undefined {
  if (chips === 1) return [];
  const basic = chips - 1 <= planes ? oneHop(chips) : twoHops(chips, planes);
  if (basic === undefined || basic.length === 0) return undefined;
  return Array.from({ length: planes }, (_, plane) => basic[plane % basic.length] ?? 1);
}

/** 1, -1, 2, -2, ...: neighbours first, so that spare planes go to them. */
function oneHop(chips: number): readonly number[] {
  const shifts: number[] = [];
  for (let step = 1; step <= chips - step; step++) {
    shifts.push(step);
    if (step !== chips - step) shifts.push(chips - step);
  }
  return shifts;
}

/** Short shifts -h..h and multiples of 2h + 1: any distance is one of each. */
function twoHops(chips: number, planes: number): readonly number[] | undefined {
  for (let reach = 1; 2 * reach < planes; reach++) {
    const stride = 2 * reach + 1;
    const long = Math.ceil(chips / stride) - 1;
    if (2 * reach + long > planes) continue;
    const shifts = new Set<number>();
    for (let step = 1; step <= reach; step++) shifts.add(step).add(chips - step);
    for (let step = 1; step <= long; step++) shifts.add(step * stride);
    return [...shifts];
  }
  return undefined;
}
