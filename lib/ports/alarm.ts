/** Decides whether a destination runs short of ports, and warns about it. */
import { endpoint } from '../connect/address'
import { announce } from '../warnings'
import type { PortReport, PortTrouble } from './port-report'
import type { CheckedWatch } from './watch-options'

/** Slow: at least 5 times the best cost of connect() seen, and at least 150 µs. */
const SLOW = 5
const SLOW_MICROSECONDS = 150
/** With fewer calls the probe is more reliable than their median. */
const ENOUGH_CALLS = 10

/** Seconds until the next limit of `warnAt` is expected to be reached; Infinity if no further limit will be. */
export function secondsUntilWarning(
  { ports, available, rate, secondsUntilExhaustion = Infinity }: Omit<PortReport, 'troubles'>,
  { used, seconds }: CheckedWatch['warnAt'],
): number {
  const left = used * ports - (ports - available)
  const toGo = [left > 0 && rate > 0 ? left / rate : 0, secondsUntilExhaustion - seconds]
  return Math.min(Infinity, ...toGo.filter((each) => each > 0))
}

/** The alarm of one destination. */
export class Alarm {
  readonly #warnAt: CheckedWatch['warnAt']
  readonly #silent: boolean
  #best = Infinity
  #before: readonly PortTrouble[] = []

  /** @param silent never warns: the caller shows the troubles itself */
  constructor(warnAt: CheckedWatch['warnAt'], silent = false) {
    this.#warnAt = warnAt
    this.#silent = silent
  }

  /** Returns the troubles, and warns of those that the previous report did not have. */
  judge(report: Omit<PortReport, 'troubles'>): PortTrouble[] {
    const troubles = this.#troublesOf(report)
    for (const trouble of this.#silent ? [] : troubles) {
      if (this.#before.includes(trouble)) continue
      const to = endpoint(report.remoteAddress, report.remotePort)
      announce('SOCKET_TUNER_PORTS_LOW', `${trouble} ${to}`, messages[trouble](report, to))
    }
    this.#before = troubles
    return troubles
  }

  #troublesOf(report: Omit<PortReport, 'troubles'>): PortTrouble[] {
    const { ports, available, secondsUntilExhaustion } = report
    const { used, seconds } = this.#warnAt
    const troubles: PortTrouble[] = []
    if (ports - available >= used * ports) troubles.push('used')
    if (secondsUntilExhaustion !== undefined && secondsUntilExhaustion <= seconds)
      troubles.push('exhaustion')
    if (this.#isSlow(costOf(report))) troubles.push('slow-connect')
    return troubles
  }

  #isSlow(microseconds: number | undefined): boolean {
    if (microseconds === undefined) return false
    this.#best = Math.min(this.#best, microseconds)
    return microseconds >= Math.max(SLOW * this.#best, SLOW_MICROSECONDS)
  }
}

/** The cost of the program's own calls, if there are enough; otherwise that of the probe. */
function costOf({
  connects,
  connectMicroseconds,
  probeMicroseconds,
}: Omit<PortReport, 'troubles'>): number | undefined {
  return connects >= ENOUGH_CALLS ? connectMicroseconds : probeMicroseconds
}

const messages: Readonly<
  Record<PortTrouble, (report: Omit<PortReport, 'troubles'>, to: string) => string>
> = {
  used: ({ ports, available, timeWait, reusable, localAddress, untilSlow }, to) =>
    `${String(ports - available)} of ${String(ports)} ports from ${localAddress} to ${to} are in use, ` +
    // Reusable ports do not count as used.
    `${String(timeWait - reusable)} of them in TIME_WAIT; connect() becomes slow after ${String(untilSlow)} more connections`,
  exhaustion: ({ secondsUntilExhaustion = 0, rate, sustainableRate, localAddress }, to) =>
    `The ports from ${localAddress} to ${to} ${usedUp(secondsUntilExhaustion)} ` +
    `at ${rate.toFixed(0)} connections/s; ${sustainableRate.toFixed(0)}/s are sustainable`,
  'slow-connect': (report, to) =>
    `connect() to ${to} takes ${(costOf(report) ?? 0).toFixed(0)} µs on the event loop, because the kernel searches ` +
    `for a free port; ${String(report.available)} are left`,
}

function usedUp(seconds: number): string {
  return seconds <= 0 ? 'have run out' : `run out in ${String(Math.ceil(seconds))} s`
}
