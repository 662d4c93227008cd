/** Suites with prerequisites, such as root: skipped with the reason, or failed if CI is true. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as path from 'node:path'

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
  | 'mptcp'
  | 'postgresql'
  | 'mariadb'
  | 'redis'
  | 'mosquitto'
  | 'drivers'
  | 'chromium'

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
  postgresql: { what: 'PostgreSQL', met: () => succeeds('test', ['-d', '/usr/lib/postgresql']) },
  mariadb: { what: 'MariaDB', met: () => has('mariadbd') },
  redis: { what: 'Redis', met: () => has('redis-server') },
  mosquitto: { what: 'mosquitto', met: () => has('mosquitto') },
  drivers: {
    what: 'the drivers (npm ci --prefix test/lab/drivers)',
    met: () => existsSync(path.join(__dirname, '..', 'lab', 'drivers', 'node_modules')),
  },
  chromium: { what: 'chromium', met: () => has('chromium') },
  mptcp: { what: 'MPTCP (CONFIG_MPTCP)', met: () => existsSync('/proc/sys/net/mptcp') },
  tun: { what: '/dev/net/tun', met: () => succeeds('test', ['-c', '/dev/net/tun']) },
}

const known = new Map<Need, boolean>()

/**
 * `describe` for a suite with prerequisites. If one is missing, the suite is skipped with the reason in its name, or
 * fails if the environment has `CI=true`.
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
  // Jest does not print the names of skipped suites.
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
