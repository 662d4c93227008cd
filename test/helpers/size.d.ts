import type sizes from '../sizes.json'

export function size(name: keyof typeof sizes): number
