/** Forecasts when the ports for one destination run out. */

/** The current state of the ports. */
export interface Outlook {
  /** Ports that connect(2) can take. */
  readonly available: number
  /** For each future second, the ports in TIME_WAIT that come free in it. */
  readonly endings: Uint32Array
  /** Ports in use by connections that are not in TIME_WAIT. */
  readonly live: number
  /** Ports taken per second. */
  readonly rate: number
  /** Growth of `live` per second; 0 if it is not known. */
  readonly growth: number
  /** Seconds for which a port is occupied after its connection was closed. */
  readonly held: number
}

/**
 * Seconds until no port is left; undefined if that will not happen at this rate.
 *
 * Ports are taken at a constant rate and come free as their timers end. A port that is taken now comes free after
 * the lifetime of its connection plus TIME_WAIT. From then on as many ports come free as are taken, except for
 * the growth of live connections.
 */
export function secondsUntilExhaustion(outlook: Outlook): number | undefined {
  const { available, endings, live, rate, growth, held } = outlook
  if (available <= 0) return 0
  if (rate <= 0) return undefined
  // Little's law: the live connections divided by their rate are the mean lifetime.
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
