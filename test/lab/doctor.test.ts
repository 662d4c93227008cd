import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Diagnosis } from '../../lib/doctor'
import { rules } from '../../lib/doctor/rules'
import type { CommandLine } from '../helpers/command'
import { labDescribe } from '../helpers/lab'
import { Namespace } from '../helpers/namespace'
import { extendedCounter } from '../helpers/tcp-table'
import { until } from '../helpers/until'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const doctor: CommandLine = [process.execPath, MAIN, 'doctor', '--json']

/** With these settings and the defaults of a namespace, the doctor has no findings. */
const good = { 'net.ipv4.ip_local_port_range': '10240 65535', 'net.ipv4.tcp_tw_reuse': '1' }
const hundred = { 'net.ipv4.ip_local_port_range': '40000 40099', 'net.ipv4.tcp_tw_reuse': '0' }
const STEP_WIDTH = 'net.ipv4.ip_local_port_step_width'
const reserved = { 'net.ipv4.ip_local_reserved_ports': '20000-20099' }
const hasStepWidth = existsSync(`/proc/sys/${STEP_WIDTH.replaceAll('.', '/')}`)
const conntrackMax = numberIn('/proc/sys/net/netfilter/nf_conntrack_max')
/** Creating more entries takes long. */
const MOST_TRACKED = 300_000
const canFillConntrack = conntrackMax !== undefined && conntrackMax <= MOST_TRACKED
/** The number of entries at the server's end that causes a finding. */
const MANY = 1_000

interface Condition {
  /** Sysctls, by their full name or by the part after net.ipv4. */
  sysctls?: Record<string, string>
  make?: (namespace: Namespace) => Promise<unknown>
  /** Shell commands to run before the doctor, in the same mount namespace. */
  before?: string
}

function only(name: string, value: string): Condition {
  return { sysctls: { [`net.ipv4.${name}`]: value } }
}

async function closeFirst(namespace: Namespace, count: number): Promise<void> {
  const { port } = await namespace.serve('sink-server')
  const client = { way: 'net.connect', ports: [port], count, atATime: 8 }
  expect(await namespace.perform('port-client', client)).toMatchObject({ made: count })
  expect(await namespace.timeWaits({ remotePort: port })).toBeLessThanOrEqual(count)
}

/** Runs clients that keep connecting until the kernel's counter has increased. */
async function crowd(namespace: Namespace, counter: string, count: number): Promise<void> {
  const { program } = await namespace.start('port-client', {
    way: 'net.connect',
    ports: [9_001],
    hold: true,
    count,
    atATime: count,
  })
  program.ask('run').catch(() => undefined)
  await until(
    `${counter} is counted`,
    async () => extendedCounter(await namespace.run('cat', '/proc/net/netstat'), counter),
    (counted) => counted > 0,
  )
}

function numberIn(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined
}

async function fillConntrack(namespace: Namespace): Promise<void> {
  await outputRule(namespace, 'ct', 'state', 'new', 'accept')
  namespace.sysctl('net.netfilter.nf_conntrack_udp_timeout', '300')
  const count = Math.ceil((0.8 * (conntrackMax ?? 0)) / 500) * 500
  await namespace.perform('datagrams', { count })
}

async function outputRule(namespace: Namespace, ...rule: string[]): Promise<void> {
  const hook = '{ type filter hook output priority 0; }'
  await namespace.run('nft', 'add', 'table', 'ip', 'lab')
  await namespace.run('nft', 'add', 'chain', 'ip', 'lab', 'output', hook)
  await namespace.run('nft', 'add', 'rule', 'ip', 'lab', 'output', ...rule)
}

const conditions: Record<string, Condition> = {
  'destination-nearly-full': { sysctls: hundred, make: (namespace) => closeFirst(namespace, 95) },
  'destination-slow-half': { sysctls: hundred, make: (namespace) => closeFirst(namespace, 60) },
  'port-range-narrow': only('ip_local_port_range', '40000 40999'),
  'port-range-default': only('ip_local_port_range', '32768 60999'),
  'port-range-parity': only('ip_local_port_range', '10240 65534'),
  'listener-in-range': {
    make: (namespace) => namespace.serve('sink-server', { firstPort: 20_001 }),
  },
  'reserved-in-range': { sysctls: reserved },
  ...(hasStepWidth ? { 'port-step-width': { sysctls: { ...reserved, [STEP_WIDTH]: '0' } } } : {}),
  'timestamps-off': only('tcp_timestamps', '0'),
  'tw-reuse-off': only('tcp_tw_reuse', '0'),
  'tw-reuse-loopback-only': only('tcp_tw_reuse', '2'),
  'tw-reuse-without-timestamps': only('tcp_timestamps', '0'),
  'tw-reuse-delay-long': only('tcp_tw_reuse_delay', '5000'),
  'tw-reuse-delay-short': only('tcp_tw_reuse_delay', '100'),
  'tw-recycle': {
    before: 'mount -t tmpfs none /etc; echo net.ipv4.tcp_tw_recycle=1 > /etc/sysctl.conf',
  },
  'fin-timeout-lowered': only('tcp_fin_timeout', '30'),
  'tw-buckets-low': only('tcp_max_tw_buckets', '10000'),
  'tw-overflow': {
    ...only('tcp_max_tw_buckets', '10'),
    make: (namespace) => closeFirst(namespace, 30),
  },
  'rfc1337-off': only('tcp_rfc1337', '0'),
  'time-wait-on-server-port': {
    make: async (namespace) => {
      const { port } = await namespace.serve('http-server', { keepAliveTimeout: 1 })
      await namespace.perform('idle-client', { port, connections: MANY })
      expect(await namespace.timeWaits({ localPort: port })).toBe(MANY)
    },
  },
  'somaxconn-low': { sysctls: { 'net.core.somaxconn': '128' } },
  'listen-overflows': {
    sysctls: { 'net.core.somaxconn': '4' },
    make: async (namespace) => {
      const { server } = await namespace.serve('sink-server')
      // A stopped process accepts no connections.
      process.kill(server.pid, 'SIGSTOP')
      await crowd(namespace, 'ListenOverflows', 20)
    },
  },
  'syn-queue-full': {
    sysctls: { 'net.core.somaxconn': '4' },
    make: async (namespace) => {
      await namespace.serve('sink-server')
      await outputRule(namespace, 'tcp', 'flags', '&', '(syn|ack)', '==', '(syn|ack)', 'drop')
      await crowd(namespace, 'TCPReqQFullDoCookies', 20)
    },
  },
  ...(canFillConntrack ? { 'conntrack-nearly-full': { make: fillConntrack } } : {}),
  'syncookies-off': only('tcp_syncookies', '0'),
  'abort-on-overflow': only('tcp_abort_on_overflow', '1'),
  'migrate-req-off': {
    make: async (namespace) => {
      const settings = { SO_REUSEPORT: true }
      await namespace.serve('sink-server', { settings })
      await namespace.serve('sink-server', { settings })
    },
  },
  'open-files-below-ports': { before: 'ulimit -n 500' },
  'proc-sys-read-only': {
    before: 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys',
  },
  'no-kernel-facts': { before: 'mount -t tmpfs none /proc/sys' },
}

/** The findings that cannot occur in a namespace, with the reason. */
const beyond: Record<string, string> = {
  'orphans-many': 'tcp_max_orphans and the count of orphans belong to the whole host',
  'aborted-for-memory': 'tcp_mem and tcp_max_orphans belong to the whole host',
  'kernel-lacks-features': 'a namespace has the kernel of its host',
  ...(canFillConntrack
    ? {}
    : {
        'conntrack-nearly-full':
          'nf_conntrack_max is that of the host: not there, or too high to be reached',
      }),
  ...(hasStepWidth ? {} : { 'port-step-width': 'this kernel has no such sysctl' }),
}

async function diagnosed(
  namespace: Namespace,
  { before, target }: { before?: string | undefined; target?: string } = {},
): Promise<Diagnosis> {
  const args = target === undefined ? doctor : [...doctor, '--target', target]
  const script = `set -e; ${before ?? 'true'}; exec "$@"`
  const text = await namespace.run('unshare', '--mount', 'sh', '-c', script, 'sh', ...args)
  return JSON.parse(text) as Diagnosis
}

async function within<T>(
  sysctls: Record<string, string>,
  use: (namespace: Namespace) => Promise<T>,
): Promise<T> {
  const namespace = new Namespace({ ...good, ...sysctls })
  try {
    return await use(namespace)
  } finally {
    await namespace.remove()
  }
}

function codesOf({ findings }: Diagnosis): string[] {
  return findings.map(({ code }) => code)
}

/** Findings that depend on the machine, not on the namespace. */
const ofTheMachine = ['open-files-below-ports', ...Object.keys(beyond)]

labDescribe(
  'the rules of the doctor, in a namespace with the problem,',
  ['root', 'ip', 'nft'],
  () => {
    it('are all tested here, or listed with the reason why that is impossible', () => {
      const named = [...Object.keys(conditions), ...Object.keys(beyond)]
      expect(named.toSorted()).toEqual(rules.map(({ code }) => code).toSorted())
    })

    it.each(Object.entries(conditions))(
      'include %s, which applies',
      async (code, { sysctls = {}, make, before }) => {
        await within(sysctls, async (namespace) => {
          await make?.(namespace)
          expect(codesOf(await diagnosed(namespace, { before }))).toContain(code)
        })
      },
    )

    it('find nothing in a well configured namespace with a busy server and clients', async () => {
      await within({}, async (namespace) => {
        await closeFirst(namespace, 100)
        const diagnosis = await diagnosed(namespace)
        expect(codesOf(diagnosis).filter((code) => !ofTheMachine.includes(code))).toEqual([])
        expect(diagnosis.facts).toMatchObject({
          ownNamespace: true,
          procSysReadOnly: false,
          portRange: { min: 10_240, max: 65_535 },
          sockets: { timeWait: 100 },
          listeners: [{ address: '127.0.0.1', port: 9_001, sockets: 1, waiting: 0 }],
          destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9_001, timeWait: 100 }],
        })
      })
    })
  },
)

labDescribe('the rules of the doctor, close to their limits,', ['root', 'ip'], () => {
  it('do not count ports as used that tcp_tw_reuse makes reusable', async () => {
    await within({ ...hundred, 'net.ipv4.tcp_tw_reuse': '2' }, async (namespace) => {
      await closeFirst(namespace, 95)
      // The ports are in use until tcp_tw_reuse_delay has passed, and can then be reused.
      const { facts, findings } = await until(
        'the delay is over',
        () => diagnosed(namespace),
        ({ facts: { destinations = [] } }) => destinations[0]?.reusable === 95,
      )
      expect(facts.destinations).toMatchObject([{ used: 95, timeWait: 95, available: 100 }])
      const codes = findings.map(({ code }) => code)
      expect(codes).not.toContain('destination-nearly-full')
      expect(codes).not.toContain('destination-slow-half')
    })
  })

  it('judge tcp_tw_reuse=2 by the target', async () => {
    await within({ 'net.ipv4.tcp_tw_reuse': '2' }, async (namespace) => {
      const code = 'tw-reuse-loopback-only'
      const at = async (target: string) => codesOf(await diagnosed(namespace, { target }))
      expect(await at('127.0.0.1:80')).not.toContain(code)
      expect(await at('[::1]:80')).not.toContain(code)
      expect(await at('192.0.2.1:80')).toContain(code)
    })
  })

  it('accept a process with as many descriptors as ports', async () => {
    await within({ 'net.ipv4.ip_local_port_range': '40000 40099' }, async (namespace) => {
      const codes = codesOf(await diagnosed(namespace, { before: 'ulimit -n 500' }))
      expect(codes).not.toContain('open-files-below-ports')
    })
  })

  it('accept several SO_REUSEPORT listeners with tcp_migrate_req=1', async () => {
    await within({ 'net.ipv4.tcp_migrate_req': '1' }, async (namespace) => {
      await conditions['migrate-req-off']?.make?.(namespace)
      const diagnosis = await diagnosed(namespace)
      expect(diagnosis.facts.listeners).toMatchObject([{ port: 9_001, sockets: 2 }])
      expect(codesOf(diagnosis)).not.toContain('migrate-req-off')
    })
  })

  it('recommend settings that remove the findings', async () => {
    const bad = { ...hundred, 'net.ipv4.tcp_timestamps': '0', 'net.core.somaxconn': '128' }
    await within(bad, async (namespace) => {
      await closeFirst(namespace, 95)
      const { findings } = await diagnosed(namespace)
      const settings = findings.flatMap(({ set = [] }) => set)
      expect(settings.length).toBeGreaterThan(3)
      // If two findings disagree about a setting, the more severe one wins: it is set last.
      for (const { sysctl, value } of settings.toReversed()) namespace.sysctl(sysctl, value)
      const after = codesOf(await diagnosed(namespace))
      expect(after.filter((code) => !ofTheMachine.includes(code))).toEqual([])
    })
  })
})
