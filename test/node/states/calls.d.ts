/** Exports of the root entry that the calls use, and functions among the others, which take no target. */
export const used: readonly string[]
export const without: readonly string[]
