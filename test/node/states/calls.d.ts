/** The exports of the root entry that the calls use, and its functions that take no target. */
export const used: readonly string[]
export const without: readonly string[]
