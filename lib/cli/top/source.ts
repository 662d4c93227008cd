/** What `top` shows: the busiest destinations of this network namespace, and those asked for. */
import { endpoint } from '../../connect/address'
import {
  findDestinations,
  readTimeWaitByPort,
  type TimeWaitAtPort,
} from '../../doctor/facts/connections'
import type { DiagnosisTarget } from '../../doctor/target'
import { Alarm } from '../../ports/alarm'
import { shareTaken } from '../../ports/budget'
import { checkDestination, placesOf, type Destination } from '../../ports/place'
import { PlaceWatch } from '../../ports/place-watch'
import type { PortReport } from '../../ports/report'
import { readOwners } from '../../ports/snapshot'
import { timeWaitCount } from '../../ports/time-wait-count'

export interface View {
  /** ms since the epoch */
  readonly time: number
  /** Sockets in TIME_WAIT in all. */
  readonly timeWait: number
  /** Local ports that many of them share: a server's, which closed first. They take no client's ports. */
  readonly servers: readonly TimeWaitAtPort[]
  readonly rows: readonly Row[]
}

export interface Row {
  readonly report: PortReport
  /** Share of the ports that could not be taken, 0 to 1, look by look: the last one is the newest. */
  readonly history: readonly number[]
}

/** New destinations are looked for once in so many looks. */
const DISCOVER_EVERY = 3
const MOST_ROWS = 10
const HISTORY = 60
/** A client's port is in TIME_WAIT towards a few destinations at most. */
const SERVERS_SHARE = 20
/** When a row is marked. */
export const WARN_AT = { used: 0.4, seconds: 60 }

interface Shown {
  readonly watch: PlaceWatch
  /** Asked for: it stays, whatever its connections. */
  readonly fixed: boolean
  readonly history: number[]
}

export class TopSource {
  readonly #shown = new Map<string, Shown>()
  #servers: readonly TimeWaitAtPort[] = []
  #looks = 0

  /** @throws (as a rejection) what dns.lookup() gives; what watchPorts() does */
  async add(targets: readonly DiagnosisTarget[]): Promise<void> {
    for (const { host, port } of targets)
      await this.#show({ remoteAddress: host, remotePort: port }, true)
  }

  /** @throws (as a rejection) ERR_SOCKET_TUNER_UNSUPPORTED where sockets cannot be counted */
  async look(): Promise<View> {
    const timeWait = timeWaitCount()
    if (this.#looks++ % DISCOVER_EVERY === 0) await this.#discover()
    const owners = await readOwners()
    const asked: Row[] = []
    const found: Row[] = []
    for (const [key, { watch, fixed, history }] of this.#shown) {
      const report = await watch.look(owners)
      if (!fixed && report.used < 2) {
        watch.stop()
        this.#shown.delete(key)
        continue
      }
      history.push(shareTaken(report))
      if (history.length > HISTORY) history.shift()
      ;(fixed ? asked : found).push({ report, history: [...history] })
    }
    // What was asked for is there, however few its connections.
    const busiest = found.toSorted(byUse).slice(0, Math.max(0, MOST_ROWS - asked.length))
    const rows = [...asked, ...busiest].toSorted(byUse)
    return { time: Date.now(), timeWait, servers: this.#servers, rows }
  }

  /** A destination with a single connection is most often a server's client. */
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
      // The marks of the rows say it: a warning of the process would say it twice.
      const watch = new PlaceWatch(place, new Alarm(WARN_AT, true))
      this.#shown.set(key, { watch, fixed, history: [] })
    }
  }
}

function byUse(a: Row, b: Row): number {
  return b.report.used - a.report.used
}
