/** A network namespace for the demo (network_namespaces(7)). It ends with its last process. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readlinkSync, writeFileSync } from 'node:fs'
import type { PortRange } from '../index'

const SELF = '/proc/self/ns/net'
const DEADLINE_MS = 5_000

/** The kernel's default range. */
export const DEFAULT_PORTS: PortRange = { min: 32_768, max: 60_999 }
/** net.ipv4.tcp_tw_reuse in the namespace: TIME_WAIT lasts 60 s there, as it does between two hosts. */
export const TW_REUSE = 0

const settings = {
  tcp_tw_reuse: String(TW_REUSE),
  ip_local_port_range: `${String(DEFAULT_PORTS.min)} ${String(DEFAULT_PORTS.max)}`,
  // With little memory the kernel would keep fewer entries than there are ports.
  tcp_max_tw_buckets: '131072',
  // Otherwise a RST that a late segment provokes ends an entry (RFC 1337), which is then not counted.
  tcp_rfc1337: '1',
} as const

/** The program and arguments that run the command behind them in a new namespace. */
export const unshare = { program: 'unshare', args: ['--net', '--'] } as const

/** Identifies the namespace of this process. */
export function currentNamespace(): string {
  return readlinkSync(SELF)
}

/** Returns why no namespace can be created; undefined if one can. Creates one to test it, which ends at once. */
export function namespaceRefusal(): string | undefined {
  const { error, status, stderr } = spawnSync(
    unshare.program,
    [...unshare.args, 'ip', 'link', 'set', 'lo', 'up'],
    { encoding: 'utf8', timeout: DEADLINE_MS, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  if (error !== undefined) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? 'the program unshare (util-linux) is not installed'
      : error.message
  }
  if (status === 0) return undefined
  return stderr.trim().split('\n')[0] ?? `unshare ended with ${String(status)}`
}

/**
 * Prepares the namespace of this process for the demo.
 *
 * @throws Error if the process is still in the namespace `notThisOne`, or if a step is refused
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
