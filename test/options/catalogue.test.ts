import { once } from 'node:events'
import * as net from 'node:net'
import {
  configure,
  describeOption,
  getOption,
  optionNames,
  setOption,
  type OptionName,
  type ReadableOption,
  type WritableOption,
} from '../../lib'
import { native } from '../../lib/kernel/binding'
import {
  destroyLater,
  failureOf,
  handOver,
  loopback,
  succeed,
  tcpSocket,
  type Family,
} from '../sockets'
import {
  anotherValue,
  familyOf,
  isMacOnly,
  isPresent,
  read,
  reasonToSkip,
  rows,
  type Row,
} from './rows'

configure({ hazards: 'ignore' })

// The rows describe Linux.
const onLinux = process.platform === 'linux' ? describe : describe.skip

onLinux('the catalogue on Linux', () => {
  it('has a number for every option except those of macOS', () => {
    const absent = rows.filter((row) => !isPresent(row)).map(({ name }) => name)
    expect(absent).toEqual(rows.filter(isMacOnly).map(({ name }) => name))
  })

  it('has at least 100 options that act on a TCP socket', () => {
    const acting = rows.filter(
      (row) => isPresent(row) && row.access !== 'none' && row.noEffectOnTcp === undefined,
    )
    expect(acting.length).toBeGreaterThanOrEqual(100)
  })

  it('has no two options with the same number', () => {
    const seen = rows
      // SO_GET_FILTER has the number of SO_ATTACH_FILTER.
      .filter((row) => isPresent(row) && row.name !== 'SO_GET_FILTER')
      .map(({ level, name }) => `${level} ${String(native.constants[name])}`)
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('has a row for every option number that the addon exports', () => {
    const options = Object.keys(native.constants).filter((name) =>
      /^(SO|TCP|IP|IPV6|UDP|MPTCP|TLS)_/.test(name),
    )
    expect(options.filter((name) => !(optionNames as readonly string[]).includes(name))).toEqual([])
  })
})

describe('a row', () => {
  it.each(rows)('has a reason exactly if the option is not offered: $name', (row) => {
    expect(row.because !== undefined).toBe(row.access === 'none')
  })

  it.each(rows.filter(({ kind }) => ['int', 'u32', 'timeval', 'interfaceIndex'].includes(kind)))(
    'has a range if a number can be set: $name',
    ({ access, range, also = [], kind }) => {
      if (access !== 'rw' && access !== 'w') return
      const [min, max] = range ?? []
      expect([min, max]).toEqual([expect.any(Number), expect.any(Number)])
      expect(min).toBeLessThanOrEqual(max ?? NaN)
      expect(min).toBeGreaterThanOrEqual(kind === 'int' ? -(2 ** 31) : 0)
      expect(max).toBeLessThanOrEqual(kind === 'u32' ? 2 ** 32 - 1 : 2 ** 31 - 1)
      for (const value of also) expect(value < (min ?? NaN) || value > (max ?? NaN)).toBe(true)
    },
  )

  it.each(
    rows.filter(({ kind, access }) => (kind === 'string' || kind === 'bytes') && access !== 'none'),
  )('has a length if the value has one: $name', ({ length }) => {
    const [min, max] = length ?? []
    expect(min).toBeGreaterThanOrEqual(0)
    expect(max).toBeGreaterThanOrEqual(min ?? NaN)
    // The addon refuses to read or write more.
    expect(max).toBeLessThanOrEqual(32768)
  })

  it.each(rows)('has a sentence and a source: $name', ({ summary, source }) => {
    expect(summary).toMatch(/^[A-Za-z].*\.$/)
    expect(source).not.toBe('')
  })

  it.each(rows.filter(({ secret }) => secret === true))(
    'does not let a secret be read: $name',
    (row) => {
      expect(['w', 'none']).toContain(row.access)
    },
  )

  it.each(rows.filter(({ doubled }) => doubled === true))(
    'mentions that the kernel doubles the value: $name',
    (row) => {
      expect(row.range?.[1]).toBeLessThanOrEqual(2 ** 30 - 1)
      if (row.access === 'rw') expect(row.rewritten).toMatch(/twice/)
    },
  )

  it.each(rows.filter(({ alsoChanges }) => alsoChanges !== undefined))(
    'lists side effects only on options that can be restored: $name',
    ({ alsoChanges }) => {
      for (const name of alsoChanges ?? []) {
        expect(describeOption(name as OptionName).access).toBe('rw')
      }
    },
  )

  it.each(rows.filter(({ roundTrip }) => roundTrip !== undefined))(
    'excludes from the round trip only options that can be read: $name',
    ({ access }) => {
      expect(['r', 'rw']).toContain(access)
    },
  )
})

describe('describeOption', () => {
  it('describes exactly the options of optionNames, without the members for tests', () => {
    expect([...optionNames]).toEqual(rows.map(({ name }) => name))
    for (const { name, ...row } of rows) {
      const facts = Object.entries(row).filter(([key]) => key !== 'example' && key !== 'roundTrip')
      expect(describeOption(name)).toStrictEqual({
        name,
        ...Object.fromEntries(facts),
        levelNumber: native.constants[row.level],
        number: native.constants[name],
      })
    }
  })

  it.each(['SO_NONE', '', 'tcp_nodelay', '__proto__', 'constructor'])('refuses %j', (name) => {
    expect(failureOf(() => describeOption(name as OptionName))).toMatchObject({
      code: 'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
      option: name,
    })
  })

  it('returns a copy', () => {
    const info = describeOption('TCP_NODELAY') as { summary: string }
    info.summary = 'changed'
    expect(describeOption('TCP_NODELAY').summary).not.toBe('changed')
  })

  it('has names that cannot be changed: optionNames is frozen', () => {
    expect(Object.isFrozen(optionNames)).toBe(true)
  })
})

onLinux('an option set on a listening socket', () => {
  /**
   * Values that a connection survives and that differ from the kernel's own choice, for rows whose
   * example is unsuitable.
   */
  const instead: Record<string, unknown> = {
    IP_MINTTL: 1,
    IPV6_MINHOPCOUNT: 1,
    SO_INCOMING_CPU: 4095,
    TCP_WINDOW_CLAMP: 50_000,
  }

  for (const row of rows.filter(({ access }) => access === 'rw')) {
    const { name, inherited } = row
    if (inherited === null) continue
    const family = familyOf(row)
    const reason = reasonToSkip(row, tcpSocket(family))
    const title = inherited ? `passes ${name} on to accepted sockets` : `keeps ${name} to itself`
    if (reason !== undefined) {
      it.skip(`${title} (${reason})`, () => undefined)
      continue
    }
    it(title, async () => {
      configure({ hazards: 'ignore' })
      const plain = await acceptedValue(row, family, undefined)
      const value = instead[name] ?? anotherValue(row, plain.listening)
      const tuned = await acceptedValue(row, family, value)
      expect(tuned.listening).not.toEqual(plain.listening)
      if (!inherited) expect(tuned.accepted).not.toEqual(tuned.listening)
      else if (row.rewritten === undefined || row.doubled === true) {
        expect(tuned.accepted).toEqual(tuned.listening)
      } else expect(tuned.accepted).not.toEqual(plain.accepted)
    })
  }
})

/** Reads an option from a listening socket, after setting it unless `value` is undefined, and from an accepted one. */
async function acceptedValue(
  { name, when, refused = {} }: Row,
  family: Family,
  value: unknown,
): Promise<{ listening: unknown; accepted: unknown }> {
  const fd = tcpSocket(family)
  const set = (): void => {
    if (value !== undefined) setOption(fd, name as WritableOption, value as never)
  }
  const early =
    when !== 'any' || Object.values(refused).some((clause) => clause.includes('listening socket'))
  if (early) set()
  // bind() to one address sets IPV6_V6ONLY.
  succeed(native.bindFd(fd, name === 'IPV6_V6ONLY' ? '::' : loopback[family], 0))
  succeed(native.listenFd(fd, 16))
  if (!early) set()
  const listening = read(fd, name)
  const server = net.createServer({ pauseOnConnect: true }).listen({ fd: handOver(fd) })
  try {
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const connection = once(server, 'connection') as Promise<[net.Socket]>
    const client = net.connect(port, loopback[family])
    destroyLater(client)
    // TCP_DEFER_ACCEPT waits for data.
    client.write('x')
    const [socket] = await connection
    destroyLater(socket)
    return { listening, accepted: getOption(socket, name as ReadableOption) }
  } finally {
    server.close()
  }
}
