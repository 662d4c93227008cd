/** Whether a destination runs short of ports, and what is said of it. */
import { endpoint } from '../connect/address'
import { announce } from '../warnings'
import type { PortReport, PortTrouble } from './report'
import type { CheckedWatch } from './watch-options'

/** So many times what connect() cost at its best, and no less than this, is slow: µs. */
const SLOW = 5
const SLOW_MICROSECONDS = 150
/** Fewer calls tell nothing. */
const ENOUGH_CALLS = 10

/** Until the ports are expected to run short as `warnAt` has it, s; Infinity where they are short or will not be. */
export function secondsUntilWarning(
  { ports, available, rate, secondsUntilExhaustion = Infinity }: Omit<PortReport, 'troubles'>,
  { used, seconds }: CheckedWatch['warnAt'],
): number {
  const left = used * ports - (ports - available)
  const toGo = [left > 0 && rate > 0 ? left / rate : 0, secondsUntilExhaustion - seconds]
  return Math.min(Infinity, ...toGo.filter((each) => each > 0))
}

/** Of one destination. */
export class Alarm {
  readonly #warnAt: CheckedWatch['warnAt']
  readonly #silent: boolean
  #best = Infinity
  #before: readonly PortTrouble[] = []

  /** @param silent warns of nothing: the caller shows the troubles itself */
  constructor(warnAt: CheckedWatch['warnAt'], silent = false) {
    this.#warnAt = warnAt
    this.#silent = silent
  }

  /** Warns of what was not there the last time. */
  judge(report: Omit<PortReport, 'troubles'>): PortTrouble[] {
    const troubles = this.#troublesOf(report)
    for (const trouble of this.#silent ? [] : troubles) {
      if (this.#before.includes(trouble)) continue
      const to = endpoint(report.remoteAddress, report.remotePort)
      announce('SOCKET_TUNER_PORTS_LOW', `${trouble} ${to}`, say[trouble](report, to))
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

/** What the program pays itself counts more than what a probe does. */
function costOf({
  connects,
  connectMicroseconds,
  probeMicroseconds,
}: Omit<PortReport, 'troubles'>): number | undefined {
  return connects >= ENOUGH_CALLS ? connectMicroseconds : probeMicroseconds
}

const say: Readonly<
  Record<PortTrouble, (report: Omit<PortReport, 'troubles'>, to: string) => string>
> = {
  used: ({ ports, available, timeWait, reusable, localAddress, untilSlow }, to) =>
    `${String(ports - available)} of ${String(ports)} ports from ${localAddress} to ${to} are taken, ` +
    // Those that can be used again are not taken.
    `${String(timeWait - reusable)} of them in TIME_WAIT; ${String(untilSlow)} connections until connect() gets slow`,
  exhaustion: ({ secondsUntilExhaustion = 0, rate, sustainableRate, localAddress }, to) =>
    `The ports from ${localAddress} to ${to} ${usedUp(secondsUntilExhaustion)} ` +
    `at ${rate.toFixed(0)} connections/s; ${sustainableRate.toFixed(0)}/s can go on`,
  'slow-connect': (report, to) =>
    `connect() to ${to} takes ${(costOf(report) ?? 0).toFixed(0)} µs on the event loop: the kernel searches ` +
    `for ports, ${String(report.available)} are left`,
}

function usedUp(seconds: number): string {
  return seconds <= 0 ? 'are used up' : `will be used up in ${String(Math.ceil(seconds))} s`
}
