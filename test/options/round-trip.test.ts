import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { configure, getOption, setOption, type WritableOption } from '../../lib'
import {
  connectedPair,
  failureOf,
  isPrivileged,
  loopback,
  mptcpSocket,
  tcpSocket,
  udpSocket,
  unixSocket,
  type Family,
} from '../sockets'
import {
  anotherValue,
  familyOf,
  isPresent,
  isUnsupported,
  read,
  readsAs,
  reasonToSkip,
  rows,
  type Row,
} from './rows'

// Each option is read once to check whether the kernel has it.
configure({ hazards: 'ignore' })

const families: readonly Family[] = [4, 6]

/** The options that were read back as set, in either family. */
const roundTripped = new Set<string>()

/** Calls `it`, or `it.skip` with the reason in the title, so that no row is skipped silently. */
function itOrSkip(row: Row, fd: number, title: string, test: jest.ProvidesCallback): void {
  const reason = reasonToSkip(row, fd)
  if (reason === undefined) it(title, test)
  else it.skip(`${title} (${reason})`, () => undefined)
}

function set(fd: number, name: string, value: unknown): void {
  setOption(fd, name as WritableOption, value as never)
}

describe.each(families)('on an IPv%i TCP socket', (family) => {
  const probe = tcpSocket(family)
  const fitting = rows.filter((row) => family === 6 || familyOf(row) === 4)

  describe('an option that can be set and read', () => {
    for (const row of fitting.filter(({ access }) => access === 'rw')) {
      itOrSkip(row, probe, `is read back as it was set: ${row.name}`, () => {
        const fd = tcpSocket(family)
        const initial = read(fd, row.name)
        const value = anotherValue(row, initial)
        const expected = readsAs(row, value)
        expect(value).toBeDefined()
        expect(initial).not.toEqual(expected)
        set(fd, row.name, value)
        expect(read(fd, row.name)).toEqual(expected)
        roundTripped.add(row.name)
      })
    }
  })

  describe('an option that can only be read', () => {
    const shape: Partial<Record<Row['kind'], unknown>> = {
      bool: expect.any(Boolean),
      int: expect.any(Number),
      u32: expect.any(Number),
      u64: expect.any(BigInt),
      bytes: expect.any(Uint8Array),
      credentials: { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff },
      memoryInfo: expect.objectContaining({ drops: 0, backlog: 0 }),
    }
    for (const row of fitting.filter(({ access }) => access === 'r')) {
      itOrSkip(row, probe, `is read on a connection: ${row.name}`, async () => {
        configure({ hazards: 'ignore' })
        const { client } = await connectedPair(loopback[family])
        expect(shape[row.kind]).toBeDefined()
        expect(getOption(client, row.name as 'SO_ERROR')).toEqual(shape[row.kind])
        expect(
          failureOf(() => {
            set(probe, row.name, 1)
          }),
        ).toMatchObject({
          code: 'ERR_SOCKET_TUNER_NOT_WRITABLE',
        })
      })
    }
  })

  describe('an option that can only be set', () => {
    for (const { name } of fitting.filter(({ access }) => access === 'w')) {
      it(`is not read: ${name}`, () => {
        expect(failureOf(() => read(tcpSocket(family), name))).toMatchObject({
          code: 'ERR_SOCKET_TUNER_NOT_READABLE',
          option: name,
        })
      })
    }
  })
})

describe('an option of sockets other than TCP', () => {
  const own = { unix: unixSocket, datagram: () => udpSocket(6), mptcp: mptcpSocket } as const

  for (const row of rows.filter((each) => each.only !== undefined && isPresent(each))) {
    const { name, only = 'datagram', access } = row
    it.each([4, 6] as const)(`is refused on an IPv%i TCP socket: ${name}`, (family) => {
      const fd = tcpSocket(family)
      const isWritable = access === 'rw'
      const error = failureOf(() => {
        if (isWritable) set(fd, name, anotherValue(row, undefined))
        else read(fd, name)
      })
      expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_WRONG_SOCKET', option: name, fd })
      expect(error.message).toContain(`fd ${String(fd)} is an IPv${String(family)} TCP socket`)
    })

    it(`is read back as it was set on such a socket: ${name}`, () => {
      const fd = own[only]()
      // This kernel may lack such sockets or this option.
      if (fd < 0 || isUnsupported(row, fd)) return
      const initial = read(fd, name)
      if (access === 'r') {
        expect(initial).toBeInstanceOf(Uint8Array)
        return
      }
      const value = anotherValue(row, initial)
      expect(value).not.toEqual(initial)
      set(fd, name, value)
      expect(read(fd, name)).toEqual(value)
    })
  }
})

describe('an IPv6 option on an IPv4 socket', () => {
  for (const row of rows.filter(isIPv6)) {
    const { name, access } = row
    const wrongSocket = {
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
      option: name,
      level: 'IPPROTO_IPV6',
    }
    if (access === 'r' || access === 'rw') {
      it(`cannot be read: ${name}`, () => {
        const fd = tcpSocket(4)
        const error = failureOf(() => read(fd, name))
        expect(error).toMatchObject({ ...wrongSocket, syscall: 'getsockopt', fd })
        expect(error.message).toContain(`fd ${String(fd)} is an IPv4 TCP socket`)
      })
    }
    if (access === 'w' || access === 'rw') {
      it(`cannot be set: ${name}`, () => {
        const fd = tcpSocket(4)
        const value = anotherValue(row, undefined)
        const error = failureOf(() => {
          set(fd, name, value)
        })
        expect(error).toMatchObject({ ...wrongSocket, syscall: 'setsockopt', fd, value })
        expect(error.message).toContain(`fd ${String(fd)} is an IPv4 TCP socket`)
      })
    }
  }
})

describe('a value that the kernel rewrites', () => {
  const cases: readonly [name: string, value: unknown, reads: unknown][] = [
    ['SO_RCVBUF', 0, 2304],
    ['SO_SNDBUF', 0, 4608],
    ['SO_RCVBUF', 1073741823, 2 * sysctl('core/rmem_max')],
    ['SO_SNDBUF', 1073741823, 2 * sysctl('core/wmem_max')],
    ['SO_RCVLOWAT', 0, 1],
    ['SO_LINGER', { enabled: false, seconds: 9 }, { enabled: false, seconds: 0 }],
    ['TCP_DEFER_ACCEPT', 2, 3],
    ['TCP_DEFER_ACCEPT', 5, 7],
    ['TCP_DEFER_ACCEPT', 128, 247],
    ['TCP_DEFER_ACCEPT', 248, 367],
    ['TCP_DEFER_ACCEPT', 29_888, 29_887],
    ['TCP_DEFER_ACCEPT', 2_147_483_647, 29_887],
    ['TCP_MAXSEG', 0, 536],
    ['TCP_LINGER2', 121, 120],
    ['TCP_LINGER2', 0, sysctl('ipv4/tcp_fin_timeout')],
    ['TCP_LINGER2', -1, -1],
    ['TCP_WINDOW_CLAMP', 1, 1152],
    ['TCP_FASTOPEN', 2147483647, sysctl('core/somaxconn')],
    ['TCP_THIN_DUPACK', true, false],
    ['IP_TOS', 0xff, 0xfc],
    ['IP_TTL', -1, sysctl('ipv4/ip_default_ttl')],
    ['IP_OPTIONS', new Uint8Array([1]), new Uint8Array([1, 0, 0, 0])],
    ['IPV6_TCLASS', 0xff, 0xfc],
    ['IPV6_TCLASS', -1, 0],
    ['IPV6_UNICAST_HOPS', -1, sysctl('ipv6/conf/default/hop_limit')],
  ]
  it.each(cases)('is read back rewritten: %s %j as %j', (name, value, reads) => {
    const fd = tcpSocket(6)
    set(fd, name, value)
    expect(read(fd, name)).toEqual(reads)
  })

  it.each(['SO_RCVTIMEO', 'SO_SNDTIMEO'])('is rounded up to a timer tick: %s', (name) => {
    const fd = tcpSocket()
    set(fd, name, 5001)
    expect([5001, 5002, 5004, 5010]).toContain(read(fd, name))
  })
})

describe('a value at the end of its range', () => {
  const probe = tcpSocket(6)
  for (const row of rows.filter(({ access, range }) => access === 'rw' && range !== undefined)) {
    const reason =
      reasonToSkip(row, probe) ??
      (row.refused === undefined
        ? undefined
        : `may be refused: ${Object.keys(row.refused).join(', ')}`)
    const title = `is accepted by ${row.name}`
    if (reason !== undefined) {
      it.skip(`${title} (${reason})`, () => undefined)
      continue
    }
    it(title, () => {
      for (const value of [...(row.range ?? []), ...(row.also ?? [])]) {
        const fd = tcpSocket(6)
        set(fd, row.name, value)
        if (row.rewritten === undefined) expect(read(fd, row.name)).toBe(value)
      }
    })
  }

  const cases: readonly [name: string, value: unknown][] = [
    ['TCP_USER_TIMEOUT', 0x7fff_ffff],
    ['TCP_NOTSENT_LOWAT', 0xffff_ffff],
    ['TCP_NOTSENT_LOWAT', 0x8000_0000],
    ['SO_MAX_PACING_RATE', 0xffff_ffff_ffff_ffffn],
    ['SO_MAX_PACING_RATE', 0x1_0000_0000n],
    ['SO_PEEK_OFF', -1],
    ['SO_RCVTIMEO', 1500],
    ['SO_SNDTIMEO', 2_000_000_500],
    ['IP_LOCAL_PORT_RANGE', { min: 0, max: 65535 }],
    ['IP_LOCAL_PORT_RANGE', { min: 65535, max: 65535 }],
    ['SO_LINGER', { enabled: true, seconds: 2_147_483_647, blocking: true }],
  ]
  it.each(cases)('is neither truncated nor made negative: %s %p', (name, value) => {
    const fd = tcpSocket()
    set(fd, name, value)
    if (name === 'SO_LINGER') expect(value).toMatchObject(read(fd, name) as object)
    else expect(read(fd, name)).toEqual(value)
    // Otherwise close(2) would block.
    if (name === 'SO_LINGER') set(fd, name, { enabled: false, seconds: 0 })
  })
})

// This test runs last, and fails if too many of the tests above were skipped.
const [major = 0, minor = 0] = release().split('.').map(Number)
const recent = major > 6 || (major === 6 && minor >= 16)
const least = isPrivileged ? (recent ? 95 : 80) : recent ? 80 : 65

it(`at least ${String(least)} options are set and read back by these tests`, () => {
  expect(roundTripped.size).toBeGreaterThanOrEqual(least)
})

function isIPv6(row: Row): boolean {
  return familyOf(row) === 6 && isPresent(row) && row.only === undefined
}

/** Reads a number below /proc/sys/net. */
function sysctl(name: string): number {
  return Number(readFileSync(`/proc/sys/net/${name}`, 'utf8'))
}
