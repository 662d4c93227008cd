/** The input of the rules: the state of one network namespace at one moment, as a plain object for JSON. */
import { release } from 'node:os'
import { parseKernelVersion, type KernelVersion } from '../kernel/version'
import { contentOf, reservedPorts, systemPortRange, type PortRange } from '../kernel/proc'
import {
  readDestinations,
  readTimeWaitByPort,
  type DestinationPorts,
  type TimeWaitAtPort,
} from './facts/connections'
import {
  definedOf,
  parseCounters,
  parseSocketUsage,
  type Counters,
  type SocketUsage,
} from './facts/netstat'
import { readListeners, type Listener } from './facts/listeners'
import { containerKind, parseReadOnly, readOpenFiles, type OpenFiles } from './facts/environment'
import { readPersisted, readSysctls, type PersistedSysctl, type Sysctls } from './facts/sysctls'
import type { ResolvedTarget } from './diagnosis-target'

/** A fact that is not known is absent, never 0. */
export interface Facts {
  /** `process.platform`. */
  readonly platform: string
  readonly kernelRelease: string
  readonly kernel?: KernelVersion
  /** `docker`, `podman`, `kubernetes`, or the name that systemd uses. */
  readonly container?: string
  /** Whether this is another network namespace than the host's initial one. */
  readonly ownNamespace?: boolean
  readonly procSysReadOnly?: boolean
  /** Open descriptors of this process and their limits. */
  readonly openFiles?: OpenFiles
  readonly sysctls?: Sysctls
  /** net.ipv4.ip_local_port_range. */
  readonly portRange?: PortRange
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reservedPorts?: readonly PortRange[]
  /** Lines of sysctl.d(5) about settings that the rules use. */
  readonly persisted?: readonly PersistedSysctl[]
  readonly sockets?: SocketUsage
  /** TcpExt counters of this namespace. */
  readonly counters?: Counters
  readonly listeners?: readonly Listener[]
  /** The local ports with the most TIME_WAIT entries. */
  readonly timeWaitByPort?: readonly TimeWaitAtPort[]
  /**
   * The destinations with the most connections from ephemeral ports, and the reachable addresses of the target.
   * The one with the most ports in use is first.
   */
  readonly destinations?: readonly DestinationPorts[]
  readonly target?: ResolvedTarget
}

/** Reads all facts. Connections are counted in a thread of the pool. */
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
      sockets: parseSocketUsage(contentOf('/proc/net/sockstat'), contentOf('/proc/net/sockstat6')),
      counters: parseCounters(contentOf('/proc/net/netstat')),
      listeners,
      timeWaitByPort,
      destinations,
      target,
    }),
  }
}

/** tcp_max_orphans is a setting of the whole host, and exists only in its initial namespace. */
function isOwnNamespace(sysctls: Sysctls | undefined): boolean | undefined {
  return sysctls === undefined ? undefined : sysctls['net.ipv4.tcp_max_orphans'] === undefined
}
