/** A network namespace of the demo's own (network_namespaces(7)): it ends with its last process. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readlinkSync, writeFileSync } from 'node:fs'
import type { PortRange } from '../../index'

const SELF = '/proc/self/ns/net'
const DEADLINE_MS = 5_000

/** The range that kernels have by default. */
export const DEFAULT_PORTS: PortRange = { min: 32_768, max: 60_999 }

/** What the namespace must have beside its ports: TIME_WAIT as it is between two hosts, for 60 s. */
const settings = {
  tcp_tw_reuse: '0',
  ip_local_port_range: `${String(DEFAULT_PORTS.min)} ${String(DEFAULT_PORTS.max)}`,
  // With few megabytes of memory the kernel would keep fewer entries than there are ports.
  tcp_max_tw_buckets: '131072',
  // No RST that a late segment provokes ends an entry (RFC 1337), so that each can be counted.
  tcp_rfc1337: '1',
} as const

/** The program and arguments that a command is put behind to run in a new namespace. */
export const unshare = { program: 'unshare', args: ['--net', '--'] } as const

/** Names the namespace of this process. */
export function currentNamespace(): string {
  return readlinkSync(SELF)
}

/** Why no namespace can be had; undefined when one can. Makes one and lets it go again. */
export function namespaceRefusal(): string | undefined {
  const { error, status, stderr } = spawnSync(
    unshare.program,
    [...unshare.args, 'ip', 'link', 'set', 'lo', 'up'],
    { encoding: 'utf8', timeout: DEADLINE_MS, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  if (error !== undefined) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? 'the program unshare (util-linux) is not there'
      : error.message
  }
  if (status === 0) return undefined
  return stderr.trim().split('\n')[0] ?? `unshare ended with ${String(status)}`
}

/**
 * Brings the namespace of this process into the state that the demo needs.
 *
 * @throws Error when this is the namespace that must be left alone, or a step is refused
 */
export function prepareNamespace(notThisOne: string): void {
  if (currentNamespace() === notThisOne) {
    throw new Error('the process is not in a network namespace of its own')
  }
  execFileSync('ip', ['link', 'set', 'lo', 'up'], {
    timeout: DEADLINE_MS,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for (const [name, value] of Object.entries(settings)) {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, value)
  }
}
