import { checkStress, type StressOptions } from './options'
import { placeOf, planOf, resolveTarget } from './plan'
import { preflightOf, type StressFinding } from './preflight'
import { requireSources } from './sources'
import { Run, type StressRun } from './run'

/**
 * Puts load on a server and measures it. The load is that of `connections` clients which open connections, send
 * requests and close them in the mode of `close`; by default each connection has one request and is closed by
 * `deliver`, which leaves no TIME_WAIT. One request before the run tests whether the target answers.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION;
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY for a source of another family than the address of the target;
 *   ERR_SOCKET_TUNER_UNSUPPORTED for a setting that this platform does not have
 *
 * @example
 * ```js
 * const run = stress({ target: 'http://127.0.0.1:8080/', ratePerSecond: 1000, durationMs: 30_000 })
 * for await (const { answered, latencyMs } of run) console.log(answered, latencyMs.p99)
 * const { valid, latency } = await run.result
 * ```
 */
export function stress(options: StressOptions): StressRun {
  return new Run(checkStress(options))
}

/**
 * Finds out what will run out in a run with these options: descriptors, ports, or ports in TIME_WAIT. Sends nothing.
 * Returns an empty array where nothing is known to.
 *
 * @throws (as a rejection) as {@link stress}; the error of dns.lookup(), for example ENOTFOUND; that of
 *   bind(2) for a source that is not an address of this host, EADDRNOTAVAIL
 */
export async function preflight(options: StressOptions): Promise<StressFinding[]> {
  const checked = checkStress(options)
  const target = await resolveTarget(checked)
  requireSources(checked)
  return preflightOf(planOf(checked), placeOf(checked, target))
}
