import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type * as Library from '../lib'
import { configure, type Configuration, type SocketTunerWarning } from '../lib'
import {
  boundSocket,
  connectedPair,
  failureOf,
  listeningSocket,
  tcpSocket,
  warningsOf,
} from './sockets'

const CHANNEL = 'socket-tuner:warning'

type Fresh = Pick<typeof Library, 'configure' | 'getOption' | 'setOption' | 'tune'>

/** Loads the library as in a new process, which has emitted no warnings yet. */
function freshLibrary(): Fresh {
  let library: Fresh | undefined
  jest.isolateModules(() => {
    library = {
      ...jest.requireActual<typeof Library>('../lib/options/access'),
      ...jest.requireActual<typeof Library>('../lib/options/tune'),
      ...jest.requireActual<typeof Library>('../lib/warnings'),
    }
  })
  if (library === undefined) throw new Error('not loaded')
  return library
}

/** Returns the messages that are published on the diagnostics channel while `call` runs. */
function publishedBy(call: () => void): SocketTunerWarning[] {
  const published: SocketTunerWarning[] = []
  const listener = (message: unknown): void => {
    published.push(message as SocketTunerWarning)
  }
  subscribe(CHANNEL, listener)
  try {
    call()
  } finally {
    unsubscribe(CHANNEL, listener)
  }
  return published
}

interface Hazard {
  code: string
  reason: string
  message: RegExp
  /** The socket of the mistake. */
  socket: () => number | Promise<number>
  act: (library: Fresh, fd: number) => void
  state: (library: Fresh, fd: number) => unknown
}

async function connectedDescriptor(): Promise<number> {
  const { client } = await connectedPair()
  return (client as unknown as { _handle: { fd: number } })._handle.fd
}

const lateSynCount = {
  code: 'SOCKET_TUNER_TOO_LATE',
  reason: 'TCP_SYNCNT',
  message:
    /^TCP_SYNCNT must be set before the connection is established, .*: the socket is connected/,
  socket: connectedDescriptor,
  state: ({ getOption }: Fresh, fd: number) => [
    getOption(fd, 'TCP_SYNCNT'),
    getOption(fd, 'TCP_NODELAY'),
  ],
}

const listenerLinger = {
  code: 'SOCKET_TUNER_LINGER_ON_LISTENER',
  reason: 'SO_LINGER',
  message: /^Every accepted connection inherits SO_LINGER/,
  socket: () => listeningSocket(),
  state: ({ getOption }: Fresh, fd: number) => [
    getOption(fd, 'SO_LINGER'),
    getOption(fd, 'TCP_NODELAY'),
  ],
}

const hazards: readonly [what: string, hazard: Hazard][] = [
  [
    'setOption of TCP_SYNCNT on a connected socket',
    {
      ...lateSynCount,
      act: ({ setOption }, fd) => {
        setOption(fd, 'TCP_SYNCNT', 3)
      },
    },
  ],
  [
    'tune with TCP_SYNCNT last on a connected socket',
    {
      ...lateSynCount,
      act: ({ tune }, fd) => void tune(fd, { TCP_NODELAY: true, TCP_SYNCNT: 3 }),
    },
  ],
  [
    'setOption of IP_FREEBIND on a bound socket',
    {
      code: 'SOCKET_TUNER_TOO_LATE',
      reason: 'IP_FREEBIND',
      message: /^IP_FREEBIND must be set before bind\(\): the socket is bound/,
      socket: () => boundSocket(),
      act: ({ setOption }, fd) => {
        setOption(fd, 'IP_FREEBIND', true)
      },
      state: ({ getOption }, fd) => getOption(fd, 'IP_FREEBIND'),
    },
  ],
  [
    'setOption of TCP_DEFER_ACCEPT on a connected socket',
    {
      code: 'SOCKET_TUNER_TOO_LATE',
      reason: 'TCP_DEFER_ACCEPT',
      message: /^TCP_DEFER_ACCEPT acts on a listening socket: the socket is connected/,
      socket: connectedDescriptor,
      act: ({ setOption }, fd) => {
        setOption(fd, 'TCP_DEFER_ACCEPT', 7)
      },
      state: ({ getOption }, fd) => getOption(fd, 'TCP_DEFER_ACCEPT'),
    },
  ],
  [
    'setOption of SO_LINGER on a listening socket',
    {
      ...listenerLinger,
      act: ({ setOption }, fd) => {
        setOption(fd, 'SO_LINGER', { enabled: true, seconds: 0 })
      },
    },
  ],
  [
    'tune with SO_LINGER last on a listening socket',
    {
      ...listenerLinger,
      act: ({ tune }, fd) =>
        void tune(fd, { TCP_NODELAY: true, SO_LINGER: { enabled: true, seconds: 0 } }),
    },
  ],
  [
    'getOption of SO_ERROR',
    {
      code: 'SOCKET_TUNER_STEALS_ERROR',
      reason: 'SO_ERROR',
      message: /^Reading SO_ERROR: /,
      socket: () => tcpSocket(),
      act: ({ getOption }, fd) => void getOption(fd, 'SO_ERROR'),
      state: () => undefined,
    },
  ],
]

describe.each(hazards)('%s', (_what, { code, reason, message, socket, act, state }) => {
  it('causes one warning, and proceeds', async () => {
    const library = freshLibrary()
    const fd = await socket()
    const before = state(library, fd)
    const warnings = warningsOf(() => {
      act(library, fd)
      act(library, fd)
    })
    expect(warnings).toEqual([
      {
        type: 'SocketTunerWarning',
        code,
        message: expect.stringMatching(message) as string,
        detail: expect.stringMatching(/\w/) as string,
      },
    ])
    if (before !== undefined) expect(state(library, fd)).not.toEqual(before)
  })

  it("throws with hazards: 'throw', and changes nothing", async () => {
    const library = freshLibrary()
    const fd = await socket()
    const before = state(library, fd)
    library.configure({ hazards: 'throw' })
    let error: unknown
    const warnings = warningsOf(() => {
      error = failureOf(() => {
        act(library, fd)
      })
    })
    expect(error).toMatchObject({
      name: 'SocketTunerError',
      code: 'ERR_SOCKET_TUNER_HAZARD',
      warning: code,
      message: expect.stringMatching(message) as string,
    })
    expect((error as Error).message).toContain(`(${code})`)
    expect(warnings).toEqual([])
    library.configure({ hazards: 'warn' })
    expect(state(library, fd)).toEqual(before)
  })

  it("proceeds without a warning with hazards: 'ignore'", async () => {
    const library = freshLibrary()
    const fd = await socket()
    library.configure({ hazards: 'ignore' })
    const before = state(library, fd)
    const warnings = warningsOf(() => {
      act(library, fd)
    })
    expect(warnings).toEqual([])
    if (before !== undefined) expect(state(library, fd)).not.toEqual(before)
  })

  it('is published on the diagnostics channel every time, whatever the value of hazards', async () => {
    const library = freshLibrary()
    const fd = await socket()
    const published = publishedBy(() => {
      warningsOf(() => {
        act(library, fd)
        act(library, fd)
        library.configure({ hazards: 'ignore' })
        act(library, fd)
      })
    })
    expect(published).toEqual(
      Array.from({ length: 3 }, () => ({
        code,
        reason,
        message: expect.stringMatching(message) as string,
      })),
    )
  })
})

describe('a warning', () => {
  it('is emitted once for each option', () => {
    const { setOption } = freshLibrary()
    const fd = boundSocket()
    const warnings = warningsOf(() => {
      for (let i = 0; i < 3; i++) {
        setOption(fd, 'IP_FREEBIND', true)
        setOption(fd, 'IP_BIND_ADDRESS_NO_PORT', true)
        setOption(boundSocket(), 'IP_BIND_ADDRESS_NO_PORT', true)
      }
    })
    expect(warnings.map(({ message }) => message.split(' ')[0])).toEqual([
      'IP_FREEBIND',
      'IP_BIND_ADDRESS_NO_PORT',
    ])
  })

  it('is emitted after hazards are no longer ignored', () => {
    const { configure: configureIt, getOption } = freshLibrary()
    const fd = tcpSocket()
    configureIt({ hazards: 'ignore' })
    expect(warningsOf(() => getOption(fd, 'SO_ERROR'))).toHaveLength(0)
    configureIt({ hazards: 'warn' })
    expect(warningsOf(() => getOption(fd, 'SO_ERROR'))).toHaveLength(1)
    expect(warningsOf(() => getOption(fd, 'SO_ERROR'))).toHaveLength(0)
  })

  it('has a type, a code, a message and a fix', async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', WARNED_PROGRAM])
    const [warning, ...others] = JSON.parse(stdout) as Record<string, unknown>[]
    expect(others).toEqual([])
    expect(warning).toEqual({
      name: 'SocketTunerWarning',
      code: 'SOCKET_TUNER_STEALS_ERROR',
      message: expect.stringMatching(/^Reading SO_ERROR: It clears the error/) as string,
      detail: "Listen for 'error' on the socket instead.",
    })
    expect(stderr).toContain('[SOCKET_TUNER_STEALS_ERROR] SocketTunerWarning: Reading SO_ERROR')
  })
})

/** Reads SO_ERROR twice and prints the warnings. */
const WARNED_PROGRAM = `
  const { getOption } = require(${JSON.stringify(join(__dirname, '../dist'))})
  const warnings = []
  process.on('warning', ({ name, code, message, detail }) => {
    warnings.push({ name, code, message, detail })
  })
  const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
    getOption(server, 'SO_ERROR')
    getOption(server, 'SO_ERROR')
    setImmediate(() => {
      console.log(JSON.stringify(warnings))
      server.close()
    })
  })
`

describe('configure()', () => {
  it.each([undefined, null, 'throw', 1, [], () => ({})])('refuses %p', (options) => {
    expect(
      failureOf(() => {
        configure(options as never)
      }),
    ).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  })

  it.each([null, 'Throw', '', 0, true, {}, Symbol('throw')])('refuses hazards: %p', (value) => {
    const { configure: configureIt, getOption } = freshLibrary()
    configureIt({ hazards: 'throw' })
    const error = failureOf(() => {
      configureIt({ hazards: value as Configuration['hazards'] })
    })
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    expect(error.message).toMatch(
      /^The property 'options.hazards' must be one of: 'warn', 'throw', 'ignore'. Received /,
    )
    expect(failureOf(() => getOption(tcpSocket(), 'SO_ERROR'))).toMatchObject({
      code: 'ERR_SOCKET_TUNER_HAZARD',
    })
  })

  it('does not change the setting if `hazards` is missing', () => {
    const { configure: configureIt, getOption } = freshLibrary()
    configureIt({ hazards: 'throw' })
    configureIt({})
    expect(failureOf(() => getOption(tcpSocket(), 'SO_ERROR'))).toMatchObject({
      code: 'ERR_SOCKET_TUNER_HAZARD',
    })
  })
})
