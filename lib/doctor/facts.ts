/** Everything that the rules go by, of one network namespace at one moment: a plain object for JSON. */
import { release } from 'node:os'
import { parseKernelVersion, type KernelVersion } from '../kernel/version'
import { contentOf, reservedPorts, systemPortRange } from '../kernel/proc'
import type { PortRange } from '../options/values'
import {
  readDestinations,
  readTimeWaitByPort,
  type DestinationPorts,
  type TimeWaitAtPort,
} from './facts/connections'
import {
  definedOf,
  parseCounters,
  parseSocketCounts,
  type Counters,
  type SocketCounts,
} from './facts/counters'
import { readListeners, type Listener } from './facts/listeners'
import { containerKind, parseReadOnly, readOpenFiles, type OpenFiles } from './facts/place'
import { readPersisted, readSysctls, type PersistedSysctl, type Sysctls } from './facts/sysctls'
import type { ResolvedTarget } from './target'

/** A fact that is not known is not there; it is never 0 in place of that. */
export interface Facts {
  /** `process.platform`. */
  readonly platform: string
  readonly kernelRelease: string
  readonly kernel?: KernelVersion
  /** `docker`, `podman`, `kubernetes`, or what systemd calls it. */
  readonly container?: string
  /** This is not the network namespace that the host began with. */
  readonly ownNamespace?: boolean
  readonly procSysReadOnly?: boolean
  /** Of this process. */
  readonly openFiles?: OpenFiles
  readonly sysctls?: Sysctls
  /** net.ipv4.ip_local_port_range. */
  readonly portRange?: PortRange
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reservedPorts?: readonly PortRange[]
  /** Lines of sysctl.d(5) about settings that are looked at here. */
  readonly persisted?: readonly PersistedSysctl[]
  readonly sockets?: SocketCounts
  /** TcpExt counters of this namespace. */
  readonly counters?: Counters
  readonly listeners?: readonly Listener[]
  /** The local ports with the most TIME_WAIT entries. */
  readonly timeWaitByPort?: readonly TimeWaitAtPort[]
  /**
   * The destinations with the most connections from ephemeral ports, and those of the target's addresses
   * that this host can reach, the most used first.
   */
  readonly destinations?: readonly DestinationPorts[]
  readonly target?: ResolvedTarget
}

/** Reads all facts; connections are counted off the event loop. */
export async function collectFacts(target?: ResolvedTarget): Promise<Facts> {
  const listeners = await readListeners()
  const timeWaitByPort = await readTimeWaitByPort()
  const destinations = await readDestinations(target)
  const sysctls = readSysctls()
  return {
    platform: process.platform,
    kernelRelease: release(),
    ...definedOf({
      kernel: process.platform === 'linux' ? parseKernelVersion(release()) : undefined,
      container: containerKind(),
      ownNamespace: isOwnNamespace(sysctls),
      procSysReadOnly: parseReadOnly(contentOf('/proc/self/mounts')),
      openFiles: readOpenFiles(),
      sysctls,
      portRange: systemPortRange(),
      reservedPorts: reservedPorts(),
      persisted: sysctls === undefined ? undefined : readPersisted(),
      sockets: parseSocketCounts(contentOf('/proc/net/sockstat'), contentOf('/proc/net/sockstat6')),
      counters: parseCounters(contentOf('/proc/net/netstat')),
      listeners,
      timeWaitByPort,
      destinations,
      target,
    }),
  }
}

/** tcp_max_orphans holds for the whole host, and only its first namespace shows it. */
function isOwnNamespace(sysctls: Sysctls | undefined): boolean | undefined {
  return sysctls === undefined ? undefined : sysctls['net.ipv4.tcp_max_orphans'] === undefined
}
