/** Watches one destination: each of its addresses is a place of its own. */
import { Alarm } from './alarm'
import { placeAt, placesOf, type CheckedDestination, type Place } from './place'
import { PlaceWatch } from './place-watch'
import type { PortReport } from './port-report'
import type { PortOwners } from './snapshot'
import type { CheckedWatch } from './watch-options'

/** The time after which a host name is looked up again, ms. */
const RESOLVE_EVERY_MS = 30_000

export class DestinationWatch {
  readonly #destination: CheckedDestination
  readonly #warnAt: CheckedWatch['warnAt']
  readonly #places = new Map<string, PlaceWatch>()
  /** The current addresses of the name. Earlier ones are watched while they have connections. */
  #current: ReadonlySet<string> = new Set()
  #resolvedAt = -Infinity
  #resolving = false
  #stopped = false
  #processorMs = 0

  /** @throws the name of the errno if this host has no source for the address */
  constructor(destination: CheckedDestination, { warnAt }: CheckedWatch) {
    this.#destination = destination
    this.#warnAt = warnAt
    if (!destination.isName) this.#take([placeAt(destination, destination.remoteAddress)])
  }

  /** Processor time of the last reading, ms. */
  get processorMs(): number {
    return this.#processorMs
  }

  /**
   * Returns a report for each address.
   *
   * @throws (as a rejection) what PlaceWatch.read() throws; what placesOf() throws while no address is known
   */
  async read(owners: PortOwners): Promise<PortReport[]> {
    if (this.#stopped) return []
    if (this.#destination.isName) {
      if (this.#places.size === 0) await this.#resolve()
      else this.#resolveAgain()
    }
    const reports: PortReport[] = []
    let processorMs = 0
    for (const [address, watch] of this.#places) {
      const report = await watch.read(owners)
      processorMs += watch.processorMs
      const isLeft = report.used > 0 || this.#current.has(address)
      if (isLeft) reports.push(report)
      else this.#forget(address)
    }
    this.#processorMs = processorMs
    return reports
  }

  stop(): void {
    for (const address of this.#places.keys()) this.#forget(address)
    this.#stopped = true
  }

  #forget(address: string): void {
    this.#places.get(address)?.stop()
    this.#places.delete(address)
  }

  /** Looks the name up without waiting: a slow resolver must not delay readings. The addresses stay if it fails. */
  #resolveAgain(): void {
    if (this.#resolving || performance.now() - this.#resolvedAt < RESOLVE_EVERY_MS) return
    this.#resolving = true
    this.#resolve()
      .catch(() => {
        this.#resolvedAt = performance.now()
      })
      .finally(() => {
        this.#resolving = false
      })
  }

  async #resolve(): Promise<void> {
    this.#take(await placesOf(this.#destination))
  }

  #take(places: readonly Place[]): void {
    // The watch may have been stopped during the lookup.
    if (this.#stopped) return
    this.#resolvedAt = performance.now()
    this.#current = new Set(places.map(({ remoteAddress }) => remoteAddress))
    for (const place of places) {
      if (this.#places.has(place.remoteAddress)) continue
      this.#places.set(place.remoteAddress, new PlaceWatch(place, new Alarm(this.#warnAt)))
    }
  }
}
