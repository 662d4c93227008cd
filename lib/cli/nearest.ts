/** The name that somebody may have meant. */

/** More changes than this make it another word. */
const MOST_CHANGES = 3

/** The one of `names` that is the fewest changes of a letter away; undefined where none is near. */
export function nearest(wrong: string, names: readonly string[]): string | undefined {
  const most = Math.min(MOST_CHANGES, Math.ceil(wrong.length / 2))
  const near = names
    .map((name) => ({ name, changes: changesBetween(wrong.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, changes }) => changes <= most && changes < name.length)
    .toSorted((a, b) => a.changes - b.changes)
  return near[0]?.name
}

/** Letters to be put in, taken out or replaced, or neighbours to be swapped, one at a time. */
function changesBetween(from: string, to: string): number {
  let before: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (last[j - 1] ?? 0) + Number(from[i - 1] !== to[j - 1])
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced)
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[to.length] ?? from.length
}
