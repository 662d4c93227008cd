/** The data of `top`: the busiest destinations of this network namespace, and those of --target. */
import { endpoint } from '../../connect/address'
import {
  findDestinations,
  readTimeWaitByPort,
  type TimeWaitAtPort,
} from '../../doctor/facts/connections'
import type { DiagnosisTarget } from '../../doctor/diagnosis-target'
import { Alarm } from '../../ports/alarm'
import { shareTaken } from '../../ports/budget'
import { checkDestination, placesOf, type Destination } from '../../ports/place'
import { PlaceWatch } from '../../ports/place-watch'
import type { PortReport } from '../../ports/port-report'
import { readOwners } from '../../ports/snapshot'
import { timeWaitCount } from '../../ports/time-wait-count'
import { portAlarm } from '../../ports/watch-options'

export interface View {
  /** ms since the epoch. */
  readonly time: number
  /** All sockets in TIME_WAIT. */
  readonly timeWait: number
  /** Local ports that many of them share: those of a server that closed first. They occupy no client port. */
  readonly servers: readonly TimeWaitAtPort[]
  readonly rows: readonly TopRow[]
}

export interface TopRow {
  readonly report: PortReport
  /** The share of the ports that are taken, 0 to 1, for each reading; the newest is last. */
  readonly history: readonly number[]
}

/** New destinations are searched for on every third reading. */
const DISCOVER_EVERY = 3
const MOST_ROWS = 10
const HISTORY = 60
/** A local port with at least 20 entries is a server's: a client's port has one for each of a few destinations. */
const SERVERS_SHARE = 20
/** The limits at which a row is marked: the defaults of watchPorts(). */
export const WARN_AT = portAlarm.check('warnAt', {})

interface Shown {
  readonly watch: PlaceWatch
  /** From --target: stays even without connections. */
  readonly fixed: boolean
  readonly history: number[]
}

export class TopSource {
  readonly #shown = new Map<string, Shown>()
  #servers: readonly TimeWaitAtPort[] = []
  #looks = 0

  /** @throws (as a rejection) what dns.lookup() and watchPorts() throw */
  async add(targets: readonly DiagnosisTarget[]): Promise<void> {
    for (const { host, port } of targets)
      await this.#show({ remoteAddress: host, remotePort: port }, true)
  }

  /** @throws (as a rejection) ERR_SOCKET_TUNER_UNSUPPORTED where sockets cannot be counted */
  async look(): Promise<View> {
    const timeWait = timeWaitCount()
    if (this.#looks++ % DISCOVER_EVERY === 0) await this.#discover()
    const owners = await readOwners()
    const targeted: TopRow[] = []
    const found: TopRow[] = []
    for (const [key, { watch, fixed, history }] of this.#shown) {
      const report = await watch.read(owners)
      if (!fixed && report.used < 2) {
        watch.stop()
        this.#shown.delete(key)
        continue
      }
      history.push(shareTaken(report))
      if (history.length > HISTORY) history.shift()
      ;(fixed ? targeted : found).push({ report, history: [...history] })
    }
    // The rows of --target are always shown.
    const busiest = found.toSorted(byUse).slice(0, Math.max(0, MOST_ROWS - targeted.length))
    const rows = [...targeted, ...busiest].toSorted(byUse)
    return { time: Date.now(), timeWait, servers: this.#servers, rows }
  }

  /** Ignores destinations with a single connection: most are clients of a server here. */
  async #discover(): Promise<void> {
    const byPort = (await readTimeWaitByPort()) ?? []
    this.#servers = byPort.filter(({ count }) => count >= SERVERS_SHARE)
    const found = (await findDestinations()) ?? []
    for (const { localAddress, remoteAddress, remotePort, connections } of found) {
      if (connections > 1 && this.#shown.size < 2 * MOST_ROWS)
        await this.#show({ localAddress, remoteAddress, remotePort }, false)
    }
  }

  async #show(destination: Destination, fixed: boolean): Promise<void> {
    for (const place of await placesOf(checkDestination('destination', destination))) {
      const key = `${place.localAddress} ${endpoint(place.remoteAddress, place.remotePort)}`
      if (this.#shown.has(key)) continue
      // Silent: the marks of the rows report the same as a process warning would.
      const watch = new PlaceWatch(place, new Alarm(WARN_AT, true))
      this.#shown.set(key, { watch, fixed, history: [] })
    }
  }
}

function byUse(a: TopRow, b: TopRow): number {
  return b.report.used - a.report.used
}
