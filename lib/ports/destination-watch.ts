/** One destination, looked at again and again. */
import { probeConnect } from '../connect/connect-probe'
import type { ConnectMeter } from '../observe/connect-cost'
import { Alarm, type PortTrouble } from './alarm'
import { budgetOf, recentRates, type PortBudget } from './budget'
import type { Place } from './place'
import { RateLearner } from './rates'
import { takeSnapshot } from './snapshot'
import type { CheckedWatch } from './watch-options'

/** A destination at one look. `rate` is that of the last 10 s. */
export interface PortReport extends PortBudget {
  /** When it was, ms since the epoch. */
  readonly time: number
  /** Calls of connect() to the destination in this thread since the look before. */
  readonly connects: number
  /** What half of them took no longer than on the event loop, and the slowest: µs; undefined without any. */
  readonly connectMicroseconds: number | undefined
  readonly slowestConnectMicroseconds: number | undefined
  /**
   * What connect() costs any program of this network namespace at the moment, µs: measured by one
   * that sends nothing. Undefined where it cannot be (net.ipv4.tcp_fastopen without 1), without a
   * port, and where it would take one out of TIME_WAIT (tcp_tw_reuse).
   */
  readonly probeMicroseconds: number | undefined
  readonly troubles: readonly PortTrouble[]
}

export class DestinationWatch {
  readonly place: Place
  readonly #meter: ConnectMeter | undefined
  readonly #learner = new RateLearner()
  readonly #alarm: Alarm
  #processorMs = 0

  /** @param meter counts what this thread does itself */
  constructor(place: Place, warnAt: CheckedWatch['warnAt'], meter?: ConnectMeter) {
    this.place = place
    this.#meter = meter
    this.#alarm = new Alarm(warnAt)
    // From here on its calls are counted.
    meter?.take(place.remoteAddress, place.remotePort)
  }

  /** Processor time that the last look took, ms. */
  get processorMs(): number {
    return this.#processorMs
  }

  async look(): Promise<PortReport> {
    const { place } = this
    const snapshot = await takeSnapshot(place)
    const begun = performance.now()
    const rates = this.#learner.learn(snapshot) ?? recentRates(snapshot)
    const { remoteAddress, remotePort } = place
    const own = this.#meter?.take(remoteAddress, remotePort)
    const calls = own?.calls ?? 0
    const budget = budgetOf(snapshot, rates)
    const report = {
      ...budget,
      time: Date.now(),
      connects: calls,
      connectMicroseconds: own?.median,
      slowestConnectMicroseconds: calls === 0 ? undefined : own?.slowest,
      probeMicroseconds: this.#probe(budget),
    }
    const troubles = this.#alarm.judge(report)
    this.#processorMs = snapshot.processorMs + performance.now() - begun
    return { ...report, troubles }
  }

  /** Where connect() takes ports out of TIME_WAIT a probe would end entries, and with them what they are for. */
  #probe({ timeWait, timeWaitReuse }: PortBudget): number | undefined {
    if (timeWaitReuse.applies && timeWait > 0) return undefined
    const { family, remoteAddress, remotePort, localAddress, hasOwnSource } = this.place
    const source = hasOwnSource ? localAddress : undefined
    return probeConnect(family, remoteAddress, remotePort, source)?.microseconds
  }
}
