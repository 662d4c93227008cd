/** Suites that need more than a user's rights: skipped with the reason, or failed where CI is true. */
import { spawnSync } from 'node:child_process'

export type Need =
  | 'root'
  | 'ip'
  | 'tc'
  | 'nft'
  | 'nginx'
  | 'wrk'
  | 'taskset'
  | 'strace'
  | 'openssl'
  | 'ipv6'
  | 'cc'
  | 'tun'

const needs: Record<Need, { what: string; met: () => boolean }> = {
  root: { what: 'root', met: () => process.getuid?.() === 0 },
  ip: { what: 'ip (iproute2) and network namespaces', met: () => has('ip') && canUnshare() },
  tc: { what: 'tc (iproute2)', met: () => has('tc') },
  nft: { what: 'nft (nftables)', met: () => has('nft') },
  nginx: { what: 'nginx', met: () => has('nginx') },
  wrk: { what: 'wrk', met: () => has('wrk') },
  taskset: { what: 'taskset (util-linux)', met: () => has('taskset') },
  strace: { what: 'strace', met: () => succeeds('strace', ['-o', '/dev/null', 'true']) },
  openssl: { what: 'openssl', met: () => has('openssl') },
  ipv6: { what: 'IPv6', met: () => succeeds('test', ['-e', '/proc/net/if_inet6']) },
  cc: { what: 'a C compiler', met: () => has('cc') },
  tun: { what: '/dev/net/tun', met: () => succeeds('test', ['-c', '/dev/net/tun']) },
}

const known = new Map<Need, boolean>()

/**
 * `describe` for what has prerequisites. With one missing the suite is skipped under a name that
 * says why; with `CI=true` in the environment it fails instead.
 */
export function labDescribe(name: string, wanted: readonly Need[], suite: () => void): void {
  const missing = wanted.filter((need) => !isMet(need)).map((need) => needs[need].what)
  if (missing.length === 0) {
    describe(name, suite)
    return
  }
  const reason = `needs ${missing.join(', ')}`
  if (process.env.CI === 'true') {
    describe(name, () => {
      it('has its prerequisites', () => {
        throw new Error(`${name} ${reason}`)
      })
    })
    return
  }
  // jest does not name the suites that it skips.
  process.stderr.write(`skipped: ${name}: ${reason}\n`)
  describe.skip(`${name} (skipped: ${reason})`, suite)
}

function isMet(need: Need): boolean {
  const before = known.get(need)
  if (before !== undefined) return before
  const met = needs[need].met()
  known.set(need, met)
  return met
}

function has(tool: string): boolean {
  return succeeds('sh', ['-c', `command -v ${tool}`])
}

function canUnshare(): boolean {
  return succeeds('unshare', ['--net', 'true'])
}

function succeeds(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}
