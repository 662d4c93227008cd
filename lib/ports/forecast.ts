/** When the ports for one destination run out. */

/** What is known of them now. */
export interface Outlook {
  /** Ports that connect(2) can take. */
  readonly available: number
  /** Ports that come back, for each second to come: those that are in TIME_WAIT now. */
  readonly endings: Uint32Array
  /** Ports in use by connections that are not in TIME_WAIT. */
  readonly live: number
  /** Ports that are taken, per second. */
  readonly rate: number
  /** By how many the live ones grow, per second; 0 where it is not known. */
  readonly growth: number
  /** How long a port is gone after its connection was closed, s. */
  readonly held: number
}

/**
 * Seconds until there is no port; undefined when that will not be at this rate.
 *
 * Ports are taken at a steady rate and come back as their timers end. A port that is taken now comes
 * back when its connection has lived, and has been in TIME_WAIT. From then on as many come back as are
 * taken, but for those that go to connections which stay.
 */
export function secondsUntilExhaustion(outlook: Outlook): number | undefined {
  const { available, endings, live, rate, growth, held } = outlook
  if (available <= 0) return 0
  if (rate <= 0) return undefined
  // Little's law: as many live ones as come in a lifetime.
  const roundTrip = held + live / rate
  let left = available
  for (let second = 0; second < roundTrip; second++) {
    const span = Math.min(1, roundTrip - second)
    const net = rate - (endings[second] ?? 0)
    if (net > 0 && left <= net * span) return second + left / net
    left -= net * span
  }
  return growth > 0 ? roundTrip + left / growth : undefined
}
