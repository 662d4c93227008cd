/** Watches one place: takes readings of its ports. */
import { probeConnect } from '../connect/connect-probe'
import { ConnectMeter } from '../observe/connect-cost'
import type { Alarm } from './alarm'
import { budgetOf, recentRates, type PortBudget } from './budget'
import { sourceOf, type Place } from './place'
import { RateLearner } from './rates'
import type { PortReport } from './port-report'
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

  /** Processor time of the last reading, ms. */
  get processorMs(): number {
    return this.#processorMs
  }

  /** Stops measuring the calls of connect(). */
  stop(): void {
    this.#meter.stop()
  }

  /** Takes a reading. @throws (as a rejection) what takeSnapshot() throws */
  async read(owners: PortOwners): Promise<PortReport> {
    this.#followSource()
    const place = this.#place
    const snapshot = await takeSnapshot(place, owners)
    // Processor time, not wall-clock time: a process that waited for a processor would look expensive.
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

  /** Follows a change of the kernel's source address, for example after a change of routes: it has other ports. */
  #followSource(): void {
    const place = this.#place
    if (place.hasOwnSource) return
    let localAddress: string
    try {
      localAddress = sourceOf(place.family, place.reachedAt)
    } catch {
      // The destination is unreachable at present. Its existing connections still occupy their ports.
      return
    }
    if (localAddress === place.localAddress) return
    this.#place = { ...place, localAddress }
    this.#learner = new RateLearner()
  }

  /** No probe where connect() reuses ports in TIME_WAIT: it would end an entry, and its protection. */
  #probe({ timeWait, timeWaitReuse }: PortBudget): number | undefined {
    if (timeWaitReuse.applies && timeWait > 0) return undefined
    const { family, reachedAt, remotePort, localAddress, hasOwnSource } = this.#place
    const source = hasOwnSource ? localAddress : undefined
    return probeConnect(family, reachedAt, remotePort, source)?.microseconds
  }
}
