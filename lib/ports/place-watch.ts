/** One place, looked at again and again. */
import { probeConnect } from '../connect/connect-probe'
import { ConnectMeter } from '../observe/connect-cost'
import type { Alarm } from './alarm'
import { budgetOf, recentRates, type PortBudget } from './budget'
import { sourceOf, type Place } from './place'
import { RateLearner } from './rates'
import type { PortReport } from './report'
import { takeSnapshot, type PortOwners } from './snapshot'

export class PlaceWatch {
  readonly #meter: ConnectMeter
  readonly #alarm: Alarm
  #place: Place
  #learner = new RateLearner()
  #processorMs = 0

  constructor(place: Place, alarm: Alarm) {
    this.#place = place
    this.#alarm = alarm
    this.#meter = new ConnectMeter(place.remoteAddress, place.remotePort)
  }

  /** Processor time that the last look took, ms. */
  get processorMs(): number {
    return this.#processorMs
  }

  /** Its calls of connect() are counted no more. */
  stop(): void {
    this.#meter.stop()
  }

  /** @throws (as a rejection) as takeSnapshot() does */
  async look(owners: PortOwners): Promise<PortReport> {
    this.#followSource()
    const place = this.#place
    const snapshot = await takeSnapshot(place, owners)
    // Not by the clock: a process that was held up would take a long pause for a costly look.
    const begun = process.cpuUsage()
    const rates = this.#learner.learn(snapshot) ?? recentRates(snapshot)
    const { calls, median, slowest } = this.#meter.take()
    const budget = budgetOf(snapshot, rates)
    const report = {
      ...budget,
      time: Date.now(),
      connects: calls,
      connectMicroseconds: median,
      slowestConnectMicroseconds: calls === 0 ? undefined : slowest,
      probeMicroseconds: this.#probe(budget),
    }
    const troubles = this.#alarm.judge(report)
    const { user, system } = process.cpuUsage(begun)
    this.#processorMs = snapshot.processorMs + (user + system) / 1000
    return { ...report, troubles }
  }

  /** Where the kernel takes another source by now, as after a change of routes, its ports are others. */
  #followSource(): void {
    const place = this.#place
    if (place.hasOwnSource) return
    let localAddress: string
    try {
      localAddress = sourceOf(place.family, place.reachedAt)
    } catch {
      // No way there at the moment; the connections that there are still have their ports.
      return
    }
    if (localAddress === place.localAddress) return
    this.#place = { ...place, localAddress }
    this.#learner = new RateLearner()
  }

  /** Where connect() takes ports out of TIME_WAIT a probe would end entries, and with them what they are for. */
  #probe({ timeWait, timeWaitReuse }: PortBudget): number | undefined {
    if (timeWaitReuse.applies && timeWait > 0) return undefined
    const { family, reachedAt, remotePort, localAddress, hasOwnSource } = this.#place
    const source = hasOwnSource ? localAddress : undefined
    return probeConnect(family, reachedAt, remotePort, source)?.microseconds
  }
}
