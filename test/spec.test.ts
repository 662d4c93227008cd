/** The tables of options: their checks, and how every function refuses misspelled names. */
import * as http from 'node:http'
import * as net from 'node:net'
import fc from 'fast-check'
import {
  Connector,
  RawSocket,
  answerEarly,
  closeSocket,
  configure,
  connect,
  explainConnection,
  listen as listenTuned,
  prepareSocket,
  setCloseMode,
  tune,
  tuneServer,
} from '../lib'
import { diagnose } from '../lib/doctor'
import {
  destroyTimeWait,
  portBudget,
  countSockets,
  watchConnections,
  watchPorts,
} from '../lib/ports'
import { prefork } from '../lib/prefork'
import { Plugin } from '../lib/clients/artillery'
import { tunedAutocannon } from '../lib/clients/autocannon'
import { TunedAgent, TunedHttpsAgent } from '../lib/clients/http'
import { registerMetrics } from '../lib/metrics/index'
import { compare, findRate, stress } from '../lib/stress'
import { readConfiguration } from '../lib/register/config'
import { tunedConnector } from '../lib/clients/undici'
import { optionNames } from '../lib'
import {
  bag,
  boolean,
  fn,
  list,
  oneOf,
  sharedSpec,
  spec,
  text,
  whole,
  type InputOf,
  type OutputOf,
} from '../lib/spec'
import { bags, tableOf } from '../scripts/bags'
import { closeLater, failureOf } from './sockets'

type Bag = Record<string, unknown>

const UNKNOWN = 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'
const destination = { remoteAddress: '127.0.0.1', remotePort: 9 }

/** Calls the function of each heading of the reference page with options. */
const calls: Readonly<Record<string, (options: Bag) => unknown>> = {
  'A close': (close) => {
    setCloseMode(idle(), { mode: 'deliver', ...close })
  },
  'closeSocket(socket, close, options): the options': (options) =>
    closeSocket(idle(), 'fin', options),
  'connect(options)': (options) => connect({ ...options, host: '127.0.0.1', port: 9 }),
  'prepareSocket(options)': (options) => prepareSocket(options),
  'new Connector(options)': (options) => new Connector(options),
  'RawSocket.open(family, settings, options)': (options) => RawSocket.open(4, {}, options),
  'rawSocket.bind(options)': (options) => raw().bind(options),
  'rawSocket.listenOn(server, options)': (options) => raw().listenOn(net.createServer(), options),
  'listen(server, options)': (options) => listenTuned(net.createServer(), options),
  'tuneServer(server, options)': (options) => tuneServer(net.createServer(), { ...options }),
  'tuning.shutdown(options)': (options) => tuneServer(net.createServer(), {}).shutdown(options),
  'answerEarly(request, response, answer)': (answer) => {
    const request = new http.IncomingMessage(idle())
    return answerEarly(request, new http.ServerResponse(request), { ...answer, status: 413 })
  },
  'prefork(options)': (options) => prefork({ serve: () => undefined, ...options }),
  'explainConnection(target, options)': (options) => explainConnection(raw(), options),
  'countSockets(options)': (options) => countSockets(options),
  'destroyTimeWait(filter, accepted): the filter': (filter) =>
    destroyTimeWait({ remotePort: 9, ...filter }, { iAcceptDelayedSegments: true }),
  'destroyTimeWait(filter, accepted): the accepted risks': (accepted) =>
    destroyTimeWait({ remotePort: 9 }, accepted as never),
  'portBudget(destination)': (options) => portBudget({ ...destination, ...options }),
  'watchPorts(options)': (options) => watchPorts({ destinations: [destination], ...options }),
  'watchPorts({ warnAt })': (warnAt) => watchPorts({ destinations: [destination], warnAt }),
  'watchConnections(options)': (options) => watchConnections(options),
  'diagnose(options)': (options) => diagnose(options),
  'diagnose({ target })': (target) => diagnose({ target: { host: '::1', port: 9, ...target } }),
  'configure(options)': (options) => {
    configure(options)
  },
  'new TunedAgent(options), new TunedHttpsAgent(options)': (options) => {
    expect(failureOf(() => new TunedHttpsAgent(options)).code).toBe(UNKNOWN)
    return new TunedAgent(options)
  },
  'tunedConnector(options)': (options) => tunedConnector(options),
  'tunedAutocannon(options, tuning): the tuning': (tuning) =>
    tunedAutocannon({ url: 'http://127.0.0.1:9' }, tuning),
  'The plugin for Artillery: `config.plugins.socket-tuner`': (options) =>
    new Plugin({ config: { plugins: { 'socket-tuner': options } } }),
  'registerMetrics(client, options)': (options) => {
    const client = { Gauge: jest.fn(), Counter: jest.fn(), register: {} }
    return registerMetrics(client as never, options)
  },
  'stress(options)': (options) => stress({ target: 'http://127.0.0.1:9/', ...options }),
  'compare(options)': (options) =>
    compare({ target: 'http://127.0.0.1:9/', ways: ['fin', 'deliver'], ...options }),
  'findRate(options, condition): the options': (options) =>
    findRate({ target: 'http://127.0.0.1:9/', ...options }, 'p99<20ms'),
  'socket-tuner/register: `clients`': (clients) => read({ clients }),
  'socket-tuner/register: `servers`': (servers) => read({ servers }),
}

function read(configuration: object): unknown {
  return readConfiguration({ name: 'SOCKET_TUNER', text: JSON.stringify(configuration) })
}

let socket: net.Socket | undefined

/** Makes a socket that a refused call must not change. */
function idle(): net.Socket {
  return (socket ??= new net.Socket())
}

let rawSocket: RawSocket | undefined

function raw(): RawSocket {
  if (rawSocket === undefined) {
    const opened = RawSocket.open(4)
    rawSocket = opened
    closeLater(() => {
      opened.close()
      rawSocket = undefined
    })
  }
  return rawSocket
}

/** A typing error: two letters swapped, or one letter omitted, doubled or in the wrong case. */
const misspelling = fc.record({
  kind: fc.constantFrom('swap', 'omit', 'double', 'case'),
  at: fc.nat(),
})

function misspell(name: string, { kind, at }: { kind: string; at: number }): string {
  const index = at % (name.length - 1)
  const [before, one = '', two = '', after] = [
    name.slice(0, index),
    name[index],
    name[index + 1],
    name.slice(index + 2),
  ]
  switch (kind) {
    case 'swap':
      return before + two + one + after
    case 'omit':
      return before + two + after
    case 'double':
      return before + one + one + two + after
    default:
      return (
        before + (one === one.toUpperCase() ? one.toLowerCase() : one.toUpperCase()) + two + after
      )
  }
}

async function failure(call: () => unknown): Promise<NodeJS.ErrnoException> {
  try {
    await call()
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException }
    return (error as NodeJS.ErrnoException).code === undefined && cause !== undefined
      ? cause
      : (error as NodeJS.ErrnoException)
  }
  throw new Error('The options were accepted')
}

describe('a misspelled option', () => {
  it('is tested for every table of the reference page', () => {
    expect(Object.keys(calls)).toEqual(bags.map(([heading]) => heading))
  })

  it.each(bags.map(([heading, file, name]) => ({ heading, file, name })))(
    'is refused by $heading, which suggests the correct name',
    async ({ heading, file, name }) => {
      const { fields } = tableOf(file, name)
      const names = Object.keys(fields).filter((each) => each.length > 3)
      // A misspelling may result in another valid name.
      const taken = new Set([...Object.keys(fields), 'timeout', 'localPort'])
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...names), misspelling, async (right, how) => {
          const wrong = misspell(right, how)
          fc.pre(!taken.has(wrong))
          const error = await failure(() => calls[heading]?.({ [wrong]: true }))
          expect(error.code).toBe(UNKNOWN)
          expect(error.message).toContain(`${wrong}' is not an option: did you mean '`)
          expect(error.message).toContain(`'${right}'`)
        }),
        { numRuns: 40 },
      )
      expect(socket?.destroyed ?? false).toBe(false)
    },
  )

  it('is refused as the name of a socket option, and the correct name is suggested', () => {
    const names = optionNames.filter((name) => name.length > 6)
    fc.assert(
      fc.property(fc.constantFrom(...names), misspelling, (right, how) => {
        const wrong = misspell(right, how)
        fc.pre(!(optionNames as readonly string[]).includes(wrong))
        const error = failureOf(() => tune(0, { [wrong]: 1 } as never))
        expect(error.code).toBe(UNKNOWN)
        expect(error.message).toMatch(/: did you mean \w+\?$/)
      }),
    )
  })

  it('is not suspected in the options of Node or another package', () => {
    const own = { host: '127.0.0.1', port: 9, timeout: 5, hints: 0, onread: undefined, myOwn: 1 }
    connect(own)
      .on('error', () => undefined)
      .destroy()
    new TunedAgent({ timeout: 5, scheduling: 'fifo', maxTotalSockets: 5 }).destroy()
    expect(tunedConnector({ timeout: 5, ca: '', hints: 0 })).toBeInstanceOf(Function)
  })

  it('is ignored if its value is undefined, since it may come from a spread object', () => {
    expect(() => {
      RawSocket.open(4, {}, { mptpc: undefined } as object).close()
    }).not.toThrow()
  })
})

describe('spec()', () => {
  const inner = spec({ deep: boolean().default(false) })
  const table = spec(
    {
      /** A flag. */
      flag: boolean(),
      count: whole(1, 10).default(5),
      name: text().required(),
      mode: oneOf('a', 'b'),
      many: list(whole(0, 9), { min: 1, max: 2 }),
      call: fn<() => void>(),
      inner: bag(inner),
      nothing: whole(0, 1).default(1).orNull(),
    },
    { old: 'cannot be given: it is called name' },
  )

  it('returns every option with its value or its default', () => {
    const given: InputOf<typeof table> = { name: 'x', inner: {}, nothing: null }
    const checked: OutputOf<typeof table> = table.check('options', given)
    expect(checked).toEqual({
      flag: undefined,
      count: 5,
      name: 'x',
      mode: undefined,
      many: undefined,
      call: undefined,
      inner: { deep: false },
      nothing: 1,
    })
    expect(table.names).toEqual(Object.keys(checked))
  })

  it('reads each option once', () => {
    const get = jest.fn(() => 'x')
    table.check('options', Object.defineProperty({}, 'name', { get }))
    expect(get).toHaveBeenCalledTimes(1)
  })

  it.each([
    ['ERR_INVALID_ARG_TYPE', null, 'The "options" argument must be of type object'],
    ['ERR_INVALID_ARG_TYPE', [], 'The "options" argument must be of type object'],
    ['ERR_INVALID_ARG_TYPE', {}, 'The "options.name" property must be of type string'],
    ['ERR_INVALID_ARG_TYPE', { name: 'x', flag: 1 }, 'The "options.flag" property'],
    ['ERR_OUT_OF_RANGE', { name: 'x', count: 11 }, 'The value of "options.count"'],
    ['ERR_INVALID_ARG_VALUE', { name: 'x', mode: 'c' }, "'options.mode' must be one of: 'a', 'b'"],
    ['ERR_INVALID_ARG_VALUE', { name: 'x', many: [] }, 'must have 1 to 2 elements'],
    ['ERR_OUT_OF_RANGE', { name: 'x', many: [10] }, 'The value of "options.many[0]"'],
    ['ERR_INVALID_ARG_TYPE', { name: 'x', many: [1, undefined] }, '"options.many[1]"'],
    [
      'ERR_INVALID_ARG_TYPE',
      { name: 'x', call: 1 },
      '"options.call" property must be of type func',
    ],
    ['ERR_INVALID_ARG_TYPE', { name: 'x', inner: { deep: 1 } }, '"options.inner.deep" property'],
    [
      UNKNOWN,
      { name: 'x', inner: { deap: true } },
      "'options.inner.deap' is not an option: did you",
    ],
    [
      UNKNOWN,
      { name: 'x', zzzzzzzzzz: 1 },
      "'options.zzzzzzzzzz' is not an option: the options are flag, ",
    ],
    [UNKNOWN, { name: 'x', __proto: 1 }, "'options.__proto' is not an option"],
    ['ERR_INVALID_ARG_VALUE', { name: 'x', old: 1 }, "'options.old' cannot be given: it is called"],
  ])('throws %s for %j', (code, value, message) => {
    const error = failureOf(() => table.check('options', value))
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })

  it('refuses the name of a member of Object.prototype', () => {
    const error = failureOf(() => table.check('options', { name: 'x', constructor: 1 }))
    expect(error.code).toBe(UNKNOWN)
  })

  it('never shows the value of an unknown option, since it may be a password', () => {
    const error = failureOf(() => table.check('options', { name: 'x', passphrase: 'secret' }))
    expect(error.message).not.toContain('secret')
  })
})

describe('sharedSpec()', () => {
  const table = sharedSpec({ portRange: text(), retry: boolean() }, ['timeout', 'ca'])

  it.each(['timeout', 'ca', 'cb', 'somethingElse', 'timer', 'timeuot'])('passes on %s', (name) => {
    expect(() => table.check('options', { [name]: 1 })).not.toThrow()
    expect(table.rest({ portRange: 'x', [name]: 1 })).toEqual({ [name]: 1 })
  })

  it.each([
    ['portrange', 'portRange'],
    ['protRange', 'portRange'],
    ['retyr', 'retry'],
  ])('refuses %s, which is close to %s', (wrong, right) => {
    const error = failureOf(() => table.check('options', { [wrong]: 1 }))
    expect(error).toMatchObject({ code: UNKNOWN, option: wrong })
    expect(error.message).toBe(`'options.${wrong}' is not an option: did you mean '${right}'?`)
  })
})
