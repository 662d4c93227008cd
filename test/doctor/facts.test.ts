import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCounters, parseSocketUsage } from '../../lib/doctor/facts/netstat'
import { parseListeners, readListeners } from '../../lib/doctor/facts/listeners'
import { parseOpenFileLimits, parseReadOnly } from '../../lib/doctor/facts/environment'
import { parsePersisted, readPersisted } from '../../lib/doctor/facts/sysctls'
import { isLoopback } from '../../lib/kernel/addresses'
import { parseKernelVersion } from '../../lib/kernel/version'
import { parsePortList } from '../../lib/kernel/proc'

describe('facts from /proc', () => {
  it('include the known counters by name, and no others', () => {
    const text = [
      'TcpExt: SyncookiesSent Unheard TW ListenOverflows',
      'TcpExt: 1 2 3 4',
      'IpExt: InNoRoutes TW',
      'IpExt: 5 6',
      '',
    ].join('\n')
    expect(parseCounters(text)).toEqual({ SyncookiesSent: 1, TW: 3, ListenOverflows: 4 })
  })

  it.each(['', 'IpExt: InNoRoutes\nIpExt: 5\n', 'TcpExt: TW\n'])(
    'include no counters if the text has none: %j',
    (text) => {
      expect(parseCounters(text)).toBeUndefined()
    },
  )

  it('include the counts of sockets of both families', () => {
    const sockstat = 'sockets: used 14\nTCP: inuse 7 orphan 1 tw 20 alloc 9 mem 300\nUDP: inuse 0\n'
    expect(parseSocketUsage(sockstat, 'TCP6: inuse 4\nUDP6: inuse 1\n')).toEqual({
      inUse: 7,
      inUse6: 4,
      orphans: 1,
      timeWait: 20,
      allocated: 9,
      memoryPages: 300,
    })
    expect(parseSocketUsage('TCP: inuse 7\n', '')).toEqual({ inUse: 7 })
    expect(parseSocketUsage('', '')).toBeUndefined()
  })

  // The kernel prints addresses in the machine's byte order. These lines are from a little-endian machine.
  const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
  const itLittle = little ? it : it.skip

  itLittle('include listening sockets, grouped by port', () => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when'
    const at = (local: string, remote: string, state: string, queue: string) =>
      `   0: ${local} ${remote} ${state} 00000000:${queue} 00:00000000 00000000     0`
    const zero6 = '00000000000000000000000000000000'
    const lines = [
      head,
      at('0100007F:1F90', '00000000:0000', '0A', '00000003'),
      at('0100007F:1F90', '00000000:0000', '0A', '0000000A'),
      at('0100007F:1F90', '0100007F:9C40', '01', '000000FF'),
      head,
      at(`${zero6}:0050`, `${zero6}:0000`, '0A', '00000000'),
      at('0000000000000000FFFF00000100007F:0051', `${zero6}:0000`, '0A', '00000000'),
    ]
    expect(parseListeners(lines)).toEqual([
      { address: '::', port: 80, sockets: 1, waiting: 0 },
      { address: '::ffff:127.0.0.1', port: 81, sockets: 1, waiting: 0 },
      { address: '127.0.0.1', port: 8080, sockets: 2, waiting: 13 },
    ])
  })

  it('include no listening sockets if the tables do not exist', async () => {
    expect(await readListeners(['/no/such/table', '/'])).toBeUndefined()
  })

  it('include listening sockets up to the first line of another state', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
    try {
      const table = join(folder, 'tcp')
      const line = (port: number, state: string) =>
        `   0: 00000000:${port.toString(16).toUpperCase()} 00000000:0000 ${state} 00000000:00000000 0\n`
      const lines = Array.from({ length: 1_000 }, (_, index) => line(20_000 + index, '0A'))
      writeFileSync(table, `  sl  local_address\n${lines.join('')}${line(9_999, '01')}garbage`)
      const found = (await readListeners([table, '/no/such/table'])) ?? []
      expect(found.map(({ port }) => port)).toEqual(lines.map((_, index) => 20_000 + index))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it.each<[string, unknown]>([
    ['Max open files            1024                 4096                 files', [1024, 4096]],
    [
      'Max open files            1024                 unlimited            files',
      [1024, 'unlimited'],
    ],
    ['Max processes             100                  100                  processes', undefined],
    ['', undefined],
  ])('include the limits of open files: %j', (line, expected) => {
    const limits = parseOpenFileLimits(`Limit   Soft   Hard   Units\n${line}\n`)
    expect(limits && [limits.soft, limits.hard]).toEqual(expected)
  })

  it.each<[string, boolean | undefined]>([
    ['proc /proc proc rw,nosuid 0 0', false],
    ['proc /proc proc ro,nosuid 0 0', true],
    ['proc /proc proc rw 0 0\nproc /proc/sys proc ro,relatime 0 0', true],
    ['proc /proc/sys proc ro 0 0\nproc /proc proc rw 0 0', true],
    ['proc /proc/sys proc ro 0 0\nproc /proc/sys/net proc rw 0 0', false],
    ['proc /proc/sys proc ro 0 0\nproc /proc/sys proc rw 0 0', false],
    ['proc /proc/sysrq-trigger proc ro 0 0\nproc /proc proc rw 0 0', false],
    ['/dev/vda / ext4 ro 0 0', undefined],
    ['', undefined],
  ])('include whether /proc/sys is read-only: %j', (mounts, expected) => {
    expect(parseReadOnly(mounts)).toBe(expected)
  })

  it.each<[string, unknown]>([
    ['6.18.44-fc-v782', { major: 6, minor: 18 }],
    ['5.4.0-150-generic', { major: 5, minor: 4 }],
    ['7.0-rc1', { major: 7, minor: 0 }],
    ['unknown', undefined],
  ])('include the version of the kernel: %s', (text, expected) => {
    expect(parseKernelVersion(text)).toEqual(expected)
  })

  it.each<[string, unknown]>([
    ['\n', []],
    ['8080\n', [{ min: 8080, max: 8080 }]],
    [
      '1-2,8080,9148-9150\n',
      [
        { min: 1, max: 2 },
        { min: 8080, max: 8080 },
        { min: 9148, max: 9150 },
      ],
    ],
  ])('include reserved ports: %j', (text, expected) => {
    expect(parsePortList(text)).toEqual(expected)
  })
})

describe('facts from sysctl.d', () => {
  it('include the lines about settings that the rules use', () => {
    const text = [
      '# net.ipv4.tcp_tw_recycle = 1',
      '; a comment',
      'net.ipv4.tcp_tw_reuse=1',
      ' -net/ipv4/tcp_tw_recycle = 1 ',
      'net.ipv4.ip_local_port_range = 1024 65535',
      'vm.swappiness = 1',
      'no setting',
    ].join('\n')
    expect(parsePersisted('a.conf', text)).toEqual([
      { file: 'a.conf', sysctl: 'net.ipv4.tcp_tw_reuse', value: '1' },
      { file: 'a.conf', sysctl: 'net.ipv4.tcp_tw_recycle', value: '1' },
      { file: 'a.conf', sysctl: 'net.ipv4.ip_local_port_range', value: '1024 65535' },
    ])
  })

  it('come from the .conf files of all folders, some of which may not exist', () => {
    const root = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
    try {
      const folder = join(root, 'sysctl.d')
      mkdirSync(folder)
      writeFileSync(join(folder, '20.conf'), 'net.core.somaxconn = 2\n')
      writeFileSync(join(folder, '10.conf'), 'net.core.somaxconn = 1\n')
      writeFileSync(join(folder, 'README'), 'net.core.somaxconn = 9\n')
      writeFileSync(join(root, 'sysctl.conf'), 'net.core.somaxconn = 3\n')
      const found = readPersisted(join(root, 'sysctl.conf'), [folder, join(root, 'none')])
      expect(found.map(({ value }) => value)).toEqual(['1', '2', '3'])
      expect(readPersisted(join(root, 'none'), [])).toEqual([])
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})

describe('isLoopback()', () => {
  it.each<[string, boolean]>([
    ['127.0.0.1', true],
    ['127.255.255.254', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['10.0.0.1', false],
    ['::2', false],
    ['::ffff:10.0.0.1', false],
    ['fe80::1', false],
  ])('returns for %s: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected)
  })
})
