/** Why a run of several parts is not valid. */
import { connectErrors, noDescriptor, noPort, noSource } from './limits'
import type { Part } from './part'
import type { StressLimit, StressLimitCode, StressResult } from './result'

/** A part, as the messages name it. */
export interface JudgedPart {
  readonly name: string
  readonly part: Part
  readonly limits: readonly StressLimit[]
}

/** Measures how far a part exceeds a limit, to find the worst of several parts. */
const severities: Readonly<Record<StressLimitCode, (part: Part) => number>> = {
  // If two are delayed alike, the busier one is the worse.
  'event-loop': ({ generator }) => generator.eventLoopDelayMs.p99 + generator.eventLoopBusy,
  'late-sends': ({ generator }) => generator.lag.percentilesMs.p99,
  unsent: ({ requests }) => requests.unsent,
  ports: ({ errors }) => connectErrors(errors, noPort),
  descriptors: ({ errors }) => connectErrors(errors, noDescriptor),
  sources: ({ errors }) => connectErrors(errors, noSource),
  'slow-connect': ({ phases }) => phases.connectCall.percentilesMs.p50,
  worker: () => 0,
  apart: () => 0,
}

/** The limits of all parts: one of each code, that of the part which it limited most. */
export function mergeLimits(parts: readonly JudgedPart[]): StressLimit[] {
  const codes = new Set(parts.flatMap(({ limits }) => limits.map(({ code }) => code)))
  return [...codes].flatMap((code) => {
    const limited = parts.filter(({ limits }) => limits.some((limit) => limit.code === code))
    const severity = severities[code]
    const [worst] = limited.toSorted((a, b) => severity(b.part) - severity(a.part))
    const limit = worst?.limits.find((each) => each.code === code)
    if (worst === undefined || limit === undefined) return []
    const who =
      limited.length === 1 ? worst.name : `${worst.name}, the worst of ${String(limited.length)}`
    return [{ code, message: `${capitalized(who)}: ${limit.message}` }]
  })
}

/** The text as the start of a sentence. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Runs that start with a larger part of their length in between had the target for themselves for a time. */
const MOST_APART = 0.1
/** Clocks of several machines differ. */
const TOLERATED_S = 1

/** Judges whether runs took place at the same time. */
export function apartLimit(
  runs: readonly Pick<StressResult, 'startedAt' | 'seconds'>[],
): StressLimit | undefined {
  const starts = runs.map(({ startedAt }) => Date.parse(startedAt) / 1000)
  const apart = Math.max(...starts) - Math.min(...starts)
  const length = Math.max(...runs.map(({ seconds }) => seconds))
  if (apart <= Math.max(TOLERATED_S, MOST_APART * length)) return undefined
  return {
    code: 'apart',
    message: `The runs started ${apart.toFixed(1)} s apart and took ${length.toFixed(1)} s, so the target did not have the load of all of them all the time. Start them together, or make them longer.`,
  }
}
