/** The kernel's counters of this network namespace, since it was created: proc_pid_net(5). */

/** The counters of /proc/net/netstat, group TcpExt, that rules use. */
const counterNames = [
  'ListenDrops',
  'ListenOverflows',
  'PAWSActive',
  'PAWSEstab',
  'PAWSTimewait',
  'SyncookiesSent',
  'TCPAbortOnLinger',
  'TCPAbortOnMemory',
  'TCPMemoryPressures',
  'TCPMigrateReqFailure',
  'TCPMigrateReqSuccess',
  'TCPReqQFullDoCookies',
  'TCPReqQFullDrop',
  'TCPTimeWaitOverflow',
  'TW',
  'TWKilled',
  'TWRecycled',
] as const

type CounterName = (typeof counterNames)[number]

export type Counters = Partial<Record<CounterName, number>>

/** Parses /proc/net/netstat: a line of names, then a line of values. Undefined for an empty text. */
export function parseCounters(netstat: string): Counters | undefined {
  const [names, values] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.trim().split(/\s+/))
  if (names === undefined || values === undefined) return undefined
  const counters: Counters = {}
  for (const name of counterNames) {
    const value = values[names.indexOf(name)]
    if (value !== undefined && /^\d+$/.test(value)) counters[name] = Number(value)
  }
  return counters
}

/** /proc/net/sockstat and sockstat6. */
export interface SocketUsage {
  /** TCP sockets of IPv4 that listen or have a connection, without those in TIME_WAIT; `inUse6`: those of IPv6. */
  readonly inUse?: number
  readonly inUse6?: number
  /** Sockets that their program has closed and that have not ended, in all namespaces of the host. */
  readonly orphans?: number
  /** Sockets in TIME_WAIT in this namespace, IPv4 and IPv6. */
  readonly timeWait?: number
  /** TCP sockets in all namespaces of the host. */
  readonly allocated?: number
  /** Memory of TCP on the whole host, in pages. */
  readonly memoryPages?: number
}

/** Undefined if neither text has a line about TCP. */
export function parseSocketUsage(sockstat: string, sockstat6: string): SocketUsage | undefined {
  const four = pairs(/^TCP: (.*)$/m.exec(sockstat)?.[1])
  const six = pairs(/^TCP6: (.*)$/m.exec(sockstat6)?.[1])
  if (four.size === 0 && six.size === 0) return undefined
  return definedOf({
    inUse: four.get('inuse'),
    inUse6: six.get('inuse'),
    orphans: four.get('orphan'),
    timeWait: four.get('tw'),
    allocated: four.get('alloc'),
    memoryPages: four.get('mem'),
  })
}

function pairs(line: string | undefined): Map<string, number> {
  return new Map(
    Array.from(line?.matchAll(/(\w+) (\d+)/g) ?? [], ([, name = '', value]) => [
      name,
      Number(value),
    ]),
  )
}

/** Leaves out undefined members: an unknown fact is absent. */
export function definedOf<T extends object>(
  facts: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
