/** The kernel settings of this network namespace: those in force, from /proc/sys, and those of sysctl.d(5). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { contentOf } from '../../kernel/proc'

/** The settings whose value is one number. The kernel and the namespace determine which exist. */
const sysctlNames = [
  'net.core.somaxconn',
  'net.ipv4.ip_local_port_step_width',
  'net.ipv4.tcp_abort_on_overflow',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_max_orphans',
  'net.ipv4.tcp_max_syn_backlog',
  'net.ipv4.tcp_max_tw_buckets',
  'net.ipv4.tcp_migrate_req',
  'net.ipv4.tcp_orphan_retries',
  'net.ipv4.tcp_rfc1337',
  'net.ipv4.tcp_rto_max_ms',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_timestamps',
  'net.ipv4.tcp_tw_recycle',
  'net.ipv4.tcp_tw_reuse',
  'net.ipv4.tcp_tw_reuse_delay',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_tcp_timeout_time_wait',
] as const

export type SysctlName = (typeof sysctlNames)[number]

export type Sysctls = Partial<Record<SysctlName, number>>

export const RANGE = 'net.ipv4.ip_local_port_range'
export const RESERVED = 'net.ipv4.ip_local_reserved_ports'

/** Undefined if none exists: on another system than Linux, or without /proc. */
export function readSysctls(): Sysctls | undefined {
  const found: Sysctls = {}
  for (const name of sysctlNames) {
    const value = wholeNumber(valueOf(name))
    if (value !== undefined) found[name] = value
  }
  return Object.keys(found).length === 0 ? undefined : found
}

function valueOf(name: string): string {
  return contentOf(`/proc/sys/${name.replaceAll('.', '/')}`)
}

function wholeNumber(text: string): number | undefined {
  const value = text.trim()
  return /^-?\d+$/.test(value) ? Number(value) : undefined
}

/** A line of a file that sets a sysctl at boot. */
export interface PersistedSysctl {
  readonly file: string
  readonly sysctl: string
  readonly value: string
}

const FILE = '/etc/sysctl.conf'
const FOLDERS = ['/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d']

/** The lines of these files about settings that the doctor knows. */
export function readPersisted(
  file = FILE,
  folders: readonly string[] = FOLDERS,
): PersistedSysctl[] {
  const files = folders.flatMap((folder) =>
    namesIn(folder)
      .filter((name) => name.endsWith('.conf'))
      .toSorted()
      .map((name) => join(folder, name)),
  )
  return [...files, file].flatMap((each) => parsePersisted(each, contentOf(each)))
}

/** Parses a file of sysctl.d(5): `name = value`, with dots or slashes, and `-` to ignore errors. */
export function parsePersisted(file: string, text: string): PersistedSysctl[] {
  return text.split('\n').flatMap((line) => {
    const [, name, value] = /^\s*-?\s*([\w./-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (name === undefined || value === undefined) return []
    const sysctl = name.replaceAll('/', '.')
    const known = [...sysctlNames, RANGE, RESERVED].includes(sysctl)
    return known ? [{ file, sysctl, value }] : []
  })
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
