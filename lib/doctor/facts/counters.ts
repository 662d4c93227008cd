/** What the kernel has counted in this network namespace since it was made: proc_pid_net(5). */

/** Counters of /proc/net/netstat, group TcpExt, that a finding may rest on. */
export const counterNames = [
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

export type CounterName = (typeof counterNames)[number]

export type Counters = Partial<Record<CounterName, number>>

/** /proc/net/netstat: a line of names, then one of values. Undefined for an empty text. */
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
export interface SocketCounts {
  /** TCP sockets of IPv4, and of IPv6, that are neither in TIME_WAIT nor bare. */
  readonly inUse?: number
  readonly inUse6?: number
  /** Closed by their program and not ended yet, in all namespaces of the host. */
  readonly orphans?: number
  /** Of both families, in this namespace. */
  readonly timeWait?: number
  /** TCP sockets of all namespaces of the host. */
  readonly allocated?: number
  /** Memory of TCP on the host, pages. */
  readonly memoryPages?: number
}

/** Undefined when neither text has a line on TCP. */
export function parseSocketCounts(sockstat: string, sockstat6: string): SocketCounts | undefined {
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

/** Without what is undefined: a fact that is not known is not there. */
export function definedOf<T extends object>(
  facts: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
